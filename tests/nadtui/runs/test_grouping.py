"""Runs by the value of a field, with mean and deviation."""

from __future__ import annotations

from nadtui.runs.catalog import Catalog
from nadtui.runs.grouping import grouped, order


def test_runs_are_grouped_by_a_field_of_the_list_or_of_the_configuration(runs):
    rows = Catalog(runs).rows()
    assert [(group.value, len(group.runs)) for group in grouped(rows, "preset")] == [
        ("blend", 1),
        ("sig", 2),
        ("badnets", 1),
    ]
    by_delta = {group.value: len(group.runs) for group in grouped(rows, "attack.delta")}
    assert by_delta == {"32": 2, "–": 2}


def test_a_group_says_mean_and_deviation_of_its_finished_runs(runs):
    blend, sig, badnets = grouped(Catalog(runs).rows(), "preset")
    assert (sig.figure("asr", 1), sig.figure("acc", 1)) == ("4.0±1.4", "96.5±0.0")  # 3 and 5; 96.5 twice
    assert badnets.figure("asr", 0) == "1"
    assert blend.figure("asr", 1) == blend.verdict == ""  # it failed
    assert (sig.verdict, badnets.verdict) == ("1 partly +1", "1 erased")
    assert sig.title == "sig · 2 runs"
    assert (sig.spread("attack.delta"), sig.spread("seed"), sig.spread("no.such")) == ("32", "0.5±0.71", "")


def test_by_a_field_numbers_come_first_and_what_has_none_last(runs):
    rows = sorted(Catalog(runs).rows(), key=lambda run: order(run, "attack.delta"))
    assert [run.preset for run in rows[:2]] == ["sig", "sig"]
