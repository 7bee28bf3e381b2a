"""Hosts: a run carried out here and a run followed in its record, as a screen sees them."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from engine.record import store
from engine.running import mailbox
from engine.errors import RequestError
from engine.events import Event, RunFailed, RunPaused, RunStarted, RunStopped
from engine.running.job import RunRequest
from engine.config.presets import resolve
from nadtui.runs import hosting
from nadtui.runs.hosting import JobHost, Watcher
from tests import scripted_run, showcase


class StagedJob:
    """Plays a script up to each `let` of the test, and notes what was asked of it."""

    def __init__(self, script: Sequence[Event], *, error: BaseException | None = None) -> None:
        self.error: BaseException | None = None
        self.asked: list[str] = []
        self.paused = False
        self.on_stop: list[Event] = []
        self._script = list(script)
        self._error = error
        self._allowed = threading.Semaphore(0)
        self._stopped = threading.Event()

    def let(self, count: int = 1_000_000) -> None:
        for _ in range(min(count, len(self._script) + 1)):
            self._allowed.release()

    def start(self) -> None:
        self.asked.append("start")

    def pause(self) -> None:
        self.asked.append("pause")
        self.paused = True

    def resume(self) -> None:
        self.asked.append("resume")
        self.paused = False

    def stop(self) -> None:
        self.asked.append("stop")
        self._stopped.set()
        self._allowed.release()

    def events(self, timeout: float | None = None) -> Iterator[Event | None]:
        for event in self._script:
            self._allowed.acquire()
            if self._stopped.is_set():
                yield from self.on_stop
                return
            yield event
        self._allowed.acquire()
        self.error = self._error


def request(out: Path, **values: object) -> RunRequest:
    return RunRequest(config=resolve("badnets", dataset="signs"), out=out, **values)


def job_host(out: Path, job: StagedJob) -> JobHost:
    host = JobHost(request(out), lambda _: job)
    host.start()
    return host


def until(holds: Callable[[], bool], host: hosting.Host | None = None, seconds: float = 120.0) -> None:
    """Wait until it holds, taking over what the host has meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if host is not None:
            host.drain()
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to hold")


# --- a run carried out here ---


def test_a_view_changes_only_when_it_is_drained(tmp_path):
    job = StagedJob(scripted_run.whole_run())
    host = job_host(tmp_path, job)
    job.let(5)
    until(lambda: len(host._waiting) == 5)
    assert host.view.events == 0
    assert host.drain()
    assert host.view.events == 5
    assert not host.drain()
    job.let()
    host.join(10)


def test_a_whole_run_from_start_to_end(tmp_path):
    job = StagedJob(scripted_run.whole_run())
    host = job_host(tmp_path, job)
    assert (host.state, host.live, host.title) == ("new", True, "new run")
    job.let(4)
    until(lambda: host.view.run != "", host)
    assert (host.state, host.title) == ("running", scripted_run.RUN)
    assert host.folder == tmp_path / scripted_run.RUN
    job.let()
    until(lambda: not host.live, host)
    assert host.state == "finished"
    assert host.notice == ""
    assert [line.text for line in host.log if "a line of the log" in line.text]


def test_what_is_asked_is_shown_before_it_is_done(tmp_path):
    job = StagedJob(scripted_run.whole_run())
    host = job_host(tmp_path, job)
    job.let(8)
    until(lambda: host.view.events == 8, host)
    host.pause()
    assert (host.state, host.paused) == ("pausing", True)
    host.resume()
    assert host.state == "running"
    job.on_stop = [RunStopped(stage="attack", epoch=0, seq=99, time=scripted_run.START + 60)]
    host.stop()
    assert host.state == "stopping"
    until(lambda: not host.live, host)
    assert host.state == "stopped"
    assert job.asked == ["start", "pause", "resume", "stop"]


def test_a_paused_run_says_so(tmp_path):
    script = [*scripted_run.whole_run()[:8], RunPaused(paused=True, seq=9, time=scripted_run.START + 9)]
    job = StagedJob(script)
    host = job_host(tmp_path, job)
    host.pause()
    job.let(9)
    until(lambda: host.view.events == 9, host)
    assert host.state == "paused"
    job.let()


def test_a_wrong_request_is_told_in_its_own_words(tmp_path):
    job = StagedJob([], error=RequestError("data.name = 'x': no such data set"))
    host = job_host(tmp_path, job)
    job.let()
    until(lambda: not host.live, host)
    assert host.state == "failed"
    assert host.notice == "data.name = 'x': no such data set"
    assert host.folder is None


def test_a_failed_run_tells_why_and_where_its_record_is(tmp_path):
    failed = RunFailed(stage="nad", message="out of memory", seq=9, time=scripted_run.START + 9)
    job = StagedJob([*scripted_run.whole_run()[:8], failed])
    host = job_host(tmp_path, job)
    job.let()
    until(lambda: not host.live, host)
    assert host.state == "failed"
    assert "failed in nad: out of memory" in host.notice
    assert str(tmp_path / scripted_run.RUN) in host.notice


def test_a_mistake_of_ours_is_told_and_kept_apart(tmp_path):
    job = StagedJob(scripted_run.whole_run()[:6], error=ZeroDivisionError("division by zero"))
    host = job_host(tmp_path, job)
    job.let()
    until(lambda: not host.live, host)
    assert host.state == "failed"
    assert "ZeroDivisionError: division by zero" in host.notice


def test_a_resumed_run_shows_what_it_had(tmp_path):
    folder = showcase.write(tmp_path, showcase.record(stages=1))
    job = StagedJob([])
    host = JobHost(request(tmp_path, resume=folder), lambda _: job)
    host.start()
    until(lambda: host.view.events > 0, host)
    assert host.view.stages["attack"].state == "finished"
    assert host.title == folder.name
    job.let()


def test_an_event_that_makes_no_sense_is_counted_and_left_out(tmp_path):
    fold = hosting.Fold()
    for event in scripted_run.whole_run()[:6]:
        fold.take(event)
    broken = dataclasses.replace(scripted_run.whole_run()[5], stage=["no", "name"])
    fold.take(broken)
    assert fold.damaged == 1
    fold.take(scripted_run.whole_run()[6])
    assert fold.view.stages["attack"].step == 10


def test_the_log_is_bounded_and_counted(tmp_path):
    fold = hosting.Fold()
    for number in range(hosting.LOG_LINES + 10):
        fold.take(hosting.events.Message(text=f"line {number}", time=1.0))
    assert len(fold.log) == hosting.LOG_LINES
    assert fold.logged == hosting.LOG_LINES + 10


# --- a run followed in its record ---


@pytest.fixture
def quick(monkeypatch) -> None:
    monkeypatch.setattr(hosting, "POLL_S", 0.02)
    monkeypatch.setattr(hosting, "REST_S", 0.02)


@pytest.fixture
def watch(quick) -> Iterator[Callable[[Path], Watcher]]:
    made: list[Watcher] = []

    def begin(folder: Path) -> Watcher:
        watcher = Watcher(folder)
        made.append(watcher)
        watcher.start()
        return watcher

    yield begin
    for watcher in made:
        watcher.close()
        watcher._reader.join(10)


def append(folder: Path, events: Sequence[Event]) -> None:
    with (folder / "events.jsonl").open("a") as file:
        file.write("".join(event.to_json() + "\n" for event in events))


def test_a_finished_run_opens_as_it_ended(tmp_path, watch):
    host = watch(showcase.write(tmp_path, showcase.record()))
    until(lambda: host.state == "finished", host)
    assert host.view.finished is not None
    assert not host.live
    assert host.memory == 700 * 2**20


def test_a_run_that_another_process_writes_is_followed(tmp_path, watch):
    events = showcase.record()
    folder = showcase.write(tmp_path, events[:30])
    host = watch(folder)
    until(lambda: host.view.events == 30, host)
    append(folder, events[30:50])
    until(lambda: host.view.events == 50, host)


def test_a_run_whose_process_is_gone_has_crashed(tmp_path, watch):
    host = watch(showcase.write(tmp_path, showcase.record(until=40)))
    until(lambda: host.state == "crashed", host)
    assert "R goes on" in host.notice
    assert not host.live


def test_a_folder_deleted_under_our_eyes_keeps_what_was_read(tmp_path, watch):
    folder = showcase.write(tmp_path, showcase.record(until=40))
    host = watch(folder)
    until(lambda: host.state == "crashed", host)
    seen = host.view.events
    for file in sorted(folder.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    folder.rmdir()
    until(lambda: host.state == "deleted", host)
    assert "is gone" in host.notice
    assert host.view.events == seen


def test_a_folder_that_was_never_there_is_shown_as_such(tmp_path, watch):
    host = watch(tmp_path / "nothing")
    until(lambda: host.state == "deleted", host)
    assert host.view.events == 0


def test_a_record_of_a_newer_schema_is_shown_as_such(tmp_path, watch):
    first, *rest = showcase.record(until=10)
    assert isinstance(first, RunStarted)
    host = watch(showcase.write(tmp_path, [dataclasses.replace(first, schema=store.SCHEMA + 1), *rest]))
    until(lambda: host.state == "newer", host)
    assert "newer nadtui" in host.notice


def test_damaged_lines_are_left_out_and_counted(tmp_path, watch):
    folder = showcase.write(tmp_path, showcase.record())
    lines = (folder / "events.jsonl").read_text().splitlines()
    lines[7] = lines[7][:20]
    lines[9] = "\x00\x01"
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n")
    host = watch(folder)
    until(lambda: host.state == "finished", host)
    assert "2 damaged lines" in host.notice
    assert host.view.events == len(lines) - 2


def test_a_damaged_summary_is_shown_as_such(tmp_path, watch):
    folder = showcase.write(tmp_path, showcase.record())
    (folder / "summary.json").write_text("{")
    host = watch(folder)
    until(lambda: host.state == "damaged", host)
    assert "cannot be read" in host.notice
    assert host.view.stages["nad"].finished is not None


def test_a_record_that_begins_anew_replaces_the_view(tmp_path, watch):
    folder = showcase.write(tmp_path, showcase.record())
    (folder / "summary.json").unlink()
    host = watch(folder)
    until(lambda: host.view.events > 100, host)
    fresh = tmp_path / "fresh"
    fresh.write_text("".join(event.to_json() + "\n" for event in showcase.record(until=12)))
    fresh.replace(folder / "events.jsonl")
    until(lambda: host.view.events == 12, host)
    assert host.view.stages["nad"].state == "pending"


def test_a_live_writer_of_this_machine_is_known(tmp_path, watch):
    config = request(tmp_path).config
    with store.RunFolder.create(
        tmp_path, preset="badnets", dataset="signs", seed=0, config_yaml=config.to_yaml()
    ) as folder:
        for event in showcase.record(until=20):
            folder.append(event)
        host = watch(folder.path)
        until(lambda: host.state == "running", host)
        assert host.live
        until(lambda: host.memory > 0, host)
        assert host.memory == pytest.approx(hosting.own_memory(), rel=0.5)
        assert f"process {os.getpid()}" in host.ask("pause")
        assert host.state == "pausing"
        assert mailbox.take(folder.path) == "pause"
        folder.append(RunPaused(paused=True))
        until(lambda: host.state == "paused", host)
        folder.append(RunPaused(paused=False))  # somebody else asked for that
        until(lambda: host.state == "running", host)
        assert "go on" in host.ask("resume")
        host.ask("stop")
        assert (host.state, host.live) == ("stopping", True)
        assert mailbox.take(folder.path) == "stop"
    until(lambda: host.state == "crashed", host)
    assert host.ask("stop") == "the run is not under way"
    assert mailbox.take(folder.path) is None


# --- going on without the workbench ---


def started(monkeypatch) -> list[tuple[list[str], dict]]:
    calls: list[tuple[list[str], dict]] = []

    class Process:
        pid = 4711

        def __init__(self, command: list[str], **options: object) -> None:
            calls.append((command, options))

    monkeypatch.setattr(hosting.subprocess, "Popen", Process)
    return calls


def test_a_detached_run_is_resumed_headless_in_a_session_of_its_own(tmp_path, monkeypatch):
    calls = started(monkeypatch)
    folder = showcase.write(tmp_path, showcase.record(until=20))
    detached = hosting.detach(request(tmp_path, cache=False), folder)
    assert (detached.process.pid, detached.folder, detached.log) == (4711, folder, folder / "headless.log")
    ((command, options),) = calls
    assert command[:4] == [sys.executable, "-m", "nadtui", "run"]
    assert "--headless" in command
    assert "--no-cache" in command
    assert command[command.index("--resume") + 1] == str(folder)
    assert command[command.index("--out") + 1] == str(tmp_path)
    assert options["start_new_session"] is True


def test_a_run_without_a_record_begins_anew_from_its_configuration(tmp_path, monkeypatch):
    calls = started(monkeypatch)
    given = request(tmp_path)
    hosting.detach(given, None)
    ((command, _),) = calls
    assert "--resume" not in command
    file = Path(command[command.index("--config") + 1])
    assert resolve(None, config_file=file) == given.config
    file.unlink()
    file.with_suffix(".log").unlink()


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("import time; time.sleep(60)", "is being started without the workbench, process"),
        ("print('error: the disk is full'); raise SystemExit(2)", "could not go on: error: the disk is full"),
        ("pass", "has gone on to its end"),
    ],
)
def test_a_detached_run_is_seen_off(tmp_path, does, said):
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", does], stdout=output)
    try:
        run = hosting.Detached("a run", tmp_path, process, log)
        assert said in hosting.see_off(run, 60.0 if "time" not in does else 0.3)
    finally:
        process.kill()
        process.wait()


def test_a_detached_run_that_writes_its_record_goes_on(tmp_path):
    with (
        store.RunFolder.create(tmp_path, preset="badnets", dataset="signs", seed=0, config_yaml="{}") as folder,
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process,
    ):
        run = hosting.Detached(folder.id, folder.path, process, tmp_path / "log")
        assert "goes on without the workbench" in hosting.see_off(run, 60.0)
        process.kill()


# --- more epochs ---


@pytest.mark.parametrize(
    ("stage", "path"),
    [
        ("attack", ("training", "epochs")),
        ("teacher", ("teacher", "training", "epochs")),
        ("nad", ("distill", "training", "epochs")),
    ],
)
def test_a_stage_gets_more_epochs_and_nothing_else_changes(tmp_path, stage, path):
    given = request(tmp_path)
    before = given.config.to_dict()
    after = hosting.with_more_epochs(given, stage, 77).config.to_dict()
    inner = after
    for name in path[:-1]:
        inner = inner[name]
    assert inner[path[-1]] == 77
    assert hosting.epochs_of(hosting.with_more_epochs(given, stage, 77), stage) == 77
    inner[path[-1]] = hosting.epochs_of(given, stage)
    assert after == before


def test_a_further_defense_keeps_the_schedule_it_had_from_nad(tmp_path):
    config = resolve("badnets", overrides=[{"defenses": {"fine-tuning": {}}}])
    given = RunRequest(config=config, out=tmp_path)
    after = hosting.with_more_epochs(given, "fine-tuning", 33).config
    wanted = config.distill.training.model_copy(update={"epochs": 33})
    assert after.defenses["fine-tuning"].training == wanted


def test_a_stage_that_has_no_epochs_is_refused(tmp_path):
    with pytest.raises(RequestError):
        hosting.epochs_of(request(tmp_path), "nothing")
    assert json.dumps(request(tmp_path).config.to_dict())
