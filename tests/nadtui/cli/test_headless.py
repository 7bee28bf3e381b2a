"""The headless view on scripted runs: what goes to which stream, how it ends, what signals do."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from engine.errors import RecordError, RequestError
from engine.events import Event, Message, Preparing, Queued, RunFailed, RunResumed, RunStopped, StageStarted
from engine.record.view import RunView, fold
from engine.storage.paths import runs_dir
from nadtui.cli import headless, live
from nadtui.cli.exits import ExitCode
from nadtui.runs import narrate, wishes
from tests.scripted_run import RUN, START, FakeJob, health, run_started, stage, timed, whole_run

ROOT = Path(__file__).parents[3]
ESCAPE = "\x1b"


def follow(job: FakeJob, view: RunView | None = None, *, json: bool = False) -> ExitCode:
    return headless.follow(job, view or RunView(), runs_dir(), json=json)


def test_a_finished_run_leaves_a_table_on_stdout_and_its_course_on_stderr(capsys: pytest.CaptureFixture[str]):
    job = FakeJob([None, *whole_run(), None])
    assert follow(job) == ExitCode.DONE
    assert job.started
    out, err = capsys.readouterr()
    table = [line.split() for line in out.splitlines()]
    assert table[0][:2] == ["stage", "ACC"]
    assert [(row[0], row[1]) for row in table[1:]] == [("attack", "97.0"), ("teacher", "96.0"), ("nad", "96.5")]
    assert "[96.0," in table[1] and table[3][-1] == "20.0"
    for wanted in (
        "data set signs",
        f"run {RUN}: badnets on signs, seed 0, wrn-16-1, cpu",
        "attack: 3 epochs of 10 steps",
        "attack: epoch 1/3  ACC 60.0  ASR 90.0  loss 2  1,650 images/s",
        "attack: done in 0:20  ACC 97.0  ASR 100.0",
        "nad: attention's share of the loss: group1 32x32 20.0 %",
        "a line of the log",
        f"record: {runs_dir() / RUN}",
    ):
        assert wanted in err
    assert ESCAPE not in out + err


def test_json_is_one_document_and_nothing_else(capsys: pytest.CaptureFixture[str]):
    assert follow(FakeJob(whole_run()), json=True) == ExitCode.DONE
    out, _ = capsys.readouterr()
    assert [s["stage"] for s in json.loads(out)["stages"]] == ["attack", "teacher", "nad"]


def test_a_failed_run_exits_1_and_shows_what_it_had(capsys: pytest.CaptureFixture[str]):
    failed = RunFailed(seq=99, time=START + 40, stage="nad", message="loss is not finite\nat step 3")
    script = [event for event in whole_run() if event.time < START + 25]
    assert follow(FakeJob([*script, failed])) == ExitCode.FAILED
    out, err = capsys.readouterr()
    assert "97.0" in out
    assert r"error: the run failed in nad: loss is not finite\nat step 3" in err
    assert f"record: {runs_dir() / RUN}" in err


def test_a_failed_run_still_prints_its_json(capsys: pytest.CaptureFixture[str]):
    script = timed([run_started(), RunFailed(stage="attack", message="no memory")])
    assert follow(FakeJob(script), json=True) == ExitCode.FAILED
    assert json.loads(capsys.readouterr().out)["status"] == "failed"


def test_a_wrong_request_is_raised_before_anything_is_printed(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(RequestError, match="no such class"):
        follow(FakeJob([Preparing(what="data")], error=RequestError("attack.target: no such class")), json=True)
    assert capsys.readouterr().out == ""


def test_a_record_that_cannot_be_written_any_more_is_a_failed_run(capsys: pytest.CaptureFixture[str]):
    job = FakeJob(timed([run_started()]), error=RequestError("cannot write events.jsonl: No space left on device"))
    assert follow(job) == ExitCode.FAILED
    assert "No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize("there", [True, False])
def test_a_record_that_is_gone_is_a_plain_line(there: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    if there:
        (tmp_path / RUN).mkdir()
    job = FakeJob(timed([run_started()]), error=RecordError("cannot write the record: it was deleted"))
    assert headless.follow(job, RunView(), tmp_path, json=False) == ExitCode.FAILED
    lines = capsys.readouterr().err.splitlines()
    assert "error: the run cannot go on: cannot write the record: it was deleted" in lines
    assert ("to go on: " in lines[-1]) is there
    assert not any("Traceback" in line or "report" in line for line in lines)


def test_our_own_mistake_is_told_with_its_traceback(capsys: pytest.CaptureFixture[str]):
    assert follow(FakeJob([], error=KeyError("group9"))) == ExitCode.FAILED
    err = capsys.readouterr().err
    assert "Traceback" in err or "KeyError" in err
    assert "please report" in err


def test_foreign_text_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]):
    script = [*whole_run()[:3], Message(seq=9, time=START + 9, text="\x1b]0;owned\x07\x9b2J [red]x", level="warning")]
    follow(FakeJob([*script, RunFailed(seq=10, time=START + 10, stage="\x1b[2J", message="m")]))
    out, err = capsys.readouterr()
    assert not {"\x1b", "\x07", "\x9b"} & set(out + err)
    assert r"warning: \x1b]0;owned\x07\x9b2J [red]x" in err


def test_preparation_takes_a_few_lines_however_often_it_reports(capsys: pytest.CaptureFixture[str]):
    reports: list[Event] = [Preparing(what="downloading", done=done, total=1_000) for done in range(1_001)]
    follow(FakeJob(reports))
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "downloading" in line] == [
        "downloading: 0 %",
        "downloading: 25 %",
        "downloading: 50 %",
        "downloading: 75 %",
        "downloading: 100 %",
    ]


def test_waiting_tells_the_place_in_line_and_who_is_before():
    said = narrate.waiting(Queued(position=2, holders=("run-a (pid 7)", "run-b (pid 8)")))
    assert said == "waits for the machine, 2nd in line; held by run-a (pid 7), run-b (pid 8)"


def test_a_dead_tap_is_marked():
    assert "DEAD" in narrate.health(health("nad", share=0.0))
    assert "DEAD" not in narrate.health(health("nad", share=0.1))


def test_a_model_that_was_taken_over_is_said_to_be(capsys: pytest.CaptureFixture[str]):
    script = timed([run_started(), *stage("attack", [(97.0, 100.0)], cached=True)])
    assert follow(FakeJob([*script, RunStopped(seq=50, time=START + 50, stage="teacher", epoch=0)])) == 130
    out, err = capsys.readouterr()
    assert "attack: cached, not trained  ACC 97.0  ASR 100.0" in err
    assert "cached" in out
    assert f"nadtui run --resume {RUN} --headless" in err


def test_a_resumed_run_shows_what_it_had_before(capsys: pytest.CaptureFixture[str]):
    before = fold(timed([run_started(), *stage("attack", [(97.0, 100.0)])]))
    rest = [RunResumed(stage="teacher", epoch=0), *stage("teacher", [(96.0, 10.0)])]
    stopped = RunStopped(seq=99, time=START + 200, stage="nad", epoch=0)
    assert follow(FakeJob([*timed(rest, start=START + 100, first=50), stopped]), before) == ExitCode.INTERRUPTED
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["stage", "attack", "teacher"]
    assert "goes on with teacher\n" in err


def test_a_run_kept_elsewhere_is_named_by_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The commands that are suggested must find it without --out."""
    headless.follow(FakeJob(whole_run()), RunView(), tmp_path, json=False)
    assert f"nadtui show {tmp_path / RUN} " in capsys.readouterr().err


def picture(view: RunView, width: int, now: float, **console: object) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=True, legacy_windows=False, **console).print(
        live.picture(view, now)
    )
    return stream.getvalue()


@pytest.fixture
def halfway() -> RunView:
    """The teacher's second epoch."""
    return fold(event for event in whole_run() if event.time <= START + 24)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_picture_fits_any_width(halfway: RunView, width: int):
    lines = picture(halfway, width, START + 30, no_color=True, color_system=None).splitlines()
    assert len(lines) == 5
    assert all(len(line) <= width for line in lines)


def test_the_picture_shows_every_stage_and_what_goes_on(halfway: RunView):
    lines = picture(halfway, 80, START + 24, no_color=True, color_system=None).splitlines()
    assert "badnets on signs" in lines[0]
    assert "✓ attack" in lines[1] and "3/3 ACC  97.0 ASR 100.0" in lines[1]
    assert "▸ teacher" in lines[2] and "ACC  95.0 ASR  40.0" in lines[2]
    assert "· nad" in lines[3] and "ACC" not in lines[3]
    assert "ETA" in lines[4] and "1,650 images/s" in lines[4] and "cross-entropy" in lines[4]


def test_the_picture_has_no_color_where_none_is_wanted(halfway: RunView, monkeypatch: pytest.MonkeyPatch):
    assert f"{ESCAPE}[3" in picture(halfway, 80, START, color_system="standard")
    monkeypatch.setenv("NO_COLOR", "1")
    assert f"{ESCAPE}[3" not in picture(halfway, 80, START, color_system="standard")


def test_painting_is_bounded_by_the_clock(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    paints = []
    view = fold(whole_run()[:5])
    display = live.LiveDisplay(view, keep=True, clock=lambda: now[0])
    monkeypatch.setattr(display._live, "update", lambda *args, **kwargs: paints.append(now[0]))
    event = StageStarted(stage="attack", epochs=1, steps=1)
    for tick in range(1_000):
        now[0] = tick / 100
        display.tell(event)
    assert len(paints) <= 10 * live.PAINTS_A_SECOND + 1
    assert len(paints) >= 10 * live.PAINTS_A_SECOND - 2


ENDLESS = """
import sys, time
from engine.events import RunStopped
from engine.storage.paths import runs_dir
from engine.record.view import RunView
from nadtui.cli import headless
from tests.scripted_run import FakeJob, run_started, timed

class Endless(FakeJob):
    def events(self, timeout=None):
        yield from timed([run_started()])
        print("ready", flush=True)
        while not (self.stops and {gives_in}):
            time.sleep(0.02)
            yield None
        yield RunStopped(seq=9, time=time.time(), stage="attack", epoch=1)

sys.exit(headless.follow(Endless([]), RunView(), runs_dir(), json=False))
"""


def endless(*, gives_in: bool) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS.format(gives_in=gives_in)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_stops_the_run_and_says_how_to_go_on(number: signal.Signals):
    process = endless(gives_in=True)
    process.send_signal(number)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Ctrl-C again leaves at once" in err and f"nadtui run --resume {RUN} --headless" in err
    assert "Traceback" not in err


def test_two_signals_leave_at_once():
    process = endless(gives_in=False)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert any("Ctrl-C again leaves at once" in line for line in iter(process.stderr.readline, ""))
    assert process.poll() is None
    time.sleep(wishes.SAME_WISH_S)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_the_handlers_of_others_come_back(capsys: pytest.CaptureFixture[str]):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    follow(FakeJob(whole_run()))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
