"""A run's defenses side by side: who is in the table, in what order, and what stands there."""

from __future__ import annotations

import math

import pytest

from engine.errors import RequestError
from engine.record.summary import summarize
from engine.record.view import fold
from nadtui.runs.side_by_side import ORDERS, check_order, orders_in, table, whole
from tests import run_folders

DASH = "–"


def summary(**changes) -> dict:
    return {**summarize(fold(run_folders.side_by_side())), **changes}


def rows(summary: dict, *order: str) -> list[tuple[str, ...]]:
    found = table(summary, *order)
    assert found is not None and all(len(row) == len(found.columns) for row in found.cells)
    return found.cells


def names(rows: list[tuple[str, ...]]) -> list[str]:
    return [row[0] for row in rows]


def test_each_defense_stands_below_the_suspect_with_what_it_chose():
    found = rows(summary())
    assert names(found) == ["(suspect)", "nad", "fine-tuning"]
    assert found[0][1:3] == ("97.0", "100.0")
    assert (found[1][1:3], found[2][1:3]) == (("96.5", "1.0"), ("93.0", "60.0"))
    assert (found[1][-1], found[2][-1]) == ("", "bound 4")


def test_what_a_defense_lost_and_left_is_known_once_it_is_done_and_its_letter_stays():
    found = summary()
    told = {row.defense: (row.letter, row.lost, row.left) for row in table(found, "name").rows}
    assert told == {"(suspect)": ("", None, None), "nad": ("a", 0.5, 1.0), "fine-tuning": ("b", 4.0, 60.0)}
    next(stage for stage in found["stages"] if stage["stage"] == "fine-tuning")["state"] = "running"
    assert [(row.lost, row.left) for row in table(found).rows][2] == (None, None)


RETUNED = {"figures": {"asr_after": 12.34}, "control": {"asr_after": 1.2}}


def test_what_a_verification_says_has_columns_where_there_was_one():
    found = summary()
    nad = next(stage for stage in found["stages"] if stage["stage"] == "nad")
    nad["verified"] = {"retuning": RETUNED, "linear-path": {"figures": {"t50": None}}}
    told = table(found)
    assert told.columns[-4:] == ("image steps", "retuned (clean)", "t50 (clean)", "chosen")
    assert [row[-3:-1] for row in told.cells] == [(DASH, DASH), ("12.3 (1.2)", "never"), (DASH, DASH)]


def test_what_a_defense_cost_is_what_all_its_stages_did():
    found = summary()
    for stage in found["stages"]:
        stage["image_steps"] = {"teacher": 1_000, "nad": 2_000}.get(stage["stage"], 0)
    by_name = {row[0]: row[5] for row in rows(found)}
    assert (by_name["nad"], by_name["fine-tuning"]) == ("3,000", DASH)


def test_what_the_network_cannot_bear_is_named_with_the_reason():
    found = rows(summary(unfit={"anp": "the network has no batch norm"}), "asr")
    assert names(found) == ["(suspect)", "nad", "fine-tuning", "anp"]
    assert found[-1] == ("anp", *[DASH] * 5, "n/a: the network has no batch norm")


@pytest.mark.parametrize(
    ("order", "first"),
    [("run", "nad"), ("name", "fine-tuning"), ("acc", "nad"), ("asr", "nad"), ("steps", "fine-tuning")],
)
def test_they_are_sorted_as_a_person_likes(order, first):
    found = summary()
    for stage in found["stages"]:
        stage["image_steps"] = {"nad": 2_000, "fine-tuning": 500}.get(stage["stage"], 0)
    assert names(rows(found, order))[1] == first


def test_they_are_sorted_by_what_was_measured_beside_and_the_workbench_offers_no_other():
    found = summary()
    assert orders_in(found) == ["run", "name", "acc", "asr", "ra", "base"]
    by_name = {stage["stage"]: stage for stage in found["stages"]}
    for name, shadow, retuned, t50 in (("nad", 9.0, 1.0, math.nan), ("fine-tuning", 4.0, 2.0, 0.5)):
        tests = {"retuning": {"figures": {"asr_after": retuned}}, "linear-path": {"figures": {"t50": t50}}}
        by_name[name] |= {"shadow": {"mask": shadow}, "verified": tests}
    firsts = {order: names(rows(found, order))[1] for order in ("shadow", "retuned", "t50", "woken")}
    assert firsts == {"shadow": "fine-tuning", "retuned": "nad", "t50": "fine-tuning", "woken": "nad"}
    assert orders_in(found) == ["run", "name", "acc", "asr", "ra", "base", "shadow", "retuned", "t50"]


def test_a_figure_that_does_not_exist_comes_last():
    found = summary()
    next(stage for stage in found["stages"] if stage["stage"] == "nad")["asr"] = None
    assert names(rows(found, "asr"))[1:] == ["fine-tuning", "nad"]


def test_a_run_of_one_defense_has_no_such_table_and_other_orders_are_refused():
    found = summary()
    found["stages"] = [stage for stage in found["stages"] if stage["defense"] != "fine-tuning"]
    assert table(found) is None
    assert [row.defense for row in whole(found).rows] == ["(suspect)", "nad"]
    for order in ORDERS:
        check_order(order)
    allowed = "run, name, acc, asr, ra, base, steps, shadow, retuned, t50, existence, woken"
    with pytest.raises(RequestError, match=rf"^--sort best: allowed: {allowed}$"):
        check_order("best")
