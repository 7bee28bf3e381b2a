"""Defenses of a run at their ports: several side by side, edited networks, what is asked for and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from pydantic import Field
from torch import Tensor, nn

from engine import events as ev
from engine import run
from engine.control import Control
from engine.defenses import DEFENSES
from engine.defenses.base import Defense, Port, Stage, Work
from engine.models.inference import freeze
from engine.running.request import RunRequest
from engine.storage.checkpoints import load_weights
from tests.tiny import finished, outcome, run_all, runs_in, tiny_config

HERE = __name__
TINY = ("training.epochs=1", "evaluation.samples=1")


class Bounded(nn.Module):
    """A linear layer behind a bound on what it is fed."""

    def __init__(self, linear: nn.Module, bound: float) -> None:
        super().__init__()
        self.linear = linear
        self.bound = nn.Parameter(torch.tensor(bound))

    def forward(self, features: Tensor) -> Tensor:
        return self.linear(features.minimum(self.bound))


class Bounds(Defense):
    """Adds a module to a copy of the suspect, chooses its bound on held images, and trains nothing."""

    name: ClassVar[str] = "bounds"
    share: float = Field(0.25, ge=0, lt=1)

    @property
    def held(self) -> float:
        return self.share

    def defend(self, port: Port) -> Work[nn.Module]:
        def bounded(bound: float) -> nn.Module:
            model = port.copy()
            model.fc = Bounded(model.fc, bound)
            return freeze(model.to(port.device.torch))

        def score(bound: float) -> float:
            with torch.no_grad():
                images = port.held.images.float() / 255
                return float((bounded(bound)(images).argmax(1) == port.held.labels).float().mean())

        chosen = yield from port.choose("bounds", "bound", {f"{b:g}": b for b in (0.1, 0.5, 4.0)}, score)
        curve = {at: lambda at=at: bounded(chosen * (1 + at)) for at in (0.0, 0.5)}
        return (yield from port.adopt("bounds", bounded(chosen), curve=curve))


class Noise(Defense):
    """Optimizes a noise under which the suspect is unsure, then edits a copy by it."""

    name: ClassVar[str] = "noise"
    steps: int = 6

    def defend(self, port: Port) -> Work[nn.Module]:
        model = port.copy()
        noise = torch.zeros(1, 3, 16, 16, device=port.device.torch, requires_grad=True)

        def loss(batch: Any) -> dict[str, Tensor]:
            return {"certainty": port.suspect(batch.images + noise).logsumexp(1).mean()}

        yield from port.optimize("noise", "noise", {"noise": noise}, loss, self.steps, batch_size=16)
        with torch.no_grad():
            model.conv1.weight.add_(noise.mean())
        return (yield from port.adopt("noise", freeze(model)))


class Undeclared(Defense):
    """Asks for a stage that it did not declare."""

    name: ClassVar[str] = "undeclared"

    def defend(self, port: Port) -> Work[nn.Module]:
        return (yield from port.adopt("something-else", port.copy()))


class Unfinished(Defense):
    """Leaves its stage out."""

    name: ClassVar[str] = "unfinished"

    def defend(self, port: Port) -> Work[nn.Module]:
        yield from ()
        return port.suspect


class Clumsy(Defense):
    """Fails before it asks for anything."""

    name: ClassVar[str] = "clumsy"

    def defend(self, port: Port) -> Work[nn.Module]:
        raise ValueError("too early")


class Hopeless(Defense):
    """Chooses by a score that never is one."""

    name: ClassVar[str] = "hopeless"

    def defend(self, port: Port) -> Work[nn.Module]:
        yield from port.choose("hopeless", "anything", {"a": 1, "b": 2}, lambda _: float("nan"))
        return port.suspect


class Nosy(Defense):
    """Wants the poisoned set, and declares so."""

    name: ClassVar[str] = "nosy"
    needs: ClassVar[frozenset] = frozenset({"poisoned set"})

    def defend(self, port: Port) -> Work[nn.Module]:
        yield ev.Message(text=f"handed {len(port.poisoned)} images")
        return (yield from port.adopt("nosy", freeze(port.copy())))


class Stages(Defense):
    """Two stages, the purified one not at the end."""

    name: ClassVar[str] = "stages"

    def stages(self) -> tuple[Stage, ...]:
        return Stage("stages", "purified"), Stage("stages-after", "reference")


@pytest.fixture(autouse=True)
def _known(module_cache, monkeypatch) -> None:
    """The defenses above are registered; the suspect is trained once."""
    monkeypatch.setenv("NADTUI_CACHE", str(module_cache))
    for cls in (Bounds, Noise, Undeclared, Unfinished, Clumsy, Hopeless, Nosy, Stages):
        monkeypatch.setitem(DEFENSES.ours, cls.name, f"{HERE}:{cls.__name__}")


def digests(events: list[ev.Event]) -> dict[str, str]:
    return {name: event.sha256 for name, event in finished(events).items()}


def run_with(out: Path, *names: str, **request: Any) -> list[ev.Event]:
    return run_all(tiny_config("badnets", *TINY, defended_by=names), out, **request)


def test_several_purified_models_stand_side_by_side_each_as_if_it_were_alone(tmp_path):
    together = run_with(tmp_path / "a", "nad", "fine-tuning", "bounds", "noise")
    assert isinstance(together[-1], ev.RunFinished), together[-1]
    (started,) = [event for event in together if isinstance(event, ev.RunStarted)]
    assert [(stage.name, stage.role, stage.defense) for stage in started.plan] == [
        ("attack", "suspect", ""),
        ("teacher", "reference", "nad"),
        ("nad", "purified", "nad"),
        ("fine-tuning", "purified", "fine-tuning"),
        ("bounds", "purified", "bounds"),
        ("noise", "purified", "noise"),
    ]
    other_order = run_with(tmp_path / "b", "noise", "fine-tuning", "nad", "bounds")
    assert digests(other_order) == digests(together)
    for name in ("fine-tuning", "bounds", "noise"):
        alone = run_with(tmp_path / name, name)
        assert list(digests(alone)) == ["attack", name]
        assert digests(alone)[name] == digests(together)[name]
    summary = json.loads((runs_in(tmp_path / "a")[0] / "summary.json").read_text())
    assert [stage["role"] for stage in summary["stages"]] == [stage.role for stage in started.plan]


def test_an_edited_network_is_kept_with_the_modules_that_were_added(tmp_path):
    events = run_with(tmp_path, "bounds")
    (chosen,) = [event for event in events if isinstance(event, ev.Chosen)]
    weights, _ = load_weights(runs_in(tmp_path)[0] / "checkpoints" / "bounds.safetensors")
    assert float(weights["fc.bound"]) == pytest.approx(float(chosen.choice))
    assert not finished(events)["bounds"].cached
    points = [event for event in events if isinstance(event, ev.CurvePoint)]
    assert [point.at for point in points] == [0.0, 0.5]
    assert points[0].metrics == finished(events)["bounds"].metrics


def test_a_run_stopped_anywhere_in_a_defense_ends_as_the_undisturbed_one(tmp_path):
    names = ("noise", "bounds", "fine-tuning")
    whole = run_with(tmp_path / "whole", *names)
    wanted = outcome(runs_in(tmp_path / "whole")[0])
    assert isinstance(whole[-1], ev.RunFinished)
    config = tiny_config("badnets", *TINY, defended_by=names)

    def stop_at(kind: type[ev.Event], what: str) -> None:
        out, control = tmp_path / f"{kind.kind}-{what}", Control()
        for event in run(RunRequest(config, out), control):
            if isinstance(event, kind) and what in (getattr(event, "what", ""), getattr(event, "stage", "")):
                control.stop()
        assert isinstance(event, ev.RunStopped), event
        folder = runs_in(out)[0]
        *_, last = run(RunRequest(config, out, resume=folder))
        assert isinstance(last, ev.RunFinished)
        assert outcome(folder) == wanted

    stop_at(ev.Preparing, "noise")
    stop_at(ev.Preparing, "choosing bound")
    stop_at(ev.StageFinished, "bounds")
    stop_at(ev.StageStarted, "fine-tuning")


def test_a_choice_is_made_once(tmp_path, monkeypatch):
    """What was chosen before a run was resumed stays chosen: nothing is scored again."""
    config, control = tiny_config("badnets", *TINY, defended_by=["bounds"]), Control()
    for event in run(RunRequest(config, tmp_path), control):
        if isinstance(event, ev.Chosen):
            control.stop()
    assert isinstance(event, ev.RunStopped)
    resumed = list(run(RunRequest(config, tmp_path, resume=runs_in(tmp_path)[0])))
    assert isinstance(resumed[-1], ev.RunFinished)
    assert not [each for each in resumed if isinstance(each, ev.Chosen)]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("undeclared", "defense undeclared: it asks for stage 'something-else', but declares undeclared"),
        ("unfinished", "defense unfinished: it ended without its stage 'unfinished'"),
        ("hopeless", "stage hopeless: no candidate for anything has a finite score"),
    ],
)
def test_a_defense_that_does_not_keep_to_its_plan_fails_in_a_line(tmp_path, name, said):
    last = run_with(tmp_path, name)[-1]
    assert isinstance(last, ev.RunFailed)
    assert (last.message, last.traceback) == (said, "")


def test_what_fails_before_it_asks_fails_in_its_own_stage(tmp_path):
    last = run_with(tmp_path, "fine-tuning", "clumsy")[-1]
    assert isinstance(last, ev.RunFailed)
    assert (last.stage, last.message) == ("clumsy", "ValueError: too early")


def test_a_plan_that_makes_no_sense_is_refused_before_anything_is_written(tmp_path):
    from engine.errors import RequestError

    with pytest.raises(RequestError, match="its last stage has to be of role 'purified'"):
        run_with(tmp_path, "stages")
    assert not runs_in(tmp_path)


def test_a_defense_that_holds_all_images_is_refused(tmp_path):
    from engine.errors import RequestError

    config = tiny_config("badnets", *TINY, "defenses.bounds.share=0.999", defended_by=["bounds"])
    with pytest.raises(RequestError, match=r"defense bounds: it holds 0.999 of 60 clean images, none is left"):
        run_all(config, tmp_path)


def test_the_poisoned_set_is_for_those_that_need_it_and_must_be_at_hand(tmp_path):
    from engine.errors import RequestError

    events = run_with(tmp_path / "a", "nosy")
    assert "handed 300 images" in [event.text for event in events if isinstance(event, ev.Message)]
    suspect = runs_in(tmp_path / "a")[0] / "checkpoints" / "attack.safetensors"
    config = tiny_config("badnets", *TINY, f"suspect={suspect}", defended_by=["nosy"])
    with pytest.raises(RequestError, match="defense nosy needs the poisoned set the suspect was trained on"):
        run_all(config, tmp_path / "b")


def test_a_suspect_of_unknown_origin_has_no_trigger_and_no_asr(tmp_path):
    run_with(tmp_path / "a", "fine-tuning")
    suspect = runs_in(tmp_path / "a")[0] / "checkpoints" / "attack.safetensors"
    config = tiny_config(None, *TINY, f"suspect={suspect}", defended_by=["nad", "fine-tuning"])
    assert config.attack is None
    events = run_all(config, tmp_path / "b")
    assert isinstance(events[-1], ev.RunFinished), events[-1]
    (started,) = [event for event in events if isinstance(event, ev.RunStarted)]
    assert not started.attacked
    for stage in finished(events).values():
        assert stage.metrics.acc >= 0
        assert all(value != value for value in (stage.metrics.asr, stage.metrics.ra, stage.metrics.base))
    maps = [event for event in events if isinstance(event, ev.AttentionCaptured)]
    assert maps and all(event.clean and not event.triggered for event in maps)
    assert not (runs_in(tmp_path / "b")[0] / "trigger.safetensors").exists()
    known = run_all(tiny_config("badnets", *TINY, f"suspect={suspect}", defended_by=["nad"]), tmp_path / "c")
    assert digests(known)["nad"] == digests(events)["nad"], "what is known of the attack makes no other model"
