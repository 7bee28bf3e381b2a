"""HTML in one file: figures, curves as SVG, attention maps as images, the whole configuration; everything escaped."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

from engine.record.view import RunView
from nadtui import formatting
from nadtui.draw import attention_maps, overlaid_runs
from nadtui.draw.run_charts import figures_chart, loss_chart, way_chart
from nadtui.export import explained, png_file, svg
from nadtui.export.html_page import page, text
from nadtui.runs import asleep, comparison, side_by_side
from nadtui.runs.digest import Report, Way, titles


def render(report: Report) -> str:
    """The run as an HTML document that needs no other file and runs no script."""
    view = report.view
    parts = [f"<h1>{text(view.run)}</h1>"]
    if report.caution:
        parts.append(f'<p class="caution">{text(report.caution)}</p>')
    if view.failure is not None:
        parts.append(f'<p class="caution">Failed in {text(view.failure.stage)}: {text(view.failure.message)}</p>')
    facts = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in report.facts()[1:])
    parts += [
        f"<dl>{facts}</dl>",
        _figures(report),
        *_side_by_side(report),
        *_curves(report),
        *map(_way, report.ways()),
    ]
    parts += [*_verified(report), *_confusions(report), *_maps(report)]
    parts.append(f"<h2>Configuration</h2><pre>{html.escape(report.configuration())}</pre>")
    return page(view.run, "\n".join(parts))


def render_comparison(reports: Sequence[Report]) -> str:
    """The comparison as an HTML document: figures, fields that differ, curves over each other, maps side by side."""
    figures, fields = comparison.table(reports), comparison.fields(reports)
    runs = "".join(f"<li>{letter}: {text(run)}</li>" for letter, run in comparison.named(reports))
    differing = _table(fields.columns, fields.rows) if fields.rows else "<p>In nothing.</p>"
    parts = [
        f"<h1>Comparison</h1><ul>{runs}</ul>",
        f"{_table(figures.columns, figures.rows)}<p>{text(explained.COMPARISON)}</p>",
        f"<h2>The configurations differ in</h2>{differing}",
        *_overlaid(reports),
        *_maps_beside(reports),
    ]
    return page("Comparison", "\n".join(parts))


def _overlaid(reports: Sequence[Report]) -> list[str]:
    """The curves of all runs over each other."""
    drawn = [
        (title, svg.draw(overlaid_runs.chart(reports, figure, "epoch", dark=False), f"{title} in percent, by epoch"))
        for figure, title in overlaid_runs.CURVES
    ]
    return [f"<h2>{title}</h2>{picture}" for title, picture in drawn if picture]


def _maps_beside(reports: Sequence[Report]) -> list[str]:
    """The runs' newest maps side by side: of the test images that all have recorded, else of each run's first."""
    lettered = [
        (letter, report.view)
        for letter, report in zip(comparison.letters(len(reports)), reports, strict=True)
        if attention_maps.samples(report.view)
    ]
    if not lettered:
        return []
    rows = []
    for numbers in attention_maps.shared_samples([view for _, view in lettered]):
        drawn = [
            f"<figure><figcaption>{letter}</figcaption>{_map_picture(view, number)}</figure>"
            for (letter, view), number in zip(lettered, numbers, strict=True)
        ]
        rows.append(f'<div class="beside">{"".join(drawn)}</div>')
    return ["<h2>Attention maps</h2>", *rows]


def _map_picture(view: RunView, number: int) -> str:
    content = base64.b64encode(png_file.render_sample(view, number)).decode()
    return f'<img alt="attention maps of sample {number}" src="data:image/png;base64,{content}">'


def _figures(report: Report) -> str:
    head = "".join(f"<th>{title}</th>" for title in ("stage", "ACC", "ASR", "RA", "base", "epochs", "time"))
    rows = []
    for title, stage in zip(titles(report.summary, remarks=True), report.summary["stages"], strict=True):
        cells = [text(title)]
        for key in ("acc", "asr", "ra", "base"):
            cells.append(
                f"{formatting.percentage(stage[key])} <small>{formatting.interval(stage[f'{key}_ci'])}</small>"
            )
        cells += [str(stage["epochs"]), formatting.duration(stage["seconds"])]
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    legend = f"<p><small>{text(explained.figures(report))}</small></p>"
    legend += "".join(f"<p>{text(said)}</p>" for said in report.choices())
    return f"<h2>Figures</h2><table><tr>{head}</tr>{''.join(rows)}</table>{legend}"


def _side_by_side(report: Report) -> list[str]:
    """The defenses, where there are several."""
    found = side_by_side.table(report.summary)
    return [f"<h2>{side_by_side.TITLE}</h2>{_table(found.columns, found.cells)}"] if found else []


def _confusions(report: Report) -> list[str]:
    """What the suspect and the purified models take the images of each class for."""
    return [f"<h2>{text(each.title)}</h2>{_table(each.columns, each.rows())}" for each in report.confusions()]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{text(title)}</th>" for title in columns)
    body = "".join(f"<tr>{''.join(f'<td>{text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _curves(report: Report) -> list[str]:
    figures = "ACC and ASR" if report.view.attacked else "ACC"
    drawn = [
        (figures, svg.draw(figures_chart(report.view, "epoch", dark=False), f"{figures} in percent, by epoch")),
        ("Loss", svg.draw(loss_chart(report.view, "epoch", log_y=True, dark=False), "loss, by epoch")),
    ]
    return [f"<h2>{title}</h2>{picture}" for title, picture in drawn if picture]


def _verified(report: Report) -> list[str]:
    """What became of the purified models under attack once more, where that was asked for."""
    rows = asleep.rows(report.view)
    if not rows:
        return []
    told = "".join(f"<p><small>{text(said)}</small></p>" for said in (*asleep.remarks(report.view), asleep.LEGEND))
    return [f"<h2>{text(asleep.TITLE)}</h2>{_table(asleep.COLUMNS, rows)}{told}"]


def _way(way: Way) -> str:
    """A stage's curve, drawn and as a table."""
    attacked = "ASR" in way.columns
    picture = svg.draw(way_chart(way.stage, attacked=attacked, dark=False), f"{way.title}, in percent")
    return f"<h2>{text(way.title)}</h2>{picture}{_table(way.columns, way.rows)}"


def _maps(report: Report) -> list[str]:
    images = [f"<p>{_map_picture(report.view, number)}</p>" for number in attention_maps.samples(report.view)]
    return ["<h2>Attention maps</h2>", *images] if images else []
