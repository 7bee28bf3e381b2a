"""HTML in one file: the table as a heat map, the figure, the groups in full, the differences in pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nadtui.draw.sweep_pictures import heat_map, hexadecimal, ink, scatter, shade
from nadtui.export.html_page import page, text
from nadtui.export.sweeps import cells, svg_file
from nadtui.runs.sweep_report import AGAINST, EQUAL_COST, PAIRED, SweepReport


def render(report: SweepReport) -> str:
    """The sweep as an HTML document that needs no other file and runs no script."""
    parts = [f"<h1>{text(report.name)}</h1>"]
    if report.caution:
        parts.append(f'<p class="caution">{text(report.caution)}</p>')
    parts += [f"<p>{text(fact)}</p>" for fact in report.facts()]
    parts.append(_heat(report))
    marks = scatter(report)
    if marks is not None:
        parts.append(svg_file.alone(*svg_file.draw_scatter(marks), "ACC lost against ASR left"))
    parts += ["<h2>In full</h2>", _table(*cells.details(report)), f"<p><small>{text(report.explained)}</small></p>"]
    if report.pairs:
        said = text(PAIRED.format(report.pairs[0].against))
        parts += ["<h2>In pairs</h2>", _table(*cells.pairs(report)), f"<p><small>{said}</small></p>"]
    if report.published:
        parts += ["<h2>Beside what was published</h2>", _table(*cells.published(report))]
    if report.equal_cost:
        said = text(EQUAL_COST.format(*reversed(AGAINST)))
        parts += ["<h2>At equal cost</h2>", _table(*cells.equal_cost(report)), f"<p><small>{said}</small></p>"]
    return page(report.name, "\n".join(parts))


def _heat(report: SweepReport) -> str:
    heat, alike = heat_map(report), report.table.alike
    head = "".join(f"<th>{text(title)}</th>" for title in (heat.corner, *["before"] * alike, *heat.columns))
    rows = []
    for at, (line, shares, texts) in enumerate(zip(heat.lines, heat.shares, heat.texts, strict=True)):
        shaded = "".join(
            f'<td style="background:{hexadecimal(shade(share))};color:{ink(shade(share))}">{text(said)}</td>'
            for share, said in zip(shares, texts, strict=True)
        )
        before = f"<td>{text(cells.both_before(report.table.before(at)))}</td>" if alike else ""
        rows.append(f"<tr><td>{text(line)}</td>{before}{shaded}</tr>")
    return f"<table><tr>{head}</tr>{''.join(rows)}</table><p><small>{text(heat.title)}</small></p>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    titles = "".join(f"<th>{text(title)}</th>" for title in head)
    lines = "".join(f"<tr>{''.join(f'<td>{text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{titles}</tr>{lines}</table>"
