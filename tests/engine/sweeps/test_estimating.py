"""How long cells take is told by runs of as much of the same work, and by no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.config.layers import nested
from engine.sweeps import estimating
from engine.sweeps.estimating import Estimate, estimated, measured
from engine.sweeps.grid import Grid, expand
from tests import run_folders


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with one finished run: badnets on signs, NAD by the default recipe."""
    run_folders.write(tmp_path, "20260101-120000-badnets-signs-s0")
    return tmp_path


def told(runs: Path, base: dict[str, Any] | None = None, **axes: Any) -> Estimate | None:
    found = expand(Grid({"preset": ["badnets"], "defense": ["nad"], **axes}, base or {})).index
    return estimated(found.cells, found, measured([runs]))


def test_a_suspect_of_several_cells_is_trained_once(runs: Path):
    one = told(runs)
    assert one is not None and one.unknown == 0 and one.seconds > 0
    of_the_zoo = told(runs, {"suspect": "zoo"})
    three = told(runs, seed=[0, 1, 2])
    assert of_the_zoo is not None and three is not None
    assert three.seconds == pytest.approx(one.seconds + 2 * of_the_zoo.seconds)


@pytest.mark.parametrize(
    "base",
    [
        nested("defenses.nad.teacher.training.epochs", 3),
        nested("defenses.nad.distill.training.batch_size", 7),
        nested("defenses.nad.budget", 2.0),
        nested("training.epochs", 99),
        nested("evaluation.verify", True),
        nested("data.clean_fraction", 0.2),
        {"recipe": "classic"},
    ],
)
def test_more_or_less_work_is_another_kind(runs: Path, base: dict[str, Any]):
    assert told(runs, base) is None


def test_what_changes_no_amount_is_the_same_kind(runs: Path):
    assert told(runs, nested("defenses.nad.distill.p", 3)) == told(runs)


def test_a_cell_takes_as_long_as_its_defense_and_those_on_which_that_stands():
    base = {"suspect": "zoo", **nested("defenses.nad.teacher.file", "defense:fst")}
    found = expand(Grid({"preset": ["badnets"], "defense": ["nad"]}, base)).index
    fst, nad = (estimating._of_defense(found.templates[0], name) for name in ("fst", "nad"))
    assert estimated(found.cells, found, {fst: 9.0, nad: 4.0}) == Estimate(13.0, 0)
    assert estimated(found.cells, found, {nad: 4.0}) is None


def test_what_was_not_measured_counts_as_long_as_the_rest(runs: Path):
    both = told(runs, {"suspect": "zoo"}, defense=["nad", "fine-tuning"])
    one = told(runs, {"suspect": "zoo"})
    assert both is not None and one is not None
    assert (both.unknown, both.seconds) == (1, pytest.approx(2 * one.seconds))


def test_a_record_that_is_damaged_tells_nothing(runs: Path):
    for record in runs.glob("*/events.jsonl"):
        record.write_text("{\n")
    assert told(runs) is None
