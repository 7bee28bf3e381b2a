"""PDF, for papers: the same figures, a page each, drawn by matplotlib (the extra `nadtui[figures]`)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from engine.errors import RequestError
from nadtui.draw.sweep_pictures import HeatMap, Scatter, heat_map, ink, scatter, shade
from nadtui.runs.sweep_report import SweepReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def render(report: SweepReport) -> bytes:
    """The sweep's figures as a PDF document with a page each.

    Raises:
        RequestError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_pdf import PdfPages
    except ImportError:
        raise RequestError("--format pdf needs matplotlib: pip install 'nadtui[figures]'") from None
    buffer = io.BytesIO()
    marks = scatter(report)
    # Type 42: letters as letters, which publishers ask for. No date: the same sweep gives the same bytes.
    with rc_context({"pdf.fonttype": 42, "font.size": 9}), PdfPages(buffer, metadata={"CreationDate": None}) as pages:
        pages.savefig(_heat(heat_map(report)), bbox_inches="tight")
        if marks is not None:
            pages.savefig(_scatter(marks), bbox_inches="tight")
    return buffer.getvalue()


def _figure(width: float, height: float) -> tuple[Figure, Any]:
    """A figure without pyplot, which keeps every one that was ever made; sizes in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.add_subplot()


def _heat(heat: HeatMap) -> Figure:
    figure, axes = _figure(1.5 + 1.6 * len(heat.columns), 0.8 + 0.3 * len(heat.lines))
    axes.imshow([[[part / 255 for part in shade(share)] for share in line] for line in heat.shares], aspect="auto")
    for at, (shares, texts) in enumerate(zip(heat.shares, heat.texts, strict=True)):
        for place, (share, said) in enumerate(zip(shares, texts, strict=True)):
            axes.text(place, at, _literal(said), ha="center", va="center", color=ink(shade(share)), fontsize=8)
    axes.set_xticks(range(len(heat.columns)), list(map(_literal, heat.columns)))
    axes.set_yticks(range(len(heat.lines)), list(map(_literal, heat.lines)))
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(heat.title)
    return figure


def _scatter(marks: Scatter) -> Figure:
    figure, axes = _figure(5.5, 3.6)
    for series, color in marks.colors.items():
        own = [mark for mark in marks.marks if mark.series == series]
        places = [mark.x for mark in own], [mark.y for mark in own]
        reach = {"xerr": [mark.x_reach for mark in own], "yerr": [mark.y_reach for mark in own]}
        axes.errorbar(*places, **reach, fmt="o", color=color, ecolor=f"{color}70", label=_literal(series), markersize=4)
    if marks.named:
        for mark in marks.marks:
            axes.annotate(_literal(mark.label), (mark.x, mark.y), (4, 4), textcoords="offset points", fontsize=7)
    low, high, bottom, top = marks.ranges
    axes.set(xlim=(low, high), ylim=(bottom, top), xlabel=marks.x_title, ylabel=marks.y_title)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def _literal(said: str) -> str:
    """Text that matplotlib shows as it is: a dollar would begin a formula."""
    return said.replace("$", r"\$")
