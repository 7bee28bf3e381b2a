"""What stays of a finished cell, why a cell will run, and how long it will take."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from engine.config.layers import nested
from engine.errors import RequestError
from engine.record.layout import CONFIG, LEARNED, PRODUCTS, RECORD, SUMMARY
from engine.sweeps import index, results, tries
from engine.sweeps.estimating import estimated, measured
from engine.sweeps.grid import Grid, expand
from engine.sweeps.index import Keep
from engine.sweeps.keeping import settle, settle_all
from engine.sweeps.layout import RESULTS, RUNS, SHARED
from engine.sweeps.reasons import reasons
from tests.engine.sweeps.scripted_crew import finish
from tests.run_folders import config
from tests.sweep_folders import write_made_up

STAGES = [("attack", "suspect", ""), ("teacher", "reference", "nad"), ("nad", "purified", "nad")]


def finished(folder: Path, cell: str, weights: str = "same") -> Path:
    """A finished run with a checkpoint of each stage."""
    run = folder / RUNS / cell
    (run / "checkpoints").mkdir(parents=True)
    stages = [
        {"stage": name, "role": role, "defense": defense, "sha256": weights, "seconds": 10.0, "cached": False}
        for name, role, defense in STAGES
    ]
    summary = {"schema": 2, "status": "finished", "preset": "badnets", "seed": 0, "seconds": 30.0, "stages": stages}
    summary |= {"started": "2024-01-01T00:00:00+00:00", "attack": {"name": "badnets"}}
    summary |= {"dataset": {"name": "signs"}, "model": {"name": "wrn-16-1"}}
    (run / SUMMARY).write_text(json.dumps(summary))
    (run / CONFIG).write_text("{}")
    (run / RECORD).write_text(json.dumps({"kind": "run-started", "config": config()}) + "\n")
    for name, _, _ in STAGES:
        (run / "checkpoints" / f"{name}.safetensors").write_text(f"{name} {cell}")
    return run


def kept(run: Path) -> set[str]:
    return {file.name.partition(".")[0] for file in (run / "checkpoints").iterdir()}


@pytest.mark.parametrize(
    ("keep", "staying"), [("all", {"attack", "teacher", "nad"}), ("last", {"attack", "nad"}), ("none", set())]
)
def test_the_checkpoints_that_are_to_stay_do_and_no_other(tmp_path: Path, keep: Keep, staying: set[str]):
    run = finished(tmp_path, "a")
    (run / PRODUCTS).mkdir()
    for name in ("perturbed", "learned"):
        (run / PRODUCTS / f"{name}.safetensors").touch()
    for _ in range(2):
        settle(tmp_path, "a", keep)
        assert kept(run) == staying
        assert (run / LEARNED).exists(), "without it there is no trigger"
        assert (run / PRODUCTS / "perturbed.safetensors").exists() is (keep == "all")


def test_a_suspect_of_many_cells_is_stored_once_and_outlives_each_of_them(tmp_path: Path):
    runs = [finished(tmp_path, cell) for cell in "abc"]
    other = finished(tmp_path, "d", "others")
    for cell in "abcd":
        settle(tmp_path, cell, "last")
    first, *rest = (run / "checkpoints" / "attack.safetensors" for run in runs)
    assert all(first.samefile(each) for each in rest)
    assert not first.samefile(other / "checkpoints" / "attack.safetensors")
    assert len(list((tmp_path / SHARED).iterdir())) == 2
    first.unlink()
    assert rest[0].read_text() == "attack a"


def refuse_links(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refused(source: Path, target: Path) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refused)


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP])
def test_without_hard_links_each_run_keeps_a_suspect_of_its_own(code: int, tmp_path: Path, monkeypatch):
    runs = [finished(tmp_path, cell) for cell in "ab"]
    refuse_links(monkeypatch, code)
    for cell in "ab":
        settle(tmp_path, cell, "last")
    assert [kept(run) for run in runs] == [{"attack", "nad"}] * 2
    assert not list((tmp_path / SHARED).iterdir())


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch):
    finished(tmp_path, "a")
    refuse_links(monkeypatch, errno.ENOSPC)
    with pytest.raises(RequestError, match="cannot be written: No space left"):
        settle(tmp_path, "a", "last")


def test_every_cell_has_a_reason(tmp_path: Path):
    folder = tmp_path / "s"
    cells = write_made_up(folder, 5, preset=["badnets"], defense=["nad"])
    (folder / RESULTS).write_text((folder / RESULTS).read_text().partition("\n")[0])
    for cell in cells[1:]:
        shutil.rmtree(folder / RUNS / cell.id)
    tries.began(folder, cells[2].id)
    tries.ended(folder, cells[2].id, 1, "it diverged")
    (folder / RUNS / cells[3].id).mkdir()
    grid = Grid({"preset": ["badnets"], "seed": range(6), "attack_seed": [0]})
    assert [each.said for each in reasons(folder, expand(grid).index)] == [
        *("done", "new", "failed: it diverged", "resume", "new", "new")
    ]
    other = Grid(grid.axes, nested("defenses.nad.distill.p", 3))
    said = [each.said for each in reasons(folder, expand(other).index)]
    assert (said[0], said[1]) == ("differs in defenses.nad.distill.p", "new")


def test_reasons_of_a_folder_that_is_not_there_are_new_and_none_is_made(tmp_path: Path):
    assert {each.said for each in reasons(tmp_path / "s", expand(Grid({"preset": ["sig"]})).index)} == {"new"}
    assert not (tmp_path / "s").exists()


def test_how_long_it_takes_is_what_was_measured_and_a_suspect_is_trained_once(tmp_path: Path):
    finished(tmp_path, "20240101-000000-badnets-signs-s0")
    known = measured([tmp_path / RUNS, tmp_path / "none"])
    assert sorted(known.values()) == [10.0, 20.0]
    found = expand(Grid({"preset": ["badnets"], "seed": range(4), "defense": ["nad", "fine-tuning"]})).index
    both = estimated(found.cells, found, known)
    assert both is not None and (both.seconds, both.unknown) == (22.5 * 8, 4)
    assert estimated([cell for cell in found.cells if cell.axes["defense"] == "fine-tuning"], found, known) is None


def test_a_cell_whose_result_was_not_written_down_is_settled_when_somebody_looks(tmp_path: Path):
    made = Grid({"preset": ["badnets"]})
    cells = index.extend(tmp_path / "s", expand(made).index, made.to_dict()).cells
    finish(tmp_path / "s", cells[0].id)
    assert reasons(tmp_path / "s", expand(made).index)[0].said == "done"


@pytest.mark.parametrize("keep", ["all", "last", "none"])
def test_of_a_run_without_a_summary_in_sight_nothing_goes(tmp_path: Path, keep: Keep):
    run = finished(tmp_path, "a")
    (run / SUMMARY).unlink()
    settle(tmp_path, "a", keep)
    assert kept(run) == {name for name, _, _ in STAGES}


def test_a_run_that_cannot_be_settled_keeps_no_other_from_it(tmp_path: Path):
    for cell in ("a", "b"):
        finished(tmp_path, cell)
    results.write(tmp_path, results.unwritten(tmp_path, ["a", "b"], ()))
    (tmp_path / RUNS / "a" / SUMMARY).write_text("{")
    settle_all(tmp_path, "none")
    assert not list((tmp_path / RUNS / "b" / "checkpoints").iterdir())


def test_weights_of_which_no_run_has_a_copy_any_more_go(tmp_path: Path):
    for cell in ("a", "b"):
        finished(tmp_path, cell)
        settle(tmp_path, cell, "last")
    results.write(tmp_path, results.unwritten(tmp_path, ["a", "b"], ()))
    (one,) = (tmp_path / SHARED).iterdir()
    shutil.rmtree(tmp_path / RUNS / "a")
    settle_all(tmp_path, "last")
    assert one.exists()
    settle_all(tmp_path, "none")
    assert not one.exists()
