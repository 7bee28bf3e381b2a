"""Exports: the figures as they are in the record, in documents that foreign text cannot break."""

import csv
import dataclasses
import io
import json
from pathlib import Path

import pytest
import yaml

from engine.errors import RequestError
from engine.events import Message, RunFailed
from nadtui.cli.export import export
from nadtui.export.csv_file import COLUMNS
from nadtui.export.formats import FORMATS, of_run
from nadtui.export.markdown import escape
from nadtui.runs.digest import Report
from nadtui.runs.loading import load
from tests.scripted_run import START, record, whole_run

HOSTILE = "<script>alert(1)</script> | `x` *b* [l](http://e) \x1b[31m\u202e"


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return load(str(record(tmp_path / "runs", whole_run(), summary=True)), None)


@pytest.fixture
def unfinished(tmp_path: Path) -> Report:
    """A run that failed in its teacher's second epoch."""
    script = [event for event in whole_run() if event.time <= START + 24]
    failed = RunFailed(seq=99, time=START + 30, stage="teacher", message=HOSTILE)
    return load(str(record(tmp_path / "unfinished", [*script, failed])), None)


def rows(text: str) -> list[list[str]]:
    """The cells of a Markdown table's body."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_markdown_has_the_figures_and_the_configuration(report: Report):
    text = of_run(report, "md")
    assert rows(text) == [
        ["attack", "97.0", "[96.0, 98.0]", "100.0", "[99.0, 101.0]", "0.0", "0.5", "3", "20.0"],
        ["teacher", "96.0", "[95.0, 97.0]", "10.0", "[9.0, 11.0]", "90.0", "0.5", "2", "20.0"],
        ["nad", "96.5", "[95.5, 97.5]", "1.0", "[0.0, 2.0]", "99.0", "0.5", "2", "20.0"],
    ]
    configuration = text.partition("```yaml\n")[2].partition("```")[0]
    assert yaml.safe_load(configuration) == report.view.config
    assert "not finished" not in text


def test_markdown_of_an_unfinished_run_says_so_and_why(unfinished: Report):
    text = of_run(unfinished, "md")
    assert "not finished (state: failed)" in text
    assert "Failed in teacher" in text
    assert [row[0] for row in rows(text)] == ["attack", "teacher (unfinished)"]


def test_markdown_shows_foreign_text_as_text(unfinished: Report):
    text = of_run(unfinished, "md")
    assert "<script" not in text and "\x1b" not in text and "\u202e" not in text
    assert "&lt;script&gt;" in text and r"\| \`x\` \*b\* \[l\]" in text


def test_a_configuration_cannot_close_its_code_block(report: Report):
    report.view.config["data"] = {"name": "x\n```\n# owned\n````"}
    text = of_run(report, "md")
    fence = next(line for line in text.splitlines() if line.startswith("```"))
    assert fence.startswith("`````")
    assert text.rstrip().endswith("`````")


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


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@x"])
def test_csv_gives_a_spreadsheet_nothing_to_calculate(report: Report, name: str):
    report.view.dataset["name"] = name
    cell = next(csv.DictReader(io.StringIO(of_run(report, "csv"))))["dataset"]
    assert cell == f"'{name}"


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "png"])  # a picture holds no text
def test_every_format_shows_no_control_characters(tmp_path: Path, form: str):
    script = [
        dataclasses.replace(event, dataset={**event.dataset, "name": HOSTILE}) if event.kind == "run-started" else event
        for event in whole_run()
    ]
    hostile = load(str(record(tmp_path, [*script, Message(seq=99, text=HOSTILE, level="warning")])), None)
    text = of_run(hostile, form)
    assert not [c for c in text if (ord(c) < 32 and c not in "\r\n") or ord(c) == 127 or c == "\u202e"]


def test_what_markdown_escapes_reads_as_before():
    assert escape("a|b") == r"a\|b"
    assert escape("20261122-s0 (x)") == "20261122-s0 (x)"


def test_a_file_is_written_whole_in_the_format_of_its_ending(
    tmp_path: Path, report: Report, capsys: pytest.CaptureFixture[str]
):
    target = tmp_path / "made" / "run.csv"
    export(str(report.folder), None, target, None)
    assert target.read_bytes().decode() == of_run(report, "csv")
    assert [entry.name for entry in target.parent.iterdir()] == ["run.csv"]
    out, err = capsys.readouterr()
    assert out == "" and f"written: {target}" in err


def test_what_cannot_be_written_is_refused(tmp_path: Path, report: Report):
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="cannot write"):
        export(str(report.folder), "md", tmp_path / "file" / "run.md", None)


def test_a_document_for_a_pipe_is_the_whole_output(report: Report, capsys: pytest.CaptureFixture[str]):
    export(str(report.folder), "csv", None, None)
    assert capsys.readouterr().out.replace("\r\n", "\n") == of_run(report, "csv").replace("\r\n", "\n")
