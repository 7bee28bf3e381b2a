"""Whoever ends the workbench, its runs are stopped first."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from nadtui.runs import wishes
from nadtui.workbench import hanging_up
from nadtui.workbench.hanging_up import HangingUp

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no such signal")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hanging_up, "LOOK_S", 0.01)


class Run:
    """A run that ends when it is asked to, and allowed to."""

    def __init__(self, *, allowed: bool = True) -> None:
        self.asked = threading.Event()
        self.allowed = threading.Event()
        if allowed:
            self.allowed.set()

    def stop(self) -> None:
        self.asked.set()

    def join(self, timeout: float) -> None:
        self.allowed.wait(timeout)

    @property
    def working(self) -> bool:
        return not (self.asked.is_set() and self.allowed.is_set())


class Workbench:
    """What is left of one: it closes when it is told to."""

    def __init__(self, *runs: Run) -> None:
        self.runs = runs
        self.left = threading.Event()
        self.ended = threading.Event()
        self.there = True

    def hanging_up(self) -> HangingUp:
        end = lambda code: (self.ended.set(), codes.append(code))  # noqa: E731
        codes: list[int] = []
        self.codes = codes
        return HangingUp(lambda: self.runs, self.left.set, there=lambda: self.there, end=end)


@pytest.mark.parametrize("how", ["the terminal goes", signal.SIGHUP, signal.SIGTERM])
def test_runs_are_stopped_before_the_workbench_leaves(how):
    late = Run(allowed=False)
    app = Workbench(Run(), late)
    with app.hanging_up() as cut_off:
        if how == "the terminal goes":
            app.there = False
        else:
            os.kill(os.getpid(), how)
        assert all(run.asked.wait(60) for run in app.runs)
        assert not app.left.is_set(), "one of them has not stopped"
        late.allowed.set()
        assert app.left.wait(60)
    assert cut_off.asked
    assert not app.ended.is_set()


def test_a_workbench_that_cannot_leave_is_ended(monkeypatch):
    """It hangs on a terminal that takes nothing any more."""
    monkeypatch.setattr(hanging_up, "GRACE_S", 0.01)
    app = Workbench(Run())
    with app.hanging_up():
        app.there = False
        assert app.ended.wait(60)
    assert app.codes == [130]


def test_who_asks_twice_does_not_want_to_wait(monkeypatch):
    app = Workbench(Run(allowed=False))
    with app.hanging_up():
        os.kill(os.getpid(), signal.SIGTERM)
        assert app.runs[0].asked.wait(60)
        os.kill(os.getpid(), signal.SIGHUP)  # no impatience: a shell's, after the system's
        os.kill(os.getpid(), signal.SIGTERM)  # nor this: a wrapper's, which signals the process and then its group
        assert not app.ended.is_set()
        monkeypatch.setattr(wishes, "SAME_WISH_S", 0.0)
        os.kill(os.getpid(), signal.SIGTERM)
        assert app.ended.wait(60)
    assert app.codes == [130]


def test_leaving_as_one_does_stops_nothing_and_gives_the_signals_back():
    before = signal.getsignal(signal.SIGHUP), signal.getsignal(signal.SIGTERM)
    app = Workbench(Run())
    with app.hanging_up() as cut_off:
        assert signal.getsignal(signal.SIGHUP) != before[0]
    assert (signal.getsignal(signal.SIGHUP), signal.getsignal(signal.SIGTERM)) == before
    assert not cut_off.asked and not app.runs[0].asked.is_set()


def test_who_was_told_to_outlive_its_terminal_does():
    """As `nohup` has it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Workbench().hanging_up():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
