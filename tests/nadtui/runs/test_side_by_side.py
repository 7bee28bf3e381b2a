"""A run's defenses side by side: who is in the table, in what order, and what stands there."""

from __future__ import annotations

import pytest

from engine.errors import RequestError
from engine.record.summary import summarize
from engine.record.view import fold
from nadtui.runs.side_by_side import COLUMNS, ORDERS, check_order, rows
from tests import run_folders

DASH = "–"


def summary(**changes) -> dict:
    return {**summarize(fold(run_folders.side_by_side())), **changes}


def names(table) -> list[str]:
    return [row[0] for row in table]


def test_each_defense_stands_below_the_suspect_with_what_it_chose():
    table = rows(summary())
    assert names(table) == ["(suspect)", "nad", "fine-tuning"]
    assert all(len(row) == len(COLUMNS) for row in table)
    assert table[0][1:3] == ("97.0", "100.0")
    assert (table[1][1:3], table[2][1:3]) == (("96.5", "1.0"), ("93.0", "60.0"))
    assert (table[1][-1], table[2][-1]) == ("", "bound 4")


def test_what_a_defense_cost_is_what_all_its_stages_did():
    found = summary()
    for stage in found["stages"]:
        stage["image_steps"] = {"teacher": 1_000, "nad": 2_000}.get(stage["stage"], 0)
    by_name = {row[0]: row[5] for row in rows(found)}
    assert (by_name["nad"], by_name["fine-tuning"]) == ("3,000", DASH)


def test_what_the_network_cannot_bear_is_named_with_the_reason():
    table = rows(summary(unfit={"anp": "the network has no batch norm"}), "asr")
    assert names(table) == ["(suspect)", "nad", "fine-tuning", "anp"]
    assert table[-1] == ("anp", *[DASH] * 5, "n/a: the network has no batch norm")


@pytest.mark.parametrize(
    ("order", "first"),
    [("run", "nad"), ("name", "fine-tuning"), ("acc", "nad"), ("asr", "nad"), ("steps", "fine-tuning")],
)
def test_they_are_sorted_as_a_person_likes(order, first):
    found = summary()
    for stage in found["stages"]:
        stage["image_steps"] = {"nad": 2_000, "fine-tuning": 500}.get(stage["stage"], 0)
    assert names(rows(found, order))[1] == first


def test_a_figure_that_does_not_exist_comes_last():
    found = summary()
    next(stage for stage in found["stages"] if stage["stage"] == "nad")["asr"] = None
    assert names(rows(found, "asr"))[1:] == ["fine-tuning", "nad"]


def test_a_run_of_one_defense_has_no_such_table_and_other_orders_are_refused():
    found = summary()
    found["stages"] = [stage for stage in found["stages"] if stage["defense"] != "fine-tuning"]
    assert rows(found) == []
    for order in ORDERS:
        check_order(order)
    with pytest.raises(RequestError, match=r"^--sort best: allowed: run, name, acc, asr, ra, steps$"):
        check_order("best")
