"""What a worker makes of a cell whose run, or whose place, is not as it ought to be."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import AbsentError, RecordError, RequestError
from engine.events import RunFailed
from engine.record.layout import RECORD, SUMMARY
from engine.running import pipeline
from engine.sweeps import tries, working
from engine.sweeps.grid import expand
from engine.sweeps.index import Index
from engine.sweeps.layout import RUNS
from tests.scripted_run import record, whole_run
from tests.tiny_sweep import grid

FULL_DISK = os.strerror(errno.ENOSPC)


def expanded() -> Index:
    return expand(grid()).index


def said(folder: Path, monkeypatch: pytest.MonkeyPatch, end: BaseException | RunFailed) -> tuple[int, str]:
    """How a cell ends whose run ends so."""

    def run(*_: object) -> Iterator[RunFailed]:
        if isinstance(end, BaseException):
            raise end
        yield end

    monkeypatch.setattr(pipeline, "run", run)
    (cell,) = expanded().cells
    told = working.carry_out(expanded().config(cell).to_yaml(), str(folder), cell.id)
    assert told["run"] == cell.id
    assert tries.of(folder, cell.id).failed is (told["code"] in tries.FINAL)
    return told["code"], told["error"]


def wrapped() -> RequestError:
    error = RequestError("teacher.model: it was not typed")
    error.__cause__ = AbsentError("it was not typed")
    return error


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (AbsentError("data set '/x.npz': no such file or folder"), working.ABSENT),
        (wrapped(), working.ABSENT),
        (RequestError("attack.target = 99"), working.WRONG),
        (RequestError(f"cannot write x: {FULL_DISK}"), working.FULL),
        (RecordError(f"cannot write the record: x: {FULL_DISK}"), working.FULL),
        (RecordError("the record of the run was deleted or moved"), working.FAILED),
        (RunFailed(stage="nad", message=f"cannot write nad.safetensors: {FULL_DISK}"), working.FULL),
        (RunFailed(stage="nad", message="loss is not finite"), working.FAILED),
    ],
)
def test_what_is_no_fault_of_the_cells_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: BaseException | RunFailed, code: int
):
    assert said(tmp_path, monkeypatch, end) == (code, getattr(end, "message", str(end)))


def test_a_sweeps_folder_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "tries").write_text("a file in its place")
    told = working.carry_out("", str(tmp_path), "cell")
    assert told["code"] == working.FULL and "cannot write" in told["error"]


def test_a_damaged_summary_is_made_anew_from_the_record(tmp_path: Path):
    run = record(tmp_path / RUNS, whole_run(), summary=True)
    whole = json.loads((run / SUMMARY).read_text())
    (run / SUMMARY).write_text('{"schema": 2, "sta')
    assert working.carry_out("", str(tmp_path), run.name)["code"] == working.DONE
    assert json.loads((run / SUMMARY).read_text()) == whole


def test_of_a_damaged_record_no_summary_is_made(tmp_path: Path):
    run = record(tmp_path / RUNS, whole_run(), summary=True)
    (run / SUMMARY).write_text("{")
    lines = (run / RECORD).read_bytes().splitlines(keepends=True)
    (run / RECORD).write_bytes(b"".join([*lines[:5], b"{torn\n", *lines[6:]]))
    told = working.carry_out("", str(tmp_path), run.name)
    assert told["code"] == working.FAILED and "nor can all of its record" in told["error"]
    assert tries.of(tmp_path, run.name).failed


def test_a_summary_that_cannot_be_read_for_now_is_left_alone(tmp_path: Path):
    (tmp_path / RUNS / "cell" / SUMMARY).mkdir(parents=True)
    told = working.carry_out("", str(tmp_path), "cell")
    assert told["code"] == working.ABSENT and (tmp_path / RUNS / "cell" / SUMMARY).exists()


def test_a_folder_that_is_no_runs_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (cell,) = expanded().cells
    run = tmp_path / RUNS / cell.id
    run.mkdir(parents=True)
    (run / "left-over").touch()
    seen = []
    monkeypatch.setattr(pipeline, "run", lambda request, control: seen.append(request.resume) or iter(()))
    working.carry_out(expanded().config(cell).to_yaml(), str(tmp_path), cell.id)
    assert seen == [None] and not run.exists()
