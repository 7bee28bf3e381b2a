"""Runs to export: a whole one, one that failed, one whose texts are hostile, and some to compare."""

import dataclasses
from pathlib import Path

import pytest

from engine.events import RunFailed
from engine.record.state import RunState
from engine.record.view import fold
from nadtui.runs.digest import Report
from nadtui.runs.loading import load
from tests import run_folders, scripted_run
from tests.scripted_run import START, record, whole_run

HOSTILE = "<script>alert(1)</script> | `x` *b* [l](http://e) \x1b[31m\u202e"
MARKUP = "<script>alert(1)</script>&\"'\x1b[31m"


@pytest.fixture
def unfinished(tmp_path: Path) -> Report:
    """A run that failed in its teacher's second epoch."""
    script = [event for event in whole_run() if event.time <= START + 24]
    failed = RunFailed(seq=99, time=START + 30, stage="teacher", message=HOSTILE)
    return load(str(record(tmp_path / "unfinished", [*script, failed])), None)


@pytest.fixture
def hostile() -> Report:
    """A stranger's record: markup in every text."""
    settings = run_folders.config()
    settings["preset"] = MARKUP
    settings["attack"]["name"] = MARKUP
    events = run_folders.script(MARKUP, settings)
    events = [
        dataclasses.replace(event, stage=MARKUP) if getattr(event, "stage", "") == "teacher" else event
        for event in events
    ]
    started = events[0]
    events[0] = dataclasses.replace(
        started,
        plan=tuple(
            dataclasses.replace(stage, name=MARKUP) if stage.name == "teacher" else stage for stage in started.plan
        ),
    )
    return Report(Path("x"), fold(scripted_run.timed(events)), RunState.FINISHED)


@pytest.fixture
def reports(tmp_path: Path) -> list[Report]:
    made = [
        run_folders.write(tmp_path, "20260101-120000-sig-signs-s0", preset="sig", asr=2.0),
        run_folders.write(tmp_path, "20260101-120100-sig-signs-s1", preset="sig", seed=1, asr=4.0),
        run_folders.write(tmp_path, "20260101-120200-badnets-signs-s0", asr=1.0),
    ]
    return [load(str(folder), None) for folder in made]
