"""A run that is stopped or killed goes on to the very figures it would have had."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from engine import events as ev
from engine import run
from engine.control import Control
from engine.errors import RequestError
from engine.record.reading import read_events
from engine.running.job import Job
from engine.running.request import RunRequest
from tests.tiny import ENDLESS, SET, begin, finished, outcome, resume, run_all, runs_in, tiny_config


@pytest.fixture(autouse=True)
def _one_cache(module_cache, monkeypatch) -> None:
    """The drawn signs are drawn once for this module's tests."""
    monkeypatch.setenv("NADTUI_CACHE", str(module_cache))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, module_cache) -> list[tuple]:
    out = tmp_path_factory.mktemp("whole")
    run_all(tiny_config(), out, cache=False)
    return outcome(runs_in(out)[0])


def stopped_after(kind: type[ev.Event], stage: str, out: Path) -> list[ev.Event]:
    """Run until there is an event of that kind in that stage: in one thread, so that it stops there and no later."""
    control = Control()
    events = []
    for event in run(RunRequest(config=tiny_config(), out=out, cache=False), control):
        events.append(event)
        if isinstance(event, kind) and event.stage == stage:
            control.stop()
    return events


@pytest.mark.parametrize(
    ("kind", "stage"),
    [(ev.StageStarted, "attack"), (ev.Evaluation, "attack"), (ev.StageStarted, "teacher"), (ev.Evaluation, "nad")],
)
def test_a_stopped_run_goes_on_where_it_was(kind, stage, uninterrupted, tmp_path):
    events = stopped_after(kind, stage, tmp_path)
    assert isinstance(events[-1], ev.RunStopped)
    assert events[-1].stage == stage
    folder = runs_in(tmp_path)[0]
    assert not (folder / "summary.json").exists()
    resumed = run_all(tiny_config(), tmp_path, resume=folder, cache=False)
    opening = next(event for event in resumed if isinstance(event, ev.RunResumed))
    assert (opening.stage, opening.epoch) == (stage, events[-1].epoch)
    assert outcome(folder) == uninterrupted
    seqs = [event.seq for event in read_events(folder).events]
    assert seqs == list(range(1, len(seqs) + 1))


def test_finished_stages_are_not_done_again(tmp_path):
    stopped_after(ev.StageStarted, "nad", tmp_path)
    resumed = run_all(tiny_config(), tmp_path, resume=runs_in(tmp_path)[0], cache=False)
    assert list(finished(resumed)) == ["nad"]


def test_a_stopped_job_ends_with_a_last_word(tmp_path):
    job = Job(RunRequest(config=tiny_config("badnets", ENDLESS), out=tmp_path, cache=False))
    job.start()
    seen = []
    for event in job.events():
        seen.append(event)
        if isinstance(event, ev.StageStarted):
            job.stop()
    assert job.error is None
    assert isinstance(seen[-1], ev.RunStopped)


def test_a_paused_job_holds_still_and_goes_on(uninterrupted, tmp_path):
    job = Job(RunRequest(config=tiny_config(), out=tmp_path, cache=False))
    job.start()
    seen, timer = [], None
    for event in job.events():
        if isinstance(event, ev.StageStarted) and event.stage == "teacher":
            job.pause()
        if isinstance(event, ev.RunPaused) and event.paused:
            timer = threading.Timer(0.3, job.resume)
            timer.start()
        seen.append(event)
    assert [event.paused for event in seen if isinstance(event, ev.RunPaused)] == [True, False]
    assert outcome(runs_in(tmp_path)[0]) == uninterrupted


def test_resuming_a_finished_run_is_refused(tmp_path):
    run_all(tiny_config(), tmp_path)
    before = {path: path.read_bytes() for path in runs_in(tmp_path)[0].rglob("*") if path.is_file()}
    with pytest.raises(RequestError, match="finished"):
        run_all(tiny_config(), tmp_path, resume=runs_in(tmp_path)[0])
    assert {p: p.read_bytes() for p in runs_in(tmp_path)[0].rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("kill", range(3))
def test_a_killed_run_finishes_with_the_same_figures(kill, uninterrupted, tmp_path):
    """SIGKILL at a random moment between the first event and about the end, in a real process."""
    process, folder = begin(tmp_path, "--preset", "badnets", *SET)
    time.sleep(random.Random(kill).uniform(0, 2.5))
    process.send_signal(signal.SIGKILL)
    process.wait()
    if not (folder / "summary.json").exists():
        done = resume(folder)
        assert done.returncode == 0, done.stderr
    assert outcome(folder) == uninterrupted


def test_a_running_run_is_not_resumed_by_another(tmp_path):
    process, folder = begin(tmp_path, "--preset", "badnets", *SET, "--epochs", "attack=10000")
    try:
        done = resume(folder)
        assert done.returncode == 2
        assert "running" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    finally:
        process.kill()
        process.wait()


def test_an_interrupt_leaves_a_record_that_resumes(uninterrupted, tmp_path):
    process, folder = begin(tmp_path, "--preset", "badnets", *SET)
    while not any(isinstance(event, ev.StageStarted) for event in read_events(folder).events):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(timeout=300) == 130
    assert isinstance(read_events(folder).events[-1], ev.RunStopped)
    assert resume(folder).returncode == 0
    assert outcome(folder) == uninterrupted


def test_a_run_killed_before_its_first_event_begins_anew(uninterrupted, tmp_path):
    stopped_after(ev.StageStarted, "attack", tmp_path)
    folder = runs_in(tmp_path)[0]
    (folder / "events.jsonl").write_bytes(b"")
    events = run_all(tiny_config(), tmp_path, resume=folder, cache=False)
    assert isinstance(next(event for event in events if event.seq), ev.RunStarted)
    assert outcome(folder) == uninterrupted
