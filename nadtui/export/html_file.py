"""HTML in one file: figures, curves as SVG, attention maps as images, the whole configuration; everything escaped."""

from __future__ import annotations

import base64
import html

import yaml

from nadtui import formatting
from nadtui.draw.run_charts import figures_chart, loss_chart
from nadtui.export import png_file, svg
from nadtui.export.html_page import page
from nadtui.runs.digest import Report


def render(report: Report) -> str:
    """The run as an HTML document that needs no other file and runs no script."""
    view = report.view
    parts = [f"<h1>{_text(view.run)}</h1>"]
    if report.caution:
        parts.append(f'<p class="caution">{_text(report.caution)}</p>')
    if view.failure is not None:
        parts.append(f'<p class="caution">Failed in {_text(view.failure.stage)}: {_text(view.failure.message)}</p>')
    facts = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in report.facts()[1:])
    parts += [f"<dl>{facts}</dl>", _figures(report), *_curves(report), *_maps(report)]
    config = "\n".join(
        map(formatting.clean, yaml.safe_dump(view.config, sort_keys=False, allow_unicode=True).splitlines())
    )
    parts.append(f"<h2>Configuration</h2><pre>{html.escape(config)}</pre>")
    return page(view.run, "\n".join(parts))


def _figures(report: Report) -> str:
    head = "".join(f"<th>{title}</th>" for title in ("stage", "ACC", "ASR", "RA", "base", "epochs", "time"))
    rows = []
    for stage in report.summary["stages"]:
        name = _text(stage["stage"]) + (" (not trained here)" if stage["cached"] else "")
        name += "" if stage["state"] == "finished" else " (unfinished)"
        cells = [name]
        for key in ("acc", "asr", "ra", "base"):
            cells.append(
                f"{formatting.percentage(stage[key])} <small>{formatting.interval(stage[f'{key}_ci'])}</small>"
            )
        cells += [str(stage["epochs"]), formatting.duration(stage["seconds"])]
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return f"<h2>Figures</h2><table><tr>{head}</tr>{''.join(rows)}</table><p><small>{html.escape(_LEGEND)}</small></p>"


_LEGEND = (
    "Percentages. ACC is over all test images; ASR (triggered images sent to the attacker's class), RA (triggered "
    "images given their true class) and base (sent there without a trigger) over those of other classes. 95 % Wilson "
    "intervals; figures are those of the last epoch."
)


def _curves(report: Report) -> list[str]:
    drawn = [
        ("ACC and ASR", svg.draw(figures_chart(report.view, "epoch", dark=False), "ACC and ASR in percent, by epoch")),
        ("Loss", svg.draw(loss_chart(report.view, "epoch", log_y=True, dark=False), "loss, by epoch")),
    ]
    return [f"<h2>{title}</h2>{picture}" for title, picture in drawn if picture]


def _maps(report: Report) -> list[str]:
    numbers = png_file.samples(report.view)
    if not numbers:
        return []
    images = []
    for number in numbers:
        content = base64.b64encode(png_file.render_sample(report.view, number)).decode()
        images.append(f'<p><img alt="attention maps of sample {number}" src="data:image/png;base64,{content}"></p>')
    return ["<h2>Attention maps</h2>", *images]


def _text(value: object) -> str:
    return html.escape(formatting.clean(value))
