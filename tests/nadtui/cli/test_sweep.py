"""`nadtui sweep`: what may be typed, what a person's mistakes look like, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from engine.record.layout import CHECKPOINTS
from engine.sweeps import crews, index, members
from engine.sweeps.layout import CELLS, RUNS
from engine.sweeps.rows import JSON
from nadtui.cli import sweeping
from nadtui.cli.sweeping import Hiring
from tests.engine.sweeps.scripted_crew import Scripted
from tests.engine.sweeps.test_keeping import finished
from tests.nadtui.cli.test_cli import refused, run
from tests.sweep_folders import write_made_up
from tests.tiny_sweep import BASE, options, saved, until

GRID = ("--preset", "badnets", "--seeds", "0-2")


@pytest.fixture
def crew(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """Who is hired, whatever is asked for: cells end as a test says."""
    made = Scripted()
    monkeypatch.setattr(Hiring, "crew", lambda self: made)
    return made


def test_a_sweep_runs_shows_what_came_of_it_and_is_added_to(
    tmp_path: Path, crew: Scripted, capsys: pytest.CaptureFixture[str]
):
    code, out, err = run(capsys, "sweep", *GRID, "--out", tmp_path / "s")
    assert (code, out.splitlines()[-1]) == (0, "3 finished")
    assert err.splitlines()[-1].startswith("3/3 badnets-signs-nad-s2-")
    code, out, _ = run(capsys, "sweep", "--preset", "badnets", "--seeds", "0-3", "--out", tmp_path / "s", "--json")
    cells = json.loads(out)["cells"]
    assert (code, len(crew.calls), [cell["seed"] for cell in cells]) == (0, 4, [0, 1, 2, 3])
    assert tuple(cells[0]) == (*JSON, "axes") and cells[0]["asr"] == 2.0
    assert run(capsys, "sweep", "show", tmp_path / "s")[1].splitlines()[-1] == "4 finished"
    assert json.loads(run(capsys, "sweep", "show", tmp_path / "s", "--json")[1])["cells"] == cells


def test_a_failed_cell_makes_it_end_with_1_and_is_tried_again_when_asked(
    tmp_path: Path, crew: Scripted, capsys: pytest.CaptureFixture[str]
):
    crew._script = lambda cell, call: int("-s1-" in cell and call < 2)
    code, out, err = run(capsys, "sweep", *GRID, "--out", tmp_path / "s")
    assert code == 1 and "it diverged" in out and "error: 1 cells failed" in err
    assert run(capsys, "sweep", "--resume", tmp_path / "s")[0] == 1
    assert run(capsys, "sweep", "--resume", tmp_path / "s", "--retry-failed")[0] == 0


def test_a_dry_run_says_why_and_how_many_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "sweep", *GRID, "--out", tmp_path / "s", "--dry-run")
    assert (code, out.count("  new\n")) == (0, 3)
    assert out.splitlines()[-2:] == ["3 new", "3 cells to run; this machine has measured nothing like them"]
    assert not (tmp_path / "s").exists()
    write_made_up(tmp_path / "s", 2, preset=["badnets"], defense=["nad"])
    code, out, _ = run(capsys, "sweep", *GRID, "--out", tmp_path / "s", "--dry-run", "--json")
    told = json.loads(out)
    assert [cell["reason"] for cell in told["cells"]] == ["done", "done", "new"]
    assert (told["to_run"], told["seconds"]) == (1, None)
    out = run(capsys, "sweep", "--preset", "sig", "--out", tmp_path / "s", "--dry-run", "--json")[1]
    assert [cell["reason"] for cell in json.loads(out)["cells"]] == ["done", "done", "new"], "what is there runs, too"


def test_more_workers_than_cells_are_no_faster(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_made_up(tmp_path / "s", 1, preset=["badnets"], defense=["nad"])
    finished(tmp_path / "s", "20240101-000000-badnets-signs-s0")
    out = run(capsys, "sweep", *GRID, "--out", tmp_path / "s", "--workers", "8", "--dry-run")[1]
    assert out.splitlines()[-1].startswith("2 cells to run: about 0:25 with 2 at a time")


def test_a_dry_run_is_of_what_the_sweep_itself_would_do(
    tmp_path: Path, crew: Scripted, capsys: pytest.CaptureFixture[str]
):
    crew._script = lambda cell, call: int("-s1-" in cell)
    run(capsys, "sweep", *GRID, "--out", tmp_path / "s")
    resumed = ("sweep", "--resume", tmp_path / "s", "--dry-run", "--json")
    assert json.loads(run(capsys, *resumed)[1])["to_run"] == 0
    assert json.loads(run(capsys, *resumed, "--retry-failed")[1])["to_run"] == 1
    assert "--workers and --scheduler: one of them is wanted" in refused(
        capsys, *resumed, "--workers", "2", "--scheduler", "tcp://x:1"
    )


def test_a_sweep_that_is_watched_ends_with_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    write_made_up(tmp_path / "s", 2, preset=["badnets"], defense=["nad"])
    looks = iter([["somebody"], ["somebody"], []])
    monkeypatch.setattr(members, "at_work", lambda folder: next(looks))
    monkeypatch.setattr(sweeping, "WATCH_S", 0)
    table = run(capsys, "sweep", "show", tmp_path / "s")[1]
    assert run(capsys, "sweep", "show", tmp_path / "s", "--watch")[1] == f"{table}2 finished\n{table}"
    assert "--json and --watch" in refused(capsys, "sweep", "show", tmp_path / "s", "--watch", "--json")


def test_a_sweep_that_cannot_be_read_is_neither_shown_nor_written_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_made_up(tmp_path / "s", 2, preset=["badnets"], defense=["nad"])
    file = tmp_path / "s" / CELLS
    file.write_text(f"{file.read_text()}{{torn")
    before = file.read_bytes()
    for given in (("show", tmp_path / "s"), (*GRID, "--out", tmp_path / "s"), ("--resume", tmp_path / "s")):
        assert f"{file}, line 3: damaged" in refused(capsys, "sweep", *given)
    assert file.read_bytes() == before


def test_what_is_kept_from_now_on_is_what_stays_of_the_finished_ones(
    tmp_path: Path, crew: Scripted, capsys: pytest.CaptureFixture[str]
):
    run(capsys, "sweep", *GRID, "--out", tmp_path / "s")
    left = tmp_path / "s" / RUNS / crew.calls[0] / CHECKPOINTS / "nad.safetensors"
    left.parent.mkdir()
    left.touch()
    run(capsys, "sweep", "--resume", tmp_path / "s", "--keep", "last")
    assert left.exists()
    run(capsys, "sweep", "--resume", tmp_path / "s", "--keep", "none")
    assert not left.exists() and index.read_head(tmp_path / "s")["keep"] == "none"


def test_many_cells_are_put_together_by_what_they_have_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_made_up(tmp_path / "s", 80, preset=["badnets", "sig"])
    lines = run(capsys, "sweep", "show", tmp_path / "s")[1].splitlines()
    assert lines[0] == "dataset signs, model wrn-16-1, recipe default"
    assert len(lines) == 1 + 1 + 4 + 1 and lines[2].endswith("20 finished")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "--out DIR is wanted"),
        (("--out", "s"), "nothing to sweep: give --preset NAME|all"),
        (("--preset", "badnest", "--out", "s"), "did you mean 'badnets'"),
        (("--preset", "badnets", "--seeds", "3-1", "--out", "s"), "--seeds 3-1: numbers and ranges"),
        (("--preset", "badnets", "--seeds", "0-999999", "--attack-seeds", "0-1", "--out", "s"), "2,000,000 cells"),
        (("--preset", "badnets", "--axis", "data.size=[]", "--out", "s"), "the grid is empty"),
        (("--preset", "badnets", "--set", "seed=3", "--out", "s"), "in a sweep it is --seeds"),
        (("--preset", "badnets", "--set", "attack.seed=3", "--out", "s"), "in a sweep it is --attack-seeds"),
        (("--preset", "badnets", "--axis", "preset=[sig]", "--out", "s"), "axis preset: it is given twice"),
        (("--preset", "badnets", "--axis", "seed=[1]", "--axis", "seed=[2]", "--out", "s"), "axis seed: it is given"),
        (("--study", "paired", "--set", "defenses.nda.distill.p=3", "--out", "s"), "defenses.nda: not among"),
        (("--study", "paired", "--axis", "rate=[[0.1]]", "--out", "s"), "rate = '[0.1]'; allowed: 0.02, 0.05"),
        (("--preset", "badnets", "--keep", "some", "--out", "s"), "--keep some: all, last or none"),
        (("--preset", "badnets", "--workers", "0", "--out", "s"), "--workers 0: 1 to 1024"),
        (("--preset", "badnets", "--workers", "2", "--scheduler", "tcp://x:1", "--out", "s"), "one of them is wanted"),
        (("--preset", "badnets", "--per-gpu", "2", "--scheduler", "tcp://x:1", "--out", "s"), "NADTUI_GPU_SHARES"),
        (("--preset", "badnets", "--suspect", "zoo", "--attack-seeds", "7", "--out", "s"), "the zoo has no suspect"),
        (("--resume", "none"), "none: no such folder"),
        (("--resume", "none", "--preset", "sig"), "leave out --preset"),
        (("show", "none"), "none: no such folder"),
    ],
)
def test_a_wrong_request_is_one_line_and_nothing_is_run(
    given: Sequence[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert said in refused(capsys, "sweep", *given)
    assert not (tmp_path / "s" / RUNS).exists()


def test_ctrl_c_leaves_a_sweep_that_can_be_gone_on_with(tmp_path: Path):
    command = [sys.executable, "-m", "nadtui", "sweep", "--preset", "badnets", "--defense", "fine-tuning"]
    slow = options(BASE | {"training": BASE["training"] | {"epochs": 10_000}})
    process = subprocess.Popen(
        [*command, *slow, "--threads", "1", "--out", str(tmp_path / "s")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until(lambda: saved(tmp_path / "s"))
    os.kill(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "1 stopped" in said and f"to go on: nadtui sweep --resume {tmp_path / 's'}" in said


def test_a_networks_file_is_executed_only_by_a_sweep_for_which_it_was_typed(
    tmp_path: Path, crew: Scripted, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "net.py"
    file.write_text("")
    crew._script = lambda cell, call: 1
    network = f"{file}:net"
    run(capsys, "sweep", "--preset", "badnets", "--model", network, "--out", tmp_path / "s")
    run(capsys, "sweep", "--resume", tmp_path / "s", "--retry-failed")
    run(capsys, "sweep", "--resume", tmp_path / "s", "--retry-failed", "--model", network)
    assert crew.typed == [True, False, True]


def test_who_is_hired_is_who_was_asked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    alone = Hiring(None, 1, None, None, None)
    assert isinstance(alone.crew(), crews.Here) and alone.processes == 1
    assert Hiring(3, 1, None, None, None).crew().slots == 3
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 5")
    assert crews.visible_gpus() == ["2", "5"]
    both = Hiring(None, 2, None, None, None)
    assert both.crew().slots == both.processes == 4


def test_each_process_has_its_gpu_and_works_on(monkeypatch: pytest.MonkeyPatch):
    crew = crews.Processes(2, gpus=["3", "7"])
    seen: list[Future[Any]] = [crew.executor.submit(os.getenv, "CUDA_VISIBLE_DEVICES") for _ in range(2)]
    assert {future.result() for future in seen} == {"3", "7"}
    pids = {crew.executor.submit(os.getpid).result() for _ in range(3)}
    assert len(pids) == 1 and os.getpid() not in pids
    crew.close()
