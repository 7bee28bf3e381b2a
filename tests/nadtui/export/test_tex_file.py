"""LaTeX: whole tables, everything special escaped."""

import re

from nadtui.export import tex_file
from nadtui.export.formats import of_comparison
from nadtui.runs.comparison import fields
from tests.nadtui.export.test_html_file import read


def test_tex_escapes_what_latex_would_read():
    assert tex_file.tex("a_b & 5% {x} \\y ~^#$") == (
        r"a\_b \& 5\% \{x\} \textbackslash{}y \textasciitilde{}\textasciicircum{}\#\$"
    )


def test_tex_is_a_whole_table(sig_report, hostile):
    document = tex_file.render(sig_report)
    rows = [line for line in document.splitlines() if line.endswith(r"\\")]
    assert all(row.count(" & ") == 5 for row in rows)
    assert rows[1].startswith("attack & 97.0 {")
    assert document.count(r"\begin{tabular}") == document.count(r"\end{tabular}") == 1
    for line in tex_file.render(hostile).splitlines():
        assert line.startswith("%") or not re.search(r"(?<!\\)[#_%]", line)


def test_tex_and_html_comparisons_are_whole(reports):
    document = of_comparison(reports, "tex")
    rows = [line for line in document.splitlines() if line.endswith(r"\\")]
    assert all(row.count("&") == 5 for row in rows)
    assert read(of_comparison(reports, "html")).tags["tr"] == len(rows) + len(fields(reports).rows) + 1
