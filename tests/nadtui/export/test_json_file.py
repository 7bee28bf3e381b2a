"""JSON: summary, configuration and curves, strict whatever the record holds."""

import json

import pytest

from nadtui.export.formats import of_comparison, of_run
from nadtui.runs.digest import Report
from tests.nadtui.export.conftest import HOSTILE


def test_json_is_the_summary_with_configuration_and_curves(report: Report):
    values = json.loads(of_run(report, "json"))
    summary = json.loads((report.folder / "summary.json").read_text())
    assert {key: values[key] for key in summary} == summary
    assert values["complete"] is True and values["config"] == report.view.config
    assert [(p["epoch"], p["acc"], p["asr"], p["final"]) for p in values["curves"]["attack"]] == [
        (1, 60.0, 90.0, False),
        (2, 90.0, 99.0, False),
        (3, 97.0, 100.0, True),
    ]


def test_json_of_an_unfinished_run_says_so_and_is_plain_ascii(unfinished: Report):
    text = of_run(unfinished, "json")
    values = json.loads(text)
    assert (values["complete"], values["status"], values["failure"]) == (False, "failed", HOSTILE)
    assert text.isascii() and "\x1b" not in text


def test_json_stays_strict_where_the_record_is_not(report: Report):
    report.view.environment["load"] = float("nan")
    assert json.loads(of_run(report, "json"), parse_constant=pytest.fail)["environment"]["load"] is None


def test_json_comparison_is_complete(reports):
    values = json.loads(of_comparison(reports, "json"))
    assert list(values["runs"]) == ["A", "B", "C"]
    assert values["groups"][0]["runs"] == ["A", "B"]
    assert values["groups"][0]["stages"]["nad"]["asr"]["mean"] == 3.0
    assert values["differences"]["seed"] == {"A": "0", "B": "1", "C": "0"}
