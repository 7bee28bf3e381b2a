"""A run followed in its record, whoever writes it and however it ends."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from engine.events import SCHEMA, Event, RunPaused, RunStarted
from engine.record.codec import encode
from engine.record.folder import RunFolder
from engine.record.state import RunState
from engine.running import mailbox
from nadtui.runs import watching
from nadtui.runs.fold import Fold
from nadtui.runs.memory import own_memory
from nadtui.runs.watching import Watcher
from tests import showcase
from tests.staged_job import request, until


@pytest.fixture
def quick(monkeypatch) -> None:
    monkeypatch.setattr(watching, "POLL_S", 0.02)
    monkeypatch.setattr(watching, "REST_S", 0.02)


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
        file.write("".join(encode(event) + "\n" for event in events))


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
    host = watch(showcase.write(tmp_path, [dataclasses.replace(first, schema=SCHEMA + 1), *rest]))
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
    fresh.write_text("".join(encode(event) + "\n" for event in showcase.record(until=12)))
    fresh.replace(folder / "events.jsonl")
    until(lambda: host.view.events == 12, host)
    assert host.view.stages["nad"].state == "pending"


def test_a_live_writer_of_this_machine_is_known(tmp_path, watch):
    config = request(tmp_path).config
    with RunFolder.create(tmp_path, preset="badnets", dataset="signs", seed=0, config_yaml=config.to_yaml()) as folder:
        for event in showcase.record(until=20):
            folder.append(event)
        host = watch(folder.path)
        until(lambda: host.state == "running", host)
        assert host.live
        until(lambda: host.memory > 0, host)
        assert host.memory == pytest.approx(own_memory(), rel=0.5)
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


def test_a_state_is_not_shown_before_what_led_to_it(tmp_path, watch, monkeypatch):
    events = showcase.record()
    folder = showcase.write(tmp_path, events[:30])

    def ends_now(_: Path) -> RunState:
        append(folder, events[30:])
        monkeypatch.setattr(watching, "status", lambda _: RunState.FINISHED)
        return RunState.FINISHED

    monkeypatch.setattr(watching, "status", ends_now)
    monkeypatch.setattr(watching, "REST_S", 600.0)
    host = watch(folder)
    until(lambda: host.state is RunState.FINISHED, host)
    assert host.view.finished is not None


def test_what_follows_a_new_beginning_is_not_taken_for_the_old_run(tmp_path, monkeypatch):
    """The thread may read on while the interface takes over what it has read so far."""
    events = showcase.record()
    host = Watcher(showcase.write(tmp_path, events))
    host._hand_over(events[1:3])
    take = Fold.take

    def meanwhile(fold: Fold, event: Event) -> None:
        monkeypatch.setattr(Fold, "take", take)
        host._hand_over(events[:12])
        host._hand_over(events[12:15])
        take(fold, event)

    monkeypatch.setattr(Fold, "take", meanwhile)
    host.drain()
    host.drain()
    assert host.view.events == 15
