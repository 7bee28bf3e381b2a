"""A run that is stopped or killed goes on to the very figures it would have had."""

from __future__ import annotations

import os
import random
import signal
import threading
import time

import pytest

from engine import events as ev
from engine.errors import RequestError
from engine.record.store import read_events
from engine.running.job import Job, RunRequest
from tests.tiny import SET, begin, finished, outcome, resume, run_all, runs_in, tiny_config


@pytest.fixture(autouse=True)
def _one_cache(module_cache, monkeypatch) -> None:
    """The drawn signs are drawn once for this module's tests."""
    monkeypatch.setenv("NADTUI_CACHE", str(module_cache))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, module_cache) -> list[tuple]:
    out = tmp_path_factory.mktemp("whole")
    run_all(tiny_config(), out, cache=False)
    return outcome(runs_in(out)[0])


class StopAfter:
    """Stops a job once it has emitted an event of a kind in a stage."""

    def __init__(self, kind: type[ev.Event], stage: str) -> None:
        self.kind, self.stage = kind, stage

    def __call__(self, job: Job) -> list[ev.Event]:
        events = []
        for event in job.events():
            events.append(event)
            if isinstance(event, self.kind) and event.stage == self.stage:
                job.stop()
        return events


@pytest.mark.parametrize(
    ("kind", "stage"),
    [(ev.StageStarted, "attack"), (ev.Evaluation, "attack"), (ev.StageStarted, "teacher"), (ev.Evaluation, "nad")],
)
def test_a_stopped_run_goes_on_where_it_was(kind, stage, uninterrupted, tmp_path):
    job = Job(RunRequest(config=tiny_config(), out=tmp_path, cache=False))
    job.start()
    events = StopAfter(kind, stage)(job)
    assert job.error is None
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
    job = Job(RunRequest(config=tiny_config(), out=tmp_path, cache=False))
    job.start()
    StopAfter(ev.StageStarted, "nad")(job)
    resumed = run_all(tiny_config(), tmp_path, resume=runs_in(tmp_path)[0], cache=False)
    assert list(finished(resumed)) == ["nad"]


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
    process, folder = begin(tmp_path, "--preset", "badnets", *SET)
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
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert isinstance(read_events(folder).events[-1], ev.RunStopped)
    assert resume(folder).returncode == 0
    assert outcome(folder) == uninterrupted


def test_a_run_killed_before_its_first_event_begins_anew(uninterrupted, tmp_path):
    job = Job(RunRequest(config=tiny_config(), out=tmp_path, cache=False))
    job.start()
    StopAfter(ev.StageStarted, "attack")(job)
    folder = runs_in(tmp_path)[0]
    (folder / "events.jsonl").write_bytes(b"")
    events = run_all(tiny_config(), tmp_path, resume=folder, cache=False)
    assert isinstance(next(event for event in events if event.seq), ev.RunStarted)
    assert outcome(folder) == uninterrupted
