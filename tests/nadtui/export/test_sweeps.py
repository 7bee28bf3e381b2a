"""A sweep as documents: the figures are the rows', whatever a record is called is only text."""

from __future__ import annotations

import csv
import io
import json
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from engine.errors import RequestError
from engine.sweeps.rows import CellRow, rows
from nadtui.export.sweeps.cells import overview
from nadtui.export.sweeps.formats import FORMATS, of_sweep
from nadtui.runs.sweep_groups import grouped
from nadtui.runs.sweep_report import SweepReport, of_rows
from tests.sweep_folders import write_made_up


@pytest.fixture(scope="module")
def cells(tmp_path_factory) -> list[CellRow]:
    folder = tmp_path_factory.mktemp("sweep") / "s"
    write_made_up(folder, 48, preset=["badnets", "sig"], seed=range(2), attack_seed=range(6))
    return rows(folder)


@pytest.fixture(scope="module")
def report(cells) -> SweepReport:
    return of_rows("night", cells)


def test_the_table_has_presets_and_all_of_them_by_defenses(report):
    assert report.table.columns == ("nad", "fine-tuning")
    assert report.table.lines == (("badnets",), ("sig",), ("all",))
    assert [detail.group.figure("asr").count for detail in report.details] == ["6 x 2"] * 4 + ["12 x 2"] * 2
    assert report.table.fixed == {"dataset": "signs", "model": "wrn-16-1", "recipe": "default"}
    assert report.caution == "" and report.facts() == [
        "dataset signs, model wrn-16-1, recipe default",
        "48 cells",
    ]


def test_presets_are_lines_where_there_is_one_defense(cells):
    report = of_rows("one", [row for row in cells if row.defense == "nad"])
    assert (report.table.down, report.table.across) == (("preset",), ("defense",))
    assert (report.table.columns, report.table.lines) == (("nad",), (("badnets",), ("sig",), ("all",)))
    assert len(report.table.groups) == 3
    header = of_sweep(report, "csv").splitlines()[0].split(",")
    assert len(set(header)) == len(header)


def test_a_group_is_what_its_rows_are(cells, report):
    own = [row for row in cells if (row.preset, row.defense) == ("sig", "nad")]
    group = next(each.group for each in report.details if each.line == ("sig",) and each.column == "nad")
    means = [statistics.fmean(row.acc for row in own if row.attack_seed == seed) for seed in range(6)]
    found = group.figure("acc")
    assert found.mean == pytest.approx(statistics.fmean(means))
    assert found.deviation == pytest.approx(statistics.stdev(means)) and found.interval is not None
    assert group.figure("lost").mean == pytest.approx(statistics.fmean(row.suspect_acc - row.acc for row in own))


def test_pairs_are_of_one_suspect_and_one_subset(cells, report):
    by = {(row.preset, row.defense, row.attack_seed, row.seed): row for row in cells}
    pair = next(each for each in report.pairs if each.line == ("badnets",))
    assert (pair.defense, pair.against) == ("nad", "fine-tuning")
    wanted = [
        row.asr - by["badnets", "fine-tuning", *key[2:]].asr for key, row in by.items() if key[:2] == ("badnets", "nad")
    ]
    assert pair.asr.mean == pytest.approx(statistics.fmean(wanted))
    # An unfinished half has no pair.
    half = [replace(row, acc=None, asr=None) if row.defense == "nad" and row.seed else row for row in cells]
    assert of_rows("x", half).pairs[0].acc.count == "6 x 1"


def test_with_several_recipes_pairs_are_of_one_recipe(cells):
    both = cells + [
        replace(row, asr=row.asr + 50, recipe="paper", axes={**row.axes, "recipe": "paper"}) for row in cells
    ]
    found = of_rows("x", [row for row in both if (row.recipe, row.defense) != ("paper", "fine-tuning")])
    assert {pair.defense for pair in found.pairs} == {"nad, default"}
    assert {pair.defense for pair in of_rows("x", both).pairs} == {"nad, default", "nad, paper"}


@pytest.mark.parametrize("form", ["md", "csv", "tex", "json", "html", "svg"])
def test_every_format_says_the_same(report, form):
    document = of_sweep(report, form)
    group = report.details[0].group
    assert f"{group.figure('asr').mean:.1f}" in document and "fine-tuning" in document
    if form in ("md", "html"):
        assert f"{group.mean('image_steps'):,.0f}" in document


def test_what_was_measured_beyond_has_columns_of_its_own(cells):
    told = [{"linear-path": {"t50": at}, "retuning": {"asr_after": 30.0}} for at in (0.25, None, 0.75)]
    some = [replace(row, verified=verified) for row, verified in zip(cells, told, strict=False)]
    head, *rows = [
        line.split(" | ")
        for line in of_sweep(of_rows("x", some), "md").splitlines()
        if "retuned" in line or "never" in line
    ]
    assert "retuned: ASR after" in of_sweep(of_rows("x", some), "html")
    assert head[-2:] == ["retuned ASR", "t50 |"] and "0.50" in rows[0][-1] and "1 never" in rows[0][-1]
    assert "retuned" not in of_sweep(of_rows("x", cells), "md")
    figures = {line["figure"] for line in csv.DictReader(io.StringIO(of_sweep(of_rows("x", some), "csv")))}
    assert {"retuned", "t50"} < figures and not figures & {"shadow", "woken"}


def test_csv_and_json_hold_the_numbers_in_full(report):
    lines = list(csv.DictReader(io.StringIO(of_sweep(report, "csv"))))
    line = next(each for each in lines if each["figure"] == "asr")
    found = report.details[0].group.figure("asr")
    assert float(line["mean"]) == found.mean and float(line["low"]) == found.interval[0] and line["interval"] == "1"
    values = json.loads(of_sweep(report, "json"))
    assert len(values["cells"]) == 48 and values["groups"][0]["figures"]["asr"]["mean"] == found.mean
    assert values["cells"][0]["suspect_acc"] == report.rows[0].suspect_acc
    assert values["pairs"][0]["against"] == "fine-tuning"


def test_latex_wants_booktabs_and_marks_the_best(report):
    document = of_sweep(report, "tex")
    assert all(rule in document for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\cmidrule(lr){2-3}"))
    assert document.count(r"\textbf") == len(report.table.lines)


def test_names_are_only_text(cells):
    evil = "<b>&|$_x</b>"
    named = [
        replace(row, preset=evil, axes={**row.axes, "preset": evil}) if row.preset == "sig" else row for row in cells
    ]
    report = of_rows(evil, named)
    assert "<b>" not in of_sweep(report, "html") and "<b>" not in of_sweep(report, "md")
    assert r"\$\_x" in of_sweep(report, "tex")
    ElementTree.fromstring(of_sweep(report, "svg"))


def test_what_is_missing_is_said(cells):
    some = [replace(row, acc=None, asr=None, status="new") if row.seed else row for row in cells]
    some[0] = replace(some[0], acc=None, asr=None, status="failed", error="loss is not finite")
    report = of_rows("x", some)
    assert report.caution == "25 cells of it are not finished" and "25 cells" in of_sweep(report, "md")
    assert report.facts()[1] == "48 cells, 23 of them finished, 1 failed"
    assert "(5 of 12)" in of_sweep(report, "md")


def test_a_suspect_that_never_had_a_backdoor_is_marked_and_is_no_best(cells):
    never = [
        replace(row, suspect_asr=3.0, suspect_base=1.0) if (row.preset, row.attack_seed) == ("sig", 2) else row
        for row in cells
    ]
    report = of_rows("night", never)
    assert any(
        fact.startswith("unplanted: 1 suspect (sig, attack seed 2) never had a backdoor") for fact in report.facts()
    )
    head, lines = overview(report)
    assert [line[head.index("nad")].endswith("(2 unplanted)") for line in lines] == [False, True, True]
    document = of_sweep(report, "tex")
    assert [line.count("unplanted") for line in document.splitlines() if line.startswith(("badnets", "sig"))] == [0, 2]
    assert document.count("textbf") == 1
    assert not any("unplanted" in fact for fact in of_rows("night", cells).facts())


def test_latex_says_what_is_missing_and_holds_nobody_with_less_for_the_best(cells):
    some = [replace(row, acc=None, asr=None) if (row.defense, row.seed) == ("nad", 1) else row for row in cells]
    document = of_sweep(of_rows("night", some), "tex")
    assert "(6 of 12)" in document and "textbf" not in document


def test_suspects_that_are_judged_on_other_images_have_no_figure_in_common(cells):
    other = [replace(row, suspect_acc=row.suspect_acc - 2) if row.defense == "nad" else row for row in cells]
    assert of_rows("night", cells).table.alike and not of_rows("night", other).table.alike


def test_what_there_can_be_no_figure_of_is_neither_missing_nor_failed(cells):
    absent = {"acc": None, "asr": None, "status": "n/a", "error": "the network has no batch norm"}
    report = of_rows("x", [replace(row, **absent) if row.defense == "nad" else row for row in cells])
    assert report.caution == "" and report.facts()[1] == "48 cells, 24 of them finished, 24 n/a"
    assert "| n/a |" in of_sweep(report, "md")


def test_without_a_trigger_there_is_no_asr(cells):
    plain = [replace(row, asr=None, ra=None, suspect_asr=None) for row in cells]
    report = of_rows("x", plain)
    for form in FORMATS:
        of_sweep(report, form)
    assert " / " not in of_sweep(report, "md").split("## In full")[0].split("ACC / ASR:")[1]


def test_one_axis_more_makes_lines_of_its_own(cells):
    axis = "data.clean_fraction"
    shares = [replace(row, axes={**row.axes, axis: 0.01 if row.seed else 0.05}) for row in cells]
    assert of_rows("x", shares).table.down == ("preset", axis)
    one = [row for row in shares if row.defense == "nad" and row.preset == "sig"]
    table = of_rows("x", one).table
    assert (table.across, table.columns, table.lines) == ((axis,), ("0.05", "0.01"), (("sig",),))


def test_suspects_that_differ_along_a_line_have_no_figure_in_common(cells):
    axis = "attack.poisoning_rate"
    own = [row for row in cells if (row.defense, row.preset) == ("nad", "sig")]
    rates = of_rows("x", [replace(row, axes={**row.axes, axis: 0.1 if row.seed else 0.05}) for row in own])
    assert not rates.table.alike and of_rows("x", own).table.alike
    assert "| preset | 0.05 | 0.1 |" in of_sweep(rates, "md") and "| preset | before |" in of_sweep(
        of_rows("x", own), "md"
    )
    assert (
        r"\begin{tabular}{lrrrr}" in of_sweep(rates, "tex")
        and ">before<" not in of_sweep(rates, "html").split("In full")[0]
    )


def test_a_pdf_is_the_same_each_time(report):
    first = of_sweep(report, "pdf")
    assert first.startswith(b"%PDF") and first == of_sweep(report, "pdf") and first.count(b"/Type /Page ") == 2


def test_without_matplotlib_a_line_says_how_to_get_it(report, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(RequestError, match=r"needs matplotlib: pip install 'nadtui\[figures\]'"):
        of_sweep(report, "pdf")


def test_an_unknown_format_is_refused(report):
    with pytest.raises(RequestError, match=r"--format doc: unknown for a sweep; allowed: md, csv"):
        of_sweep(report, "doc")


def test_suspects_of_several_rates_are_several(cells):
    rates = [replace(row, axes={**row.axes, "attack.poisoning_rate": 0.01 if row.seed else 0.05}) for row in cells]
    assert grouped(rates, [])[0].figure("acc").count == "24 x 1"


def test_an_empty_sweep_is_refused():
    with pytest.raises(RequestError, match="has no cells"):
        of_rows("x", [])


def test_the_pictures_stay_in_their_frame(report, tmp_path: Path):
    root = ElementTree.fromstring(of_sweep(report, "svg"))
    width = float(root.get("width"))
    dots = [node for node in root.iter() if node.tag.endswith("circle")]
    assert len(dots) == len(report.details) + 2 and all(0 < float(dot.get("cx")) < width for dot in dots)
