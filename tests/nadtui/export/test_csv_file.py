"""CSV: columns that stay, and nothing that a spreadsheet would calculate."""

import csv
import io

import pytest

from nadtui.export.csv_file import COLUMNS
from nadtui.export.formats import of_comparison, of_run
from nadtui.runs.digest import Report


def test_csv_has_a_row_for_each_stage_in_columns_that_stay(report: Report, unfinished: Report):
    table = list(csv.DictReader(io.StringIO(of_run(report, "csv"))))
    columns = ("stage", "acc", "asr", "asr_low", "asr_high", "seconds")
    assert [tuple(row[column] for column in columns) for row in table] == [
        ("attack", "97.0", "100.0", "99.0", "101.0", "20.0"),
        ("teacher", "96.0", "10.0", "9.0", "11.0", "20.0"),
        ("nad", "96.5", "1.0", "0.0", "2.0", "20.0"),
    ]
    assert {row["run"] for row in table} == {report.view.run}
    assert (table[0]["dataset"], table[0]["model"], table[0]["eligible"]) == ("signs", "wrn-16-1", "1800")
    head = of_run(unfinished, "csv").splitlines()[0]
    assert head.split(",") == list(COLUMNS)
    last = list(csv.DictReader(io.StringIO(of_run(unfinished, "csv"))))[-1]
    assert (last["stage"], last["state"], last["status"]) == ("teacher", "running", "failed")


def test_csv_has_what_a_choice_costs_and_the_shadow_asr(report: Report):
    cost = {"lost": 2.5, "lost_ci": [0.5, 4.5], "images": 40, "budget": 2.0, "within": False, "sure": False}
    report.summary["stages"][-1] |= {"chosen": [{"what": "reach", "choice": "0.7", "scores": {}, "cost": cost}]}
    report.summary["stages"][-1] |= {"shadow": {"mask": 12.5, "perturbation": 50.0}}
    row = list(csv.DictReader(io.StringIO(of_run(report, "csv"))))[-1]
    assert [row[name] for name in COLUMNS[-6:]] == ["12.5", "2.0", "40", "2.5", "0.5", "4.5"]


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@x"])
def test_csv_gives_a_spreadsheet_nothing_to_calculate(report: Report, name: str):
    report.view.dataset["name"] = name
    cell = next(csv.DictReader(io.StringIO(of_run(report, "csv"))))["dataset"]
    assert cell == f"'{name}"


def test_csv_comparison_has_plain_numbers(reports):
    rows = list(csv.DictReader(io.StringIO(of_comparison(reports, "csv"))))
    asr = {row["letter"]: row for row in rows if (row["stage"], row["figure"]) == ("nad", "asr")}
    assert float(asr["B"]["value"]) == 4.0
    assert float(asr["AB"]["value"]) == 3.0
    assert float(asr["AB"]["deviation"]) == pytest.approx(2**0.5)
    assert asr["AB"]["runs"] == "2"
