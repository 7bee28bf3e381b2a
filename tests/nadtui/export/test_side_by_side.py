"""Exports of a run with several purified models, and of one without a trigger."""

import csv
import dataclasses
import io
import json
from pathlib import Path

import pytest

from engine.events import Isolated
from engine.record.state import RunState
from engine.record.view import fold
from nadtui.export import png_file
from nadtui.export.csv_file import VERIFIED
from nadtui.export.formats import COMPARISONS, FORMATS, of_comparison, of_run
from nadtui.runs.digest import Report
from tests import run_folders, scripted_run


def report(*, attacked: bool = True) -> Report:
    return Report(Path("run"), fold(run_folders.side_by_side(attacked=attacked)), RunState.FINISHED)


@pytest.mark.parametrize("form", [form for form in FORMATS if form not in ("png", "csv", "json")])
def test_a_reference_is_named_with_its_defense_and_every_model_has_a_row(form):
    text = of_run(report(), form)
    for name in ("teacher (for nad)", "nad", "fine-tuning"):
        assert name in text


def test_csv_tells_roles_defenses_and_whence_the_suspect():
    rows = csv.DictReader(io.StringIO(of_run(report(), "csv")))
    assert [[row[column] for column in ("role", "defense", "absent", "suspect")] for row in rows] == [
        ["suspect", "", "", "trained"],
        ["reference", "nad", "", "trained"],
        ["purified", "nad", "", "trained"],
        ["purified", "fine-tuning", "", "trained"],
    ]
    [head, *rows] = csv.reader(io.StringIO(of_comparison([report(), report()], "csv")))
    assert head[-2:] == ["role", "defense"]
    assert ["purified", "fine-tuning"] in [row[-2:] for row in rows]


def test_what_a_defense_isolated_is_told_in_every_document():
    *events, end = run_folders.side_by_side()
    told = Isolated(seq=end.seq, time=end.time, stage="nad", images=900, isolated=80, poisoned=100, found=60)
    view = fold([*events, told, dataclasses.replace(end, seq=end.seq + 1)])
    isolating = Report(Path("run"), view, RunState.FINISHED)
    for form in ("md", "html", "tex"):
        said = "nad isolated 80 of 900 images: 60 of the 100 poisoned ones (precision 75.0 %, recall 60.0 %)"
        assert said in of_run(isolating, form).replace("\\", "")
    stages = json.loads(of_run(isolating, "json"))["stages"]
    assert [stage.get("isolated", {}).get("precision") for stage in stages] == [None, None, 0.75, None]
    rows = [*csv.DictReader(io.StringIO(of_run(isolating, "csv")))]
    assert [(row["isolated"], row["precision"], row["recall"]) for row in rows] == [
        *[("", "", "")] * 2,
        ("80", "0.75", "0.6"),
        ("", "", ""),
    ]
    assert rows[2]["images"] == rows[1]["images"], "of the test images, not of those it isolated from"


def test_what_a_verification_found_is_told_in_every_document_and_comparison():
    *events, end = run_folders.side_by_side()
    found = run_folders.verified("nad")
    told = [dataclasses.replace(each, seq=end.seq + place, time=end.time) for place, each in enumerate(found)]
    view = fold([*events, *told, dataclasses.replace(end, seq=end.seq + len(told))])
    asked = Report(Path("run"), view, RunState.FINISHED)
    for form in ("md", "html", "tex"):
        assert "retuned ASR" in of_run(asked, form) and "34.5" in of_run(asked, form), form
    row = [*csv.DictReader(io.StringIO(of_run(asked, "csv")))][2]
    assert [row[column] for column in VERIFIED] == ["34.5", "1.25", "0.3", "", "", "", ""]
    for form in ("md", "html", "tex"):
        text = of_comparison([asked, report()], form)
        assert "retuned (clean)" in text and "34.5 (1.2)" in text and "bound 4" in text, form
    rows = [*csv.DictReader(io.StringIO(of_comparison([asked, report()], "csv")))]
    values = [row["value"] for row in rows if (row["stage"], row["figure"]) == ("nad", "retuned_asr")]
    assert values == ["34.5", ""]


def test_tex_has_the_curve_as_a_table_of_its_own():
    text = of_run(report(), "tex")
    assert text.count(r"\begin{tabular}") == 3, "the stages, the defenses side by side, the curve"
    assert "% On the way to fine-tuning" in text
    assert r"0.5 & 95.0 & 80.0 \\" in text


@pytest.mark.parametrize("form", FORMATS)
def test_a_run_without_a_trigger_is_exported_and_says_why_it_has_no_asr(form):
    content = of_run(report(attacked=False), form)
    if form in ("md", "html", "tex"):
        assert "No trigger is known" in content and "nan" not in content.replace("finance", "")
    if form == "html":
        assert "ACC in percent" in content and "ACC and ASR" not in content
    if form == "json":
        assert [stage["asr"] for stage in json.loads(content)["stages"]] == [None] * 4


@pytest.mark.parametrize("form", COMPARISONS)
def test_runs_with_and_without_a_trigger_are_compared(form):
    assert of_comparison([report(), report(attacked=False)], form)


def test_the_picture_has_a_row_for_each_model_and_no_triggered_maps_without_a_trigger():
    from PIL import Image

    triggered, clean, one = (
        Image.open(io.BytesIO(png_file.render_sample(view, 0))).size
        for view in (report().view, report(attacked=False).view, fold(_maps_of_one_defense()))
    )
    assert clean[0] < triggered[0] and clean[1] == triggered[1]
    assert triggered[1] - one[1] == png_file.SIDE + png_file.LINE


def _maps_of_one_defense() -> list:
    return scripted_run.timed(run_folders.script("run", run_folders.config()))


@pytest.mark.parametrize("form", ["md", "html"])
def test_what_a_stage_chose_and_its_way_are_told(form):
    text = of_run(report(), form)
    assert "fine-tuning chose bound 4 (score 0.93; 3 candidates: 2 0.9, 4 0.93, 8 0.91)" in text
    assert "On the way to fine-tuning" in text
    rows = {"md": "| 0.5 | 95.0 | 80.0 |", "html": "<td>0.5</td><td>95.0</td><td>80.0</td>"}
    assert rows[form] in text


def test_json_has_choices_and_ways_as_in_the_summary():
    last = json.loads(of_run(report(), "json"))["stages"][-1]
    assert [point["at"] for point in last["curve"]] == [0.0, 0.5, 1.0]
    assert last["chosen"] == [{"what": "bound", "choice": "4", "scores": {"2": 0.9, "4": 0.93, "8": 0.91}}]


def test_without_a_trigger_the_way_is_of_acc_alone():
    text = of_run(report(attacked=False), "md")
    assert "| 0.5 | 95.0 |\n" in text and "| t | ACC |" in text
