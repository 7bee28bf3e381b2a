"""What a defense isolates: counted by the run, kept for a resume, and never answered with more than its places."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from engine import events as ev
from engine import run
from engine.control import Control
from engine.defenses import DEFENSES
from engine.defenses.base import Defense, LabeledImages, Port, Work
from engine.models.inference import freeze
from engine.running.request import RunRequest
from engine.settings import AugmentSettings, TrainingSettings
from engine.storage.checkpoints import load_weights
from engine.training.loop import cross_entropy
from nadtui.runs.loading import load
from tests.tiny import finished, outcome, run_all, runs_in, tiny_config

TINY = ("training.epochs=1", "evaluation.samples=0", "evaluation.images=20")
ANSWERED: list[torch.Tensor] = []


class Guard(Defense):
    """Isolates what is labeled 0, and trains anew on the rest."""

    name: ClassVar[str] = "guard"
    needs: ClassVar[frozenset] = frozenset({"poisoned set"})
    extra: int = 0
    training: TrainingSettings = TrainingSettings(epochs=2, batch_size=64, lr=0.1, augment=AugmentSettings(crop=0))

    def defend(self, port: Port) -> Work[nn.Module]:
        found = (port.poisoned.labels == 0).nonzero().flatten()
        places = torch.cat([found.flip(0), torch.full((self.extra,), len(port.poisoned))])
        answer = yield from port.isolate("guard", places)
        ANSWERED.append(answer)
        rest = port.poisoned.labels != 0
        data = LabeledImages(port.poisoned.images[rest], port.poisoned.labels[rest])
        return freeze((yield from port.train("guard", port.fresh(), cross_entropy, self.training, data=data)))


class Blind(Defense):
    """Wants to isolate without having declared that it needs the poisoned set."""

    name: ClassVar[str] = "blind"

    def defend(self, port: Port) -> Work[nn.Module]:
        yield from port.isolate("blind", torch.arange(3))
        return port.suspect


@pytest.fixture(autouse=True)
def _known(module_cache, monkeypatch) -> None:
    monkeypatch.setenv("NADTUI_CACHE", str(module_cache))
    for cls in (Guard, Blind):
        monkeypatch.setitem(DEFENSES.ours, cls.name, f"{__name__}:{cls.__name__}")
    ANSWERED.clear()


def config(*overrides: str, name: str = "guard") -> Any:
    return tiny_config("badnets", *TINY, *overrides, defended_by=[name])


def test_the_run_counts_what_a_defense_isolated(tmp_path):
    events = run_all(config(), tmp_path)
    assert isinstance(events[-1], ev.RunFinished), events[-1]
    (told,) = [event for event in events if isinstance(event, ev.Isolated)]
    # 300 images, a tenth poisoned into class 0, whose own 30 or so are isolated with them.
    assert (told.stage, told.images, told.poisoned, told.found) == ("guard", 300, 30, 30)
    assert told.isolated == len(ANSWERED[0]) > told.found
    assert told.recall == 1
    assert told.precision == 30 / told.isolated
    assert ANSWERED[0].tolist() == sorted(ANSWERED[0].tolist())
    folder = runs_in(tmp_path)[0]
    kept, _ = load_weights(folder / "isolated" / "guard.safetensors")
    assert kept["places"].tolist() == ANSWERED[0].tolist()
    assert finished(events)["guard"].epochs == 2
    _as_it_is_shown(folder, told)


def _as_it_is_shown(folder: Path, told: ev.Isolated) -> None:
    """In the summary, and in words."""
    stage = json.loads((folder / "summary.json").read_text())["stages"][-1]
    assert stage["isolated"] == {
        "images": 300,
        "isolated": told.isolated,
        "poisoned": 30,
        "found": 30,
        "precision": told.precision,
        "recall": 1.0,
    }
    (said,) = load(str(folder), None).choices()
    share = f"{100 * told.precision:.1f}"
    wanted = f"guard isolated {told.isolated} of 300 images: 30 of the 30 poisoned ones"
    assert said == f"{wanted} (precision {share} %, recall 100.0 %)"


def test_a_resumed_run_goes_on_with_what_was_isolated(tmp_path):
    whole = run_all(config(), tmp_path / "whole")
    assert isinstance(whole[-1], ev.RunFinished)
    out, control = tmp_path / "pieces", Control()
    for event in run(RunRequest(config(), out), control):
        if isinstance(event, ev.Evaluation) and event.stage == "guard":
            control.stop()
    assert isinstance(event, ev.RunStopped)
    folder = runs_in(out)[0]
    resumed = list(run(RunRequest(config(), out, resume=folder)))
    assert isinstance(resumed[-1], ev.RunFinished)
    assert not [event for event in resumed if isinstance(event, ev.Isolated)], "it was told of before"
    assert ANSWERED[-1].tolist() == ANSWERED[0].tolist()
    assert outcome(folder) == outcome(runs_in(tmp_path / "whole")[0])


def test_nothing_but_places_of_the_poisoned_set_is_isolated(tmp_path):
    last = run_all(config("defenses.guard.extra=1"), tmp_path / "a")[-1]
    assert isinstance(last, ev.RunFailed)
    assert last.message == "stage guard: what it isolates has to be places from 0 to 299, each once"
    last = run_all(config(name="blind"), tmp_path / "b")[-1]
    assert isinstance(last, ev.RunFailed)
    assert last.message == "stage blind: there is no poisoned set at hand of which to isolate anything"


def test_nothing_isolated_and_nothing_poisoned_have_no_shares():
    nothing = ev.Isolated(stage="a", images=5, isolated=0, poisoned=0, found=0)
    assert nothing.precision != nothing.precision
    assert nothing.recall != nothing.recall
