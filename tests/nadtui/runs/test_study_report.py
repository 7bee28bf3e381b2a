"""A study's sweep beside what was published, and at equal accuracy lost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.evaluation.spread import Spread
from engine.sweeps import index
from engine.sweeps.grid import NAMED, expand
from engine.sweeps.rows import CellRow
from engine.sweeps.studies import Study, load_study
from nadtui.export.sweeps.cells import equal_cost
from nadtui.export.sweeps.formats import of_sweep
from nadtui.runs.sweep_report import of_rows, report


def rows_of(study: Study, **axes: list) -> list[CellRow]:
    """Made-up rows: a rate costs its tens in ACC and leaves, of NAD, half of what it leaves of fine-tuning."""
    found = []
    for cell in expand(study.grid(axes)).index.cells:
        rate = float(cell.axes.get("rate", 0.1))
        asr = (40.0 if cell.axes["defense"] == "nad" else 80.0) * (1 - rate)
        figures = {
            "acc": 90 - 10 * rate,
            "asr": asr,
            "ra": 50.0,
            "base": 1.0,
            "seconds": 9.0,
            "image_steps": 8_000.0,
        }
        named = {name: cell.axes[name] for name in NAMED}
        before = {"suspect_acc": 90.0, "suspect_asr": 100.0}
        found.append(
            CellRow(**named, **figures, **before, status="finished", run=cell.id, cell=cell.id, axes=cell.axes)
        )
    return found


def test_defenses_are_compared_where_they_cost_the_same():
    study = load_study("paired")
    rows = rows_of(study, preset=["badnets", "sig"], seed=[0, 1])
    found = of_rows("x", rows, study)
    assert {each.line for each in found.equal_cost} == {("badnets",), ("sig",), ("all",)}
    at = {each.budget: each for each in found.equal_cost if each.line == ("all",)}
    # Half a point is what a rate of 0.05 costs: 40 x 0.95 against 80 x 0.95.
    assert (at[0.5].one.mean, at[0.5].other.mean, at[0.5].difference.mean) == pytest.approx((38, 76, -38))
    assert at[3.0].difference.mean == pytest.approx(-28) and at[3.0].difference.count == "4 x 2"
    # A rung that is missing of one suspect and subset leaves that pair out, and no other.
    missing = replace(rows[0], acc=None, asr=None, status="new")
    rest = of_rows("x", [missing, *rows[1:]], study)
    assert next(each for each in rest.equal_cost if each.line == ("all",)).difference.count == "4 x 1-2"
    document = of_sweep(found, "md")
    assert "## At equal cost" in document and study.question in document.replace("\\", "")
    assert "At equal cost" in of_sweep(found, "html")
    assert json.loads(of_sweep(found, "json"))["equal_cost"][0]["acc_lost"] == 0.5


def test_published_figures_stand_beside_ours():
    study = load_study("table1")
    some = rows_of(study, defense=["nad"], seed=[0], preset=["badnets", "trojan"])
    assert not any("all presets" in each.what for each in of_rows("x", some, study).published)
    rows = rows_of(study, defense=["fine-tuning", "nad"], seed=[0])
    found = of_rows("x", rows, study)
    by = {(each.what, each.figure): each for each in found.published}
    ours = by["all presets, nad, recipe paper", "ASR"]
    assert (ours.theirs, ours.ours.mean, ours.ours.count) == (7.22, pytest.approx(36), "12 x 1")
    assert by["trojan, nad, recipe default", "ASR"].theirs == 19
    assert by["badnets, fine-tuning, recipe paper", "ACC"].theirs == 82.32
    assert by["badnets, fine-tuning, recipe paper", "ACC before"].ours.mean == 90
    assert {each.ours for each in of_rows("x", some, study).published if each.what == "cl, nad"} == {None}, (
        "no such cell"
    )
    document = of_sweep(found, "md")
    assert "| all presets, nad, recipe paper | ASR | 7.22 | 36.0 ± 0.0 |" in document and "+28.8" in document
    assert "the mean of the six attacks" in of_sweep(found, "html")
    assert json.loads(of_sweep(found, "json"))["study"] == "table1"


def test_a_ladder_is_climbed_in_its_own_order_whatever_was_asked_for_first():
    study = load_study("paired")
    rungs = study.axes["rate"]
    rows = rows_of(study, preset=["badnets"], seed=[0], attack_seed=[0])
    asked = of_rows("x", [row for rung in reversed(rungs) for row in rows if row.axes["rate"] == rung], study)
    assert [each.one.mean for each in asked.equal_cost] == [
        each.one.mean for each in of_rows("x", rows, study).equal_cost
    ]


def test_what_varies_beside_the_ladder_has_a_column_of_its_own_there():
    study = load_study("paired")
    rows = rows_of(study, preset=["badnets"], seed=[0], attack_seed=[0], recipe=["classic", "default"])
    head, lines = equal_cost(of_rows("x", rows, study))
    assert head[0] == "recipe" and {line[0] for line in lines} == {"classic", "default"}
    assert all(len(line) == len(head) for line in lines)
    head, lines = equal_cost(of_rows("x", [row for row in rows if row.recipe == "default"], study))
    assert all(len(line) == len(head) for line in lines)


def test_a_published_figure_is_held_against_its_own_presets_and_images_alone():
    study = load_study("table1")
    rows = rows_of(study, defense=["nad"], seed=[0], recipe=["paper"], preset=[*study.axes["preset"], "wanet"])

    def of_all(rows: list[CellRow]) -> Spread | None:
        (found,) = (each for each in of_rows("x", rows, study).published if each.what.startswith("all presets"))
        return found.ours

    ours = of_all(rows)
    assert ours is not None and ours.count == "12 x 1"
    assert of_all([replace(row, acc=None, asr=None) if row.preset == "cl" else row for row in rows]) is None
    assert of_rows("x", [replace(row, dataset="signs") for row in rows], study).published == []


def test_a_sweep_knows_its_study(tmp_path: Path):
    grid = load_study("paired").grid({"preset": ["badnets"], "seed": [0], "attack_seed": [0], "rate": ["0.1"]})
    index.extend(tmp_path / "s", expand(grid).index, grid.to_dict())
    assert report(tmp_path / "s").study.name == "paired"
    second = load_study("clean-share").grid({"preset": ["badnets"], "seed": [0], "attack_seed": [0]})
    index.extend(tmp_path / "s", expand(second).index, second.to_dict())
    assert report(tmp_path / "s").study.name == "clean-share"
    index.extend(tmp_path / "s", expand(grid).index, grid.to_dict())
    assert report(tmp_path / "s").study.name == "paired", "it was asked for last"
    other = replace(grid, study="nobody-knows")
    index.extend(tmp_path / "s", expand(other).index, other.to_dict())
    found = report(tmp_path / "s")
    assert found.study is None and not found.published
    assert any("of a study that is not here: unknown study 'nobody-knows'" in fact for fact in found.facts())
