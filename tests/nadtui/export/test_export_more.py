"""HTML, LaTeX, PNG and comparisons: readable by their own readers, and harmless whatever a record holds."""

from __future__ import annotations

import csv
import dataclasses
import html.parser
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PIL import Image

from engine.errors import RequestError
from engine.record.state import RunState
from engine.record.view import fold
from nadtui.cli.export import export
from nadtui.draw.chart import Chart, Series
from nadtui.export import html_file, png_file, svg, tex_file
from nadtui.export.formats import of_comparison
from nadtui.runs.digest import Report
from nadtui.runs.loading import load
from tests import run_folders, scripted_run

HOSTILE = "<script>alert(1)</script>&\"'\x1b[31m"


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return load(str(run_folders.write(tmp_path, "20260101-120000-sig-signs-s0", preset="sig")), None)


@pytest.fixture
def hostile() -> Report:
    """A stranger's record: markup in every text."""
    settings = run_folders.config()
    settings["preset"] = HOSTILE
    settings["attack"]["name"] = HOSTILE
    events = run_folders.script(HOSTILE, settings)
    events = [
        dataclasses.replace(event, stage=HOSTILE) if getattr(event, "stage", "") == "teacher" else event
        for event in events
    ]
    started = events[0]
    events[0] = dataclasses.replace(
        started,
        plan=tuple(
            dataclasses.replace(stage, name=HOSTILE) if stage.name == "teacher" else stage for stage in started.plan
        ),
    )
    return Report(Path("x"), fold(scripted_run.timed(events)), RunState.FINISHED)


class Reader(html.parser.HTMLParser):
    """Counts the tags, and collects the text and images of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, int] = {}
        self.said: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data):
        self.said.append(data)


def read(document: str) -> Reader:
    reader = Reader()
    reader.feed(document)
    return reader


def test_html_holds_figures_curves_maps_and_configuration(report):
    page = read(html_file.render(report))
    said = " ".join(page.said)
    assert "97.0" in said
    assert "attack.poisoning" not in said
    assert "poisoning_rate: 0.8" in said
    assert page.tags["svg"] == 2
    assert page.tags["img"] == 1
    assert page.tags["tr"] == 4


def test_html_loads_nothing_from_anywhere(report):
    document = html_file.render(report)
    assert all(source.startswith("data:image/png;base64,") for source in read(document).sources)
    assert "http://" not in document
    assert "url(" not in document


def test_html_shows_foreign_markup_as_text(hostile):
    page = read(html_file.render(hostile))
    assert "script" not in page.tags
    assert any("<script>alert(1)</script>" in said for said in page.said)
    assert "\x1b" not in html_file.render(hostile)


def test_an_unfinished_run_says_so(tmp_path):
    failed = load(str(run_folders.write(tmp_path, "20260101-120000-sig-signs-s0", end="failed")), None)
    said = " ".join(read(html_file.render(failed)).said)
    assert "This run is not finished" in said
    assert "the loss is not finite" in said
    assert "not finished" in tex_file.render(failed)


def test_svg_is_well_formed_and_draws_gaps():
    chart = Chart(
        (Series("A & B", "#ff0000", [0, 1, 2, 3, 4], [1.0, 2.0, float("nan"), 3.0, 4.0]),), ((0.0, "<nad>"),), "epoch"
    )
    root = ElementTree.fromstring(svg.draw(chart, 'a "title"'))
    lines = [each for each in root.iter() if each.tag == "polyline"]
    assert [len(line.attrib["points"].split()) for line in lines] == [2, 2]
    texts = [each.text for each in root.iter("text")]
    assert "A & B" in texts
    assert "<nad>" in texts


def test_svg_of_nothing_is_nothing():
    assert svg.draw(Chart((Series("A", "#ff0000", [], []),)), "x") == ""


def test_svg_places_values_by_their_size():
    chart = Chart((Series("A", "#ff0000", [0.0, 10.0], [0.0, 100.0]),), axis="epoch", y_range=(0.0, 100.0))
    root = ElementTree.fromstring(svg.draw(chart, "x"))
    points = next(each for each in root.iter("polyline")).attrib["points"].split()
    (left, low), (right, high) = (map(float, point.split(",")) for point in points)
    assert left < right
    assert low > high  # y runs downward


def test_tex_escapes_what_latex_would_read():
    assert tex_file.tex("a_b & 5% {x} \\y ~^#$") == (
        r"a\_b \& 5\% \{x\} \textbackslash{}y \textasciitilde{}\textasciicircum{}\#\$"
    )


def test_tex_is_a_whole_table(report, hostile):
    document = tex_file.render(report)
    rows = [line for line in document.splitlines() if line.endswith(r"\\")]
    assert all(row.count(" & ") == 5 for row in rows)
    assert rows[1].startswith("attack & 97.0 {")
    assert document.count(r"\begin{tabular}") == document.count(r"\end{tabular}") == 1
    for line in tex_file.render(hostile).splitlines():
        assert line.startswith("%") or not re.search(r"(?<!\\)[#_%]", line)


def test_png_shows_each_model_and_group_on_its_own_place(report):
    with Image.open(io.BytesIO(png_file.render(report))) as picture:
        picture.load()
        # Three models below each other, a sample and three groups of two maps beside each other.
        assert picture.height == png_file.LINE + 3 * (png_file.SIDE + png_file.LINE) + png_file.GAP
        line = png_file.LINE + png_file.LINE + png_file.SIDE - 3
        left = png_file._left(2)
        clean, triggered = (
            picture.getpixel((left + place * (png_file.SIDE + 2) + png_file.SIDE - 3, line)) for place in (0, 1)
        )
        assert sum(triggered) > 600  # the trigger's corner is lit in the backdoored model
        assert sum(clean) < 100
        erased = picture.getpixel((left + png_file.SIDE + 2 + png_file.SIDE - 3, line + 2 * (png_file.SIDE + 16)))
        assert sum(erased) < 100  # and dark in the student


def test_png_of_a_run_without_maps_is_refused():
    events = [run_folders.script("x", run_folders.config())[0]]
    with pytest.raises(RequestError, match="no attention maps"):
        png_file.render(Report(Path("x"), fold(scripted_run.timed(events)), RunState.RUNNING))


@pytest.mark.parametrize("form", ["md", "json", "csv", "tex", "html", "png"])
def test_every_format_is_written_to_a_file(report, tmp_path, form):
    file = tmp_path / f"run.{form}"
    export(str(report.folder), None, file, None)
    assert file.stat().st_size > 200


def test_a_picture_is_not_poured_into_a_terminal(report):
    with pytest.raises(RequestError, match="-o"):
        export(str(report.folder), "png", None, None)


# --- comparisons ---


@pytest.fixture
def reports(tmp_path: Path) -> list[Report]:
    made = [
        run_folders.write(tmp_path, "20260101-120000-sig-signs-s0", preset="sig", asr=2.0),
        run_folders.write(tmp_path, "20260101-120100-sig-signs-s1", preset="sig", seed=1, asr=4.0),
        run_folders.write(tmp_path, "20260101-120200-badnets-signs-s0", asr=1.0),
    ]
    return [load(str(folder), None) for folder in made]


def test_markdown_comparison_is_one_table(reports):
    document = of_comparison(reports, "md")
    row = next(line for line in document.splitlines() if line.startswith("| nad | ASR"))
    assert "| 2.0 | 4.0 (+2.0) | 1.0 (-1.0) | 3.0 ± 1.4 |" in row.replace("\\", "")


def test_csv_comparison_has_plain_numbers(reports):
    rows = list(csv.DictReader(io.StringIO(of_comparison(reports, "csv"))))
    asr = {row["letter"]: row for row in rows if (row["stage"], row["figure"]) == ("nad", "asr")}
    assert float(asr["B"]["value"]) == 4.0
    assert float(asr["AB"]["value"]) == 3.0
    assert float(asr["AB"]["deviation"]) == pytest.approx(2**0.5)
    assert asr["AB"]["runs"] == "2"


def test_json_comparison_is_complete(reports):
    values = json.loads(of_comparison(reports, "json"))
    assert list(values["runs"]) == ["A", "B", "C"]
    assert values["groups"][0]["runs"] == ["A", "B"]
    assert values["groups"][0]["stages"]["nad"]["asr"]["mean"] == 3.0
    assert values["differences"]["seed"] == {"A": "0", "B": "1", "C": "0"}


def test_tex_and_html_comparisons_are_whole(reports):
    document = of_comparison(reports, "tex")
    rows = [line for line in document.splitlines() if line.endswith(r"\\")]
    assert all(row.count("&") == 5 for row in rows)
    assert read(of_comparison(reports, "html")).tags["tr"] == len(rows)


def test_an_unknown_format_is_refused_by_name(reports):
    with pytest.raises(RequestError, match="allowed: md, csv, json, tex, html"):
        of_comparison(reports, "png")
