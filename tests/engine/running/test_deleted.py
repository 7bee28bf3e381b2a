"""A run whose folder is deleted under it, or a part of it, or whose disk fills up: one plain line, nothing remade."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import events as ev
from engine import run
from engine.errors import RecordError, RequestError
from engine.record.folder import RunFolder
from engine.record.reading import read_events
from engine.running.request import RunRequest
from tests.tiny import ENDLESS, runs_in, tiny_config


@pytest.fixture(autouse=True)
def _one_cache(module_cache, monkeypatch) -> None:
    monkeypatch.setenv("NADTUI_CACHE", str(module_cache))


SMALL = (
    *("data.train_images=100", "data.test_images=40", "data.size=16"),
    *("evaluation.samples=1", "evaluation.every=1"),
    *("defenses.nad.teacher.training.epochs=1", "defenses.nad.distill.training.epochs=1"),
)


def lost(out: Path, at: type[ev.Event], strike: Callable[[Path], object], *overrides: str) -> str:
    """What is said when something is done to the run's folder at the first event of that kind."""
    config = tiny_config("badnets", ENDLESS, *SMALL, *overrides)
    struck = False
    with pytest.raises(RecordError) as caught:
        for event in run(RunRequest(config=config, out=out, cache=False)):
            assert not isinstance(event, ev.RunFailed)
            if isinstance(event, at) and not struck:
                struck = True
                strike(runs_in(out)[0])
    assert struck
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("at", [ev.RunStarted, ev.Step, ev.Evaluation])
def test_a_deleted_folder_is_told_and_not_made_again(at, tmp_path):
    assert "the run folder was deleted or moved" in lost(tmp_path, at, shutil.rmtree)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_goes_before_a_checkpoint_is_written_is_not_made_again(tmp_path, monkeypatch):
    """Between an epoch's last event and its checkpoint there is none that would tell."""
    from engine.running import stages

    save = stages.save_weights

    def too_late(path: Path, *arguments: object, **more: object) -> None:
        shutil.rmtree(path.parents[1])
        save(path, *arguments, **more)

    monkeypatch.setattr(stages, "save_weights", too_late)
    assert "the run folder was deleted" in lost(tmp_path, ev.RunStarted, lambda folder: None, "evaluation.every=100")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_moved_is_told_and_its_record_is_sound(tmp_path):
    said = lost(tmp_path / "runs", ev.Evaluation, lambda folder: folder.rename(tmp_path / "elsewhere"))
    assert "deleted or moved" in said
    assert list((tmp_path / "runs").iterdir()) == []
    assert read_events(tmp_path / "elsewhere").damaged == 0


def test_a_deleted_record_is_told(tmp_path):
    said = lost(tmp_path, ev.Step, lambda folder: (folder / "events.jsonl").unlink())
    assert "the record of the run was deleted" in said and "events.jsonl" in said


DISPENSABLE = ("checkpoints", "config.yaml", "heartbeat.json", "run.lock", "trigger.safetensors")


def test_what_a_run_can_do_without_may_go(tmp_path):
    events = []
    for event in run(RunRequest(config=tiny_config("badnets", *SMALL, "training.epochs=2"), out=tmp_path, cache=False)):
        events.append(event)
        if isinstance(event, ev.Step) and event.epoch == 1 and event.stage == "attack":
            (folder,) = runs_in(tmp_path)
            for gone in (folder / name for name in DISPENSABLE):
                shutil.rmtree(gone) if gone.is_dir() else gone.unlink(missing_ok=True)
    assert isinstance(events[-1], ev.RunFinished)


def test_a_disk_that_fills_up_ends_the_run_with_a_plain_line(tmp_path, monkeypatch):
    write = os.write

    def full(folder: Path) -> None:
        record = (folder / "events.jsonl").stat().st_ino

        def refuse(descriptor: int, content: bytes) -> int:
            if os.fstat(descriptor).st_ino == record:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(descriptor, content)

        monkeypatch.setattr(os, "write", refuse)

    said = lost(tmp_path, ev.Step, full)
    assert "cannot write the record" in said and "No space left on device" in said
    (folder,) = runs_in(tmp_path)
    assert read_events(folder).damaged == 0
    monkeypatch.setattr(os, "write", write)
    with RunFolder.open_for_resume(folder):
        pass


def test_a_disk_without_room_for_a_checkpoint_is_a_failed_run(tmp_path, monkeypatch):
    replace = Path.replace

    def full(file: Path, target: Path) -> Path:
        if "safetensors" in file.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(file, target)

    events = []
    for event in run(RunRequest(config=tiny_config("badnets", ENDLESS, *SMALL), out=tmp_path, cache=False)):
        events.append(event)
        if isinstance(event, ev.Evaluation):
            monkeypatch.setattr(Path, "replace", full)
    assert isinstance(events[-1], ev.RunFailed)
    assert "No space left on device" in events[-1].message
    assert not events[-1].traceback


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), UnicodeError("no letters")])
def test_a_run_whose_first_event_cannot_be_recorded_leaves_no_folder(error, tmp_path, monkeypatch):
    def broken(self: RunFolder, line: bytes, sync: bool) -> None:
        raise error

    monkeypatch.setattr(RunFolder, "_write", broken)
    out = tmp_path / "new" / "runs"
    with pytest.raises(RequestError if isinstance(error, OSError) else UnicodeError):
        list(run(RunRequest(config=tiny_config("badnets", *SMALL), out=out, cache=False)))
    assert list(tmp_path.iterdir()) == []
