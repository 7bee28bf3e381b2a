"""Streams that are closed, full, or whose reader leaves: they decide nothing but what can be read there."""

from __future__ import annotations

import errno
import io
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from engine.record.reading import read_events
from engine.record.view import RunView
from engine.storage.paths import runs_dir
from nadtui import diagnostics
from nadtui.cli import headless, output
from nadtui.cli.exits import ExitCode
from nadtui.cli.main import dispatch
from nadtui.cli.plain_display import PlainDisplay
from tests.headless import FEW, run
from tests.scripted_run import RUN, FakeJob, whole_run
from tests.tiny import runs_in

ROOT = Path(__file__).parents[3]
COMMAND = shlex.join([sys.executable, "-m", "nadtui"])
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a full device")


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What becomes of a shell's command line."""
    given = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(["bash", "-c", line], env=given, capture_output=True, text=True, check=False)


@FULL
@pytest.mark.parametrize("command", ["models", "models --json", "defenses show nad"])
@pytest.mark.parametrize(("where", "why"), [(">&-", "it is closed"), (">/dev/full", "No space left on device")])
def test_a_listing_that_cannot_be_written_says_so_in_one_line(command, where, why):
    done = shell(f"{COMMAND} {command} {where}")
    assert done.returncode == ExitCode.FAILED
    assert done.stderr == f"error: cannot write to standard output: {why}\n"


@FULL
@pytest.mark.parametrize("command", ["--version", "--help"])
def test_what_the_command_line_itself_prints_brings_no_traceback(command):
    done = shell(f"{COMMAND} {command} >/dev/full")
    assert done.returncode == ExitCode.FAILED
    assert len(done.stderr.splitlines()) == 1 and "No space left on device" in done.stderr


@FULL
@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", "<&-"])
def test_standard_error_and_input_decide_nothing(where):
    done = shell(f"{COMMAND} models {where}")
    assert done.returncode == ExitCode.DONE
    assert "wrn" in done.stdout
    wrong = shell(f"{COMMAND} show nothing {where}")
    assert wrong.returncode == ExitCode.WRONG_REQUEST


def test_a_reader_that_leaves_is_no_error():
    done = shell(f"set -o pipefail; {COMMAND} models | true")
    assert (done.returncode, done.stderr) == (0, "")


class Broken(io.TextIOBase):
    """A stream that takes nothing."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def write(self, text: str) -> int:
        raise self.error

    def flush(self) -> None:
        raise self.error


ERRORS = [
    BrokenPipeError(errno.EPIPE, "Broken pipe"),
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EIO, "Input/output error"),
    ValueError("I/O operation on closed file"),
]


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_what_standard_error_cannot_take_is_lost_and_nothing_else(error):
    stream = diagnostics.Tolerant(Broken(error))
    assert stream.write("said") == 4
    stream.writelines(["a", "b"])
    stream.flush()
    assert not stream.isatty()


@pytest.mark.parametrize("error", ERRORS[:3], ids=str)
def test_the_exit_code_is_the_runs_whoever_can_read_its_figures(error, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Broken(error))
    for json_wanted in (False, True):
        code = headless.follow(FakeJob(whole_run()), RunView(), runs_dir(), json=json_wanted)
        assert code == ExitCode.DONE
        err = capsys.readouterr().err
        assert f"record: {runs_dir() / RUN}" in err
        assert ("the figures are in the record" in err) is not isinstance(error, BrokenPipeError)


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_a_log_is_no_terminal_whatever_colors_are_forced(variable, monkeypatch, capsys):
    monkeypatch.setenv(variable, "1")
    assert isinstance(headless._display(RunView()), PlainDisplay)
    assert headless.follow(FakeJob(whole_run()), RunView(), runs_dir(), json=False) == ExitCode.DONE
    assert "\x1b" not in capsys.readouterr().err


def test_a_terminal_that_can_do_little_gets_plain_lines(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm-256color")
    assert not isinstance(headless._display(RunView()), PlainDisplay)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(headless._display(RunView()), PlainDisplay)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_an_error_of_the_system_is_one_line(monkeypatch, capsys):
    def broken(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/somewhere")

    monkeypatch.setattr(output, "json_document", broken)
    assert dispatch(["models", "--json"]) == ExitCode.WRONG_REQUEST
    assert capsys.readouterr().err == "error: /somewhere: Permission denied\n"


def a_run(folder: Path, where: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    """A whole run in a process of its own, its streams redirected; and its folder."""
    (folder / "config.yaml").write_text(yaml.safe_dump(FEW))
    out = folder / "runs"
    line = f"{COMMAND} run --headless --no-cache --config {folder / 'config.yaml'} --out {out}"
    line += f" --epochs teacher=1 --epochs nad=1 {where}"
    return shell(f"set -o pipefail; {line}"), out


@FULL
@pytest.mark.parametrize("where", [">&- 2>&-", ">/dev/full 2>/dev/full", "2>&1 >/dev/null | head -1"])
def test_a_run_goes_to_its_end_whatever_becomes_of_its_streams(where, tmp_path):
    done, out = a_run(tmp_path, where)
    assert done.returncode == 0, done
    assert "Traceback" not in done.stdout + done.stderr
    (folder,) = runs_in(out)
    assert json.loads((folder / "summary.json").read_text())["status"] == "finished"
    assert read_events(folder).damaged == 0


ENDLESS = """
import signal, sys, time
from engine.events import RunStopped
from engine.storage.paths import runs_dir
from engine.record.view import RunView
from nadtui import diagnostics
from nadtui.cli import headless
from tests.scripted_run import FakeJob, run_started, timed

signal.signal(signal.SIGHUP, signal.{before})

class Endless(FakeJob):
    def events(self, timeout=None):
        yield from timed([run_started()])
        print("ready", flush=True)
        while self.stops < 1:
            time.sleep(0.02)
            yield None
        print("asked", flush=True)
        sys.stdin.readline()
        yield RunStopped(seq=9, time=time.time(), stage="attack", epoch=1)

diagnostics.take_over()
sys.exit(headless.follow(Endless([]), RunView(), runs_dir(), json=False))
"""


@pytest.fixture
def endless() -> Callable[..., subprocess.Popen[str]]:
    def start(before: str = "SIG_DFL") -> subprocess.Popen[str]:
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", ENDLESS.format(before=before)]
        process = subprocess.Popen(command, text=True, env=environment, **streams)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        return process

    return start


def test_a_terminal_that_goes_stops_the_run_however_often_it_says_so(endless):
    process = endless()
    process.stderr.close()
    process.send_signal(signal.SIGHUP)
    assert process.stdout.readline() == "asked\n"
    process.send_signal(signal.SIGHUP)  # the shell's, after the system's
    process.stdin.write("\n")
    process.stdin.close()
    assert process.wait(timeout=120) == ExitCode.INTERRUPTED
    process.stdout.close()


def test_a_run_that_is_to_outlive_its_terminal_does(endless):
    """As `nohup` has it."""
    process = endless(before="SIG_IGN")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "asked\n", "by the second signal, once"
    _, err = process.communicate("\n", timeout=120)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "stopped in attack after epoch 1" in err


def test_a_wish_that_a_wrapper_tells_twice_is_one(endless):
    """As `timeout` does: to the process, and then to its group."""
    process = endless()
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "asked\n"
    _, err = process.communicate("\n", timeout=120)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "stopped in attack after epoch 1" in err


@pytest.mark.parametrize("results", [io.StringIO, Terminal])
@pytest.mark.parametrize("aside", [io.StringIO, Terminal])
def test_what_others_print_goes_to_standard_error(results, aside, monkeypatch):
    monkeypatch.setattr(sys, "stdout", kept := results())
    monkeypatch.setattr(sys, "stderr", aside())
    with output.kept():
        monkeypatch.setattr(sys, "stderr", live := aside())  # as a live view has it while it lasts
        print("a stranger's", flush=True)  # noqa: T201
        output.line("ours")
        assert output.on_terminal() is kept.isatty()
        assert sys.stdout.isatty() is (kept.isatty() and live.isatty()), "what the workbench needs to be drawn"
    assert sys.stdout is kept
    assert (kept.getvalue(), live.getvalue()) == ("ours\n", "a stranger's\n")


def test_a_networks_file_that_prints_leaves_a_document(tmp_path):
    (tmp_path / "net.py").write_text(TALKATIVE)
    config = {**FEW, "model": {"name": f"{tmp_path / 'net.py'}:Net"}}
    options = ("--no-cache", "--model", config["model"]["name"], "--epochs", "teacher=1", "--epochs", "nad=1")
    assert run(config, *options, path=[ROOT], folder=tmp_path)["status"] == "finished"


TALKATIVE = """
from torch import nn

print("imported")

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        print("built")
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.fc = nn.Linear(8, classes)

    def forward(self, images):
        return self.fc(self.body(images).mean(dim=(2, 3)))
"""


def test_at_the_end_of_a_command_the_collector_looks_through_nothing():
    """All that torch has loaded: a second in which the shell waits."""
    code = (
        "import atexit, gc, sys; atexit.register(lambda: print(gc.get_freeze_count()));"
        "from nadtui.cli.main import main; sys.argv = ['nadtui', '--version']; main()"
    )
    done = shell(f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}")
    assert int(done.stdout.split()[-1]) > 10_000
