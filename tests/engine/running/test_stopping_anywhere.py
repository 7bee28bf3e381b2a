"""A run stopped between any two steps goes on from that very step: no step is done twice, the weights are the same."""

from __future__ import annotations

import pytest

from engine.control import Control, Stopped
from engine.events import Event, RunFinished, RunPaused, RunResumed, RunStopped, StageStarted, Step
from engine.record.reading import read_events
from engine.record.view import fold
from engine.running.request import RunRequest
from engine.training import loop
from tests.tiny import finished, run_all, runs_in, tiny_config

FEW = [
    *("data.train_images=80", "data.test_images=20", "evaluation.samples=0", "data.clean_fraction=0.5"),
    *("training.epochs=2", "training.batch_size=32"),
]


class Stopping(Control):
    """Stops at the looks whose numbers are given, in one piece of a run after the other."""

    def __init__(self, after: int | None) -> None:
        super().__init__()
        self._after, self.looks = after, 0

    def _hear(self) -> None:
        self.looks += 1
        if self._after is not None and self.looks > self._after:
            self.stop()


class Counting:
    """The steps that optimizers make."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from torch import optim

        self.done = 0
        for kind in (optim.SGD, optim.Adam):
            self._watch(monkeypatch, kind, kind.step)

    def _watch(self, monkeypatch, kind, real) -> None:
        def step(optimizer, *given):
            self.done += 1
            return real(optimizer, *given)

        monkeypatch.setattr(kind, "step", step)


@pytest.fixture
def counting(monkeypatch) -> Counting:
    return Counting(monkeypatch)


def pieces(config, out, every: int) -> list[Event]:
    """The run, stopped after so many looks again and again; all events of its record."""
    from engine.running.pipeline import run

    folder = None
    while True:
        control = Stopping(every)
        request = RunRequest(config=config, out=out, resume=folder, cache=False)
        try:
            last = [*run(request, control)][-1]
        except Stopped:
            pytest.fail("a look before the record began")
        (folder,) = runs_in(out)
        if not isinstance(last, RunStopped):
            assert isinstance(last, RunFinished), last
            return read_events(folder).events


@pytest.mark.parametrize(
    ("preset", "quick", "defended_by"),
    [("badnets", ["training.mixup=0.2"], ["fine-tuning"]), ("dynamic", ["attack.mask_steps=5"], [])],
)
def test_no_step_is_done_twice_wherever_a_run_is_stopped(tmp_path, monkeypatch, counting, preset, quick, defended_by):
    monkeypatch.setattr(loop, "REPORT_SECONDS", 0.0)
    config = tiny_config(preset, *FEW, *quick, defended_by=defended_by)
    alone = run_all(config, tmp_path / "alone", cache=False)
    undisturbed, counting.done = counting.done, 0
    events = pieces(config, tmp_path / "pieces", 4)
    assert sum(isinstance(event, RunStopped) for event in events) > 2
    assert counting.done == undisturbed
    assert {name: event.sha256 for name, event in finished(events).items()} == {
        name: event.sha256 for name, event in finished(alone).items()
    }
    for stage in finished(alone):
        steps = [event.step for event in events if isinstance(event, Step) and event.stage == stage]
        assert steps == [event.step for event in alone if isinstance(event, Step) and event.stage == stage]
    resumed = [event for event in events if isinstance(event, RunResumed)]
    stopped = [event for event in events if isinstance(event, RunStopped)]
    assert [(each.epoch, each.step) for each in resumed] == [(each.epoch, each.step) for each in stopped]
    assert any(each.step for each in resumed)


@pytest.mark.parametrize(
    ("preset", "quick"),
    [
        ("trojan", ["attack.steps=7", "attack.size=3", "attack.surrogate_epochs=1"]),
        ("cl", ["attack.steps=4", "attack.surrogate_epochs=1"]),
    ],
)
def test_optimizations_of_attacks_go_on_from_their_step(tmp_path, monkeypatch, preset, quick):
    config = tiny_config(preset, *FEW, "training.epochs=1", *quick, defended_by=[])
    from engine.attacks import pgd

    gradients = []
    real = pgd._gradient
    monkeypatch.setattr(pgd, "_gradient", lambda *given: gradients.append(1) or real(*given))
    monkeypatch.setattr(pgd, "BATCH", 4)
    alone = run_all(config, tmp_path / "alone", cache=False)
    undisturbed = len(gradients)
    gradients.clear()
    events = pieces(config, tmp_path / "pieces", 4)
    assert len(gradients) == undisturbed
    assert finished(events)["attack"].sha256 == finished(alone)["attack"].sha256
    (folder,) = runs_in(tmp_path / "pieces")
    assert not list(folder.rglob("*.steps.safetensors"))
    assert not list(folder.rglob("*.state.safetensors"))


def test_a_run_that_is_killed_while_it_is_paused_has_lost_nothing(tmp_path):
    """A pause saves the state as a stop does."""
    from engine.running.pipeline import run

    config = tiny_config("badnets", *FEW, defended_by=[])
    alone = run_all(config, tmp_path / "alone", cache=False)
    control = Control()
    events = run(RunRequest(config=config, out=tmp_path / "runs", cache=False), control)
    for event in events:
        if isinstance(event, StageStarted):
            control.pause()
        if isinstance(event, RunPaused):
            break
    events.close()  # as a kill: nothing is said, nothing more is saved
    (folder,) = runs_in(tmp_path / "runs")
    again = run_all(config, tmp_path / "runs", resume=folder, cache=False)
    assert finished(again)["attack"].sha256 == finished(alone)["attack"].sha256


def test_a_stop_is_honored_within_a_measurement(tmp_path, monkeypatch):
    """To look at all test images takes seconds: whoever leaves does not wait for them."""
    from engine.models import inference

    config = tiny_config("badnets", *FEW, defended_by=[])
    monkeypatch.setattr(inference, "BATCH", 10)
    control = Stopping(None)
    looks = []
    from engine.evaluation import metrics
    from engine.running import observer
    from engine.running.pipeline import run

    real = metrics.ask

    def ask(model, test, device):
        before = control.looks
        looks.append(0)
        if len(looks) == 1:
            control.stop()
        try:
            return real(model, test, device)
        finally:
            looks[-1] = control.looks - before

    monkeypatch.setattr(observer, "ask", ask)
    events = [*run(RunRequest(config=config, out=tmp_path, cache=False), control)]
    assert isinstance(events[-1], RunStopped)
    assert looks == [1]
    assert events[-1].epoch == 1
    again = run_all(config, tmp_path, resume=runs_in(tmp_path)[0], cache=False)
    (resumed,) = [event for event in again if isinstance(event, StageStarted)]
    assert (resumed.epoch, resumed.step) == (1, 0)
    points = fold(read_events(runs_in(tmp_path)[0]).events).stages["attack"].evaluations
    assert [point.epoch for point in points] == [1, 2]
