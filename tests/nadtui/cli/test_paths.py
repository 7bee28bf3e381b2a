"""Paths on the command line: one way of writing them in every option, and hints that work as they stand."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from engine.errors import RequestError
from nadtui.cli import headless
from nadtui.cli.main import dispatch
from nadtui.runs.naming import typed
from nadtui.runs.request import RunOptions, build_config, build_request
from nadtui.workbench.form import RunForm
from tests import run_folders
from tests.scripted_run import FakeJob, RunView, record, whole_run

RUN = "20260101-120000-badnets-signs-s0"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own; the working directory stays empty: no folder `~` is made there."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


def done(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code = dispatch(list(arguments))
    out, err = capsys.readouterr()
    assert code == 0, err
    assert list(Path.cwd().iterdir()) == []
    return out + err


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs", "--out=~/runs"],
        ["show", "latest", "--out=~/runs"],
        ["show", f"~/runs/{RUN}"],
        ["show", "--out", "~/runs", RUN],
        ["compare", f"~/runs/{RUN}", f"~/runs/{RUN[:-1]}1"],
        ["export", f"~/runs/{RUN}", "--output=~/x.md"],
        ["export", f"~/runs/{RUN}", "-o", "~/new folder/x.html"],
    ],
)
def test_every_command_finds_home(arguments, home, capsys):
    for name in (RUN, f"{RUN[:-1]}1"):
        run_folders.write(home / "runs", name)
    said = done(capsys, *arguments)
    assert RUN[:-1] in said or "written: " in said
    for written in ("x.md", "new folder/x.html"):
        if any(written in argument for argument in arguments):
            assert (home / written).is_file()


def test_options_of_a_run_find_home(home):
    for name in ("own.npz", "s.pth", "t.pth", "net.py", "c.yaml"):
        (home / name).touch()
    (home / "c.yaml").write_text("seed: 5\n")
    config = build_config(
        RunOptions(preset="badnets", dataset="~/own.npz", suspect="~/s.pth", teacher="~/t.pth", config=home / "c.yaml")
    )
    found = config.data.name, config.suspect, config.defenses["nad"].teacher.file, config.seed
    assert found == (str(home / "own.npz"), str(home / "s.pth"), str(home / "t.pth"), 5)
    assert build_config(RunOptions(preset="sig", model="~/net.py:Net")).model.name == f"{home / 'net.py'}:Net"


@pytest.mark.parametrize("option", ["--suspect", "--teacher"])
def test_a_file_that_is_not_there_is_told_with_where_it_was_looked_for(option):
    with pytest.raises(RequestError, match=r"own\.pth: no such file \(looked for in .*here\)"):
        build_config(RunOptions(preset="badnets", **{option.removeprefix("--"): "own.pth"}))


@pytest.mark.parametrize("option", ["--out=~nobody-there/x", "--config=~nobody-there/x"])
def test_the_home_of_nobody_is_one_line(option, capsys):
    assert dispatch(["run", "--preset", "sig", "--headless", option]) == 2
    assert "there is no home folder ~nobody-there" in capsys.readouterr().err


def test_the_forms_own_fields_find_home(home):
    for name in ("own.npz", "s.pth", "net.py", "i.png", "t.pth"):
        (home / name).touch()
    form = RunForm(preset="blend", dataset="~/own.npz")
    for path, value in {
        "suspect": "~/s.pth",
        "model.name": "~/net.py:Net",
        "attack.image": "~/i.png",
        "defenses.nad.teacher.file": "~/t.pth",
    }.items():
        form = form.with_setting(path, value)
    config = form.config()
    assert (config.data.name, config.suspect) == (str(home / "own.npz"), str(home / "s.pth"))
    assert (config.model.name, config.attack.image) == (f"{home / 'net.py'}:Net", str(home / "i.png"))
    assert config.defenses["nad"].teacher.file == str(home / "t.pth")


@pytest.mark.parametrize("name", ["with blanks", "it's", 'a "b" $HOME `c`', "-dash", "~", os.fsdecode(b"\xff")])
def test_the_forms_command_does_the_same_whatever_is_in_a_path(name, home, monkeypatch):
    folder = home / name
    folder.mkdir()
    (folder / "own.npz").touch()
    form = RunForm(preset="sig", dataset=str(folder / "own.npz"))
    words = in_shell(form.command(folder))
    assert words[words.index("--dataset") + 1] == str(folder / "own.npz")
    assert words[words.index("--out") + 1] == str(folder)


def in_shell(line: str) -> list[str]:
    """The words that a shell makes of a command line."""
    import subprocess

    made = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True)
    return [os.fsdecode(word) for word in made.stdout.split(b"\0")[:-1]]


@pytest.mark.parametrize("name", ["runs", "with blanks", "it's $HOME", os.fsdecode(b"\xff\xfe")])
def test_hints_name_the_run_so_that_a_shell_finds_it(name, home, capsys):
    folder = record(home / name, whole_run()[:20])
    headless._outcome(_stopped(folder.name), folder)
    hint = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("to go on: "))
    words = in_shell(hint.removeprefix("to go on: "))
    assert words == ["nadtui", "run", "--resume", str(folder), "--headless"]
    assert build_request(RunOptions(resume=words[3])).resume == folder


def _stopped(run: str) -> RunView:
    from engine.events import RunStopped

    view = RunView()
    for event in (*whole_run()[2:8], RunStopped(seq=99, time=1.0, stage="attack", epoch=1)):
        view.apply(event)
    view.run = run
    return view


@pytest.mark.parametrize("out", [".", "runs", "a b"])
def test_a_relative_folder_of_runs_is_named_in_full(out, monkeypatch, capsys):
    monkeypatch.delenv("NADTUI_RUNS")
    folder = record(Path(out), whole_run()[:20])
    assert shlex.split(typed(folder)) == [str(folder.absolute()) if out != "runs" else folder.name]
    assert dispatch(["show", shlex.split(typed(folder))[0]]) == 0


def test_a_run_that_is_shown_from_elsewhere_says_how_to_go_on(home, capsys):
    folder = record(home / "some runs", whole_run()[:20])
    dispatch(["show", "latest", "--out=~/some runs"])
    assert f"to go on: nadtui run --resume '{folder}' --headless" in capsys.readouterr().out


def test_a_finished_run_says_what_comes_next(home, capsys):
    headless.follow(FakeJob(whole_run()), RunView(), home / "a b", json=False)
    assert f"next: nadtui show '{home / 'a b'}/" in capsys.readouterr().err
