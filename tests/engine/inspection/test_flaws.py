"""What is wrong with a checkpoint's tensors is told: values, shapes, strangers, a broken normalization."""

from __future__ import annotations

import json
import math

import pytest
import torch

from engine import models
from engine.inspection.report import inspect
from engine.storage.contents import open_checkpoint
from engine.storage.state_dicts.fitting import fit_contents
from nadtui.cli.exits import ExitCode
from nadtui.cli.main import dispatch


def saved(tmp_path, **changes):
    """A file of a network behind a prefix, with changed tensors of it and others beside it."""
    state = {f"net.{name}": tensor for name, tensor in models.build("wrn-10-1", 4).state_dict().items()} | changes
    torch.save({name: tensor for name, tensor in state.items() if tensor is not None}, tmp_path / "m.pt")
    return tmp_path / "m.pt"


def test_a_whole_network_has_none(tmp_path):
    found = inspect(saved(tmp_path)).flaws
    assert (found.values, found.differs, found.beside) == ({}, (), ())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_counted(tmp_path, value):
    bias = torch.zeros(4, dtype=torch.bfloat16)
    bias[2] = value
    found = inspect(saved(tmp_path, **{"net.fc.bias": bias})).flaws
    assert found.values == {"net.fc.bias": "1 of 4 are not finite (NaN or infinity)"}


def test_what_the_nearest_network_has_otherwise_is_named(tmp_path):
    wrong = {"net.conv1.weight": torch.zeros(7, 3, 3, 3), "net.block1.layer.0.bn1.weight": None}
    found = inspect(saved(tmp_path, **wrong))
    assert found.network is not None and not found.network.fits
    assert sorted(found.flaws.differs) == [
        "block1.layer.0.bn1.weight: missing in the file, wrn-10-1 wants 16",
        "net.conv1.weight: file 7x3x3x3, wrn-10-1 wants 16x3x3x3",
    ]


def test_a_network_under_other_names_lacks_nothing(tmp_path):
    state = models.build("wrn-10-1", 4).state_dict()
    torch.save({f"layer{place}": tensor for place, tensor in enumerate(state.values())}, tmp_path / "m.pt")
    found = inspect(tmp_path / "m.pt")
    assert found.network is not None and found.network.share == 1 and found.flaws.differs == ()


def test_strangers_are_named(tmp_path):
    assert inspect(saved(tmp_path, **{"other.weight": torch.ones(3)})).flaws.beside == ("other.weight",)


@pytest.mark.parametrize("std", [[0.0, 0.2, 0.2], [0.2, -1.0, 0.2], [math.nan, 0.2, 0.2]])
def test_a_normalization_that_is_none_is_said_where_it_is_left_out(tmp_path, std):
    names = {"normalize.mean": torch.full((3,), 0.5), "normalize.std": torch.tensor(std)}
    file = saved(tmp_path, **names)
    found = inspect(file)
    assert (found.preprocessing, found.no_preprocessing) == (None, ("normalize.mean", "normalize.std"))
    assert (found.flaws.beside, found.flaws.values) == ((), {})
    fitted = fit_contents(open_checkpoint(file), models.build("wrn-10-1", 4).state_dict(), "wrn-10-1")
    assert fitted.normalization is None
    assert any(note.startswith("normalize.mean and normalize.std are no normalization") for note in fitted.notes)


def test_bounds_on_activations_are_nothing_strange(tmp_path, capsys):
    file = saved(tmp_path, **{"net.bn1.bound": torch.ones(64, 8, 8)})
    found = inspect(file)
    assert (found.network.fits, found.flaws.differs, found.flaws.beside) == (True, (), ())
    assert dispatch(["inspect", str(file)]) == ExitCode.DONE
    assert "bounds        on the activations of 1 norm" in capsys.readouterr().out


def test_eight_bits_are_looked_at_too(tmp_path):
    odd = torch.tensor([1.0, math.nan, 2.0, 3.0]).to(torch.float8_e5m2)
    assert inspect(saved(tmp_path, **{"net.fc.bias": odd})).flaws.values == {
        "net.fc.bias": "1 of 4 are not finite (NaN or infinity)"
    }


def test_they_are_shown(tmp_path, capsys):
    names = {
        "normalize.mean": torch.zeros(3),
        "normalize.std": torch.zeros(3),
        "net.fc.bias": torch.full((4,), math.nan),
    }
    file = str(saved(tmp_path, **names, **{"net.conv1.weight": torch.zeros(7, 3, 3, 3), "other.weight": torch.ones(3)}))
    assert dispatch(["inspect", file]) == ExitCode.DONE
    out = capsys.readouterr().out
    for line in (
        "differs       net.conv1.weight: file 7x3x3x3, wrn-10-1 wants 16x3x3x3",
        "no place for  other.weight",
        "values        net.fc.bias: 4 of 4 are not finite (NaN or infinity)",
        "preprocessing normalize.mean and normalize.std are no normalization",
    ):
        assert line in out
    assert dispatch(["inspect", file, "--json"]) == ExitCode.DONE
    told = json.loads(capsys.readouterr().out)["flaws"]
    assert told["normalization"] == ["normalize.mean", "normalize.std"] and list(told["values"]) == ["net.fc.bias"]
