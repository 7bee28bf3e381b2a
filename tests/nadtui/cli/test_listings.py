"""`nadtui defenses`, `models` and `presets`: what there is, one of it in full, and what is wrong."""

from __future__ import annotations

import hashlib
import json

import pytest
import yaml

from engine.config.run import validate
from nadtui.cli.main import dispatch
from tests.plugins import installed

PLUGIN = """
from typing import ClassVar
from engine.defenses.base import Defense, Stage
from engine.models.families import Family

class Brush(Defense):
    name: ClassVar[str] = "brush"
    summary: ClassVar[str] = "brushes"
    needs: ClassVar[frozenset] = frozenset({"poisoned set"})
    slow: ClassVar[bool] = True
    strength: float = 0.5

    def stages(self):
        return Stage("comb", "reference"), Stage("brush", needs=("comb",))

def build(size, classes):
    from torch import nn
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(size, classes))
    return nn.Sequential(nn.Conv2d(3, size, 3, padding=1), *head)

FAMILY = Family(form="nt-SIZE", pattern="nt-([1-9])", fits=lambda size: True, build=build)
"""


@pytest.fixture(autouse=True)
def _brush(tmp_path):
    entries = {"brush": "nt_brush:Brush"}
    with (
        installed(tmp_path / "a", "nt-brush", "nadtui.defenses", entries, {"nt_brush": PLUGIN}),
        installed(tmp_path / "b", "nt-net", "nadtui.models", {"nt": "nt_brush:FAMILY"}),
    ):
        yield


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = dispatch(arguments)
    return code, *capsys.readouterr()


def test_defenses_are_listed_with_their_stages_and_what_they_need(capsys):
    code, out, _ = run(capsys, "defenses")
    lines = [line for line in out.splitlines() if line.startswith(("nad ", "brush "))]
    assert code == 0
    assert "teacher (reference), nad" in lines[0] and lines[0].endswith("built in")
    assert "comb (reference), brush" in lines[1] and lines[1].endswith("nt-brush 1.0")
    assert "needs the poisoned set, slow: by name only" in lines[1]


def test_the_same_as_json(capsys):
    _, out, _ = run(capsys, "defenses", "--json")
    found = {each["name"]: each for each in json.loads(out)}
    assert next(iter(found)) == "nad" and list(found)[-1] == "brush"
    assert found["brush"]["needs"] == ["poisoned set"] and found["brush"]["slow"]
    assert [(each["name"], each["role"]) for each in found["nad"]["stages"]] == [
        ("teacher", "reference"),
        ("nad", "purified"),
    ]


def test_a_defense_is_shown_as_a_configuration_takes_it(capsys):
    _, out, _ = run(capsys, "defenses", "show", "brush")
    assert out.startswith("# brush (nt-brush 1.0): brushes\n")
    assert yaml.safe_load(out) == {"defenses": {"brush": {"strength": 0.5}}}
    _, out, _ = run(capsys, "defenses", "show", "nad")
    config = validate({"attack": {"name": "badnets"}, **yaml.safe_load(out)})
    assert config.defenses["nad"].distill.training.lr == 0.02
    _, out, _ = run(capsys, "defenses", "show", "brush", "--json")
    assert json.loads(out)["settings"] == {"strength": 0.5}


def test_models_are_listed_by_family(capsys):
    code, out, _ = run(capsys, "models")
    assert code == 0
    assert any(line.startswith("wrn ") and line.endswith("built in") for line in out.splitlines())
    assert any(line.startswith("nt ") and line.endswith("nt-net 1.0") for line in out.splitlines())
    assert "FILE.py:NAME" in out
    _, out, _ = run(capsys, "models", "--json")
    assert next((each["name"], each["smallest"]) for each in json.loads(out)) == ("wrn", "wrn-10-1")


def test_a_network_is_shown_by_its_taps(capsys, tmp_path):
    _, out, _ = run(capsys, "models", "show", "wrn-16-2")
    assert [line.split() for line in out.splitlines()[-3:]] == [
        ["group1", "32", "1", "block1"],
        ["group2", "64", "2", "block2"],
        ["group3", "128", "4", "block3"],
    ]
    _, out, _ = run(capsys, "models", "show", "nt-2", "--json")
    taps = [{"name": "0", "channels": 2, "stride": 1, "module": "0"}]
    assert json.loads(out) == {"name": "nt-2", "family": "nt", "origin": "nt-net 1.0", "taps": taps, "size": [32, 32]}
    file = tmp_path / "net.py"
    file.write_text("raise SystemExit('it is executed')")
    _, out, _ = run(capsys, "models", "show", f"{file}:Net")
    assert hashlib.sha256(file.read_bytes()).hexdigest() in out and "known once it is built" in out


def test_taps_that_hang_on_the_images_size_are_seen_by_building_the_network(capsys):
    _, out, _ = run(capsys, "models", "show", "resnet-18@0.25")
    assert "for images of 32x32 pixels (--size for others)" in out
    assert [line.split() for line in out.splitlines()[-4:]] == [
        ["layer1", "16", "1", "layer1"],
        ["layer2", "32", "2", "layer2"],
        ["layer3", "64", "4", "layer3"],
        ["layer4", "128", "8", "layer4"],
    ]
    _, out, _ = run(capsys, "models", "show", "resnet-18@0.25", "--size", "96")
    assert [line.split()[:3] for line in out.splitlines()[-5:]] == [
        ["relu", "16", "2"],
        ["layer1", "16", "4"],
        ["layer2", "32", "8"],
        ["layer3", "64", "16"],
        ["layer4", "128", "32"],
    ]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("models", "show", "torchvision:alexnet"), "it cannot take images of 32x32"),
        (("models", "show", "torchvision:resnet81"), "did you mean 'torchvision:resnet18'"),
        (("models", "show", "vgg-13"), "unknown model 'vgg-13'; allowed: vgg-11|16|19[@WIDTH from 0.05 to 4]"),
        (("defenses", "show", "bruhs"), "unknown defense 'bruhs', did you mean 'brush'"),
        (("models", "show", "nt-0"), "unknown model 'nt-0'; allowed: nt-SIZE"),
        (("models", "show", "nowhere.py:Net"), "nowhere.py cannot be read"),
    ],
)
def test_what_there_is_not_is_said_in_a_line(capsys, arguments, wanted):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert wanted in err and err.count("\n") == 1


def test_presets_are_listed_as_a_document(capsys):
    code, out, _ = run(capsys, "presets", "--json")
    listed = json.loads(out)
    assert code == 0
    assert {"adaptive", "badnets", "sig"} <= {row["name"] for row in listed}
    assert all(row["title"] and row["kind"] and row["origin"] for row in listed)


def test_a_preset_in_full_is_a_document_whose_configuration_runs(capsys):
    code, out, _ = run(capsys, "presets", "show", "sig", "--dataset", "cifar10", "--json")
    shown = json.loads(out)
    assert code == 0 and shown["name"] == "sig"
    assert validate(shown["config"]).data.name == "cifar10"


@pytest.mark.parametrize("other", [["--metrics"], ["--png", "sig.png"]])
def test_a_presets_document_goes_with_nothing_else(capsys, other):
    code, out, err = run(capsys, "presets", "show", "sig", "--json", *other)
    assert (code, out) == (2, "") and err.count("\n") == 1 and "--json" in err
