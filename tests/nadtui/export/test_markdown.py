"""Markdown: figures, configuration, comparisons, and foreign text that is only ever text."""

import yaml

from nadtui.export.formats import of_comparison, of_run
from nadtui.export.markdown import escape
from nadtui.runs.digest import Report


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


def test_what_markdown_escapes_reads_as_before():
    assert escape("a|b") == r"a\|b"
    assert escape("20261122-s0 (x)") == "20261122-s0 (x)"


def test_markdown_comparison_is_one_table(reports):
    document = of_comparison(reports, "md")
    row = next(line for line in document.splitlines() if line.startswith("| nad | ASR"))
    assert "| 2.0 | 4.0 (+2.0) | 1.0 (-1.0) | 3.0 ± 1.4 |" in row.replace("\\", "")
