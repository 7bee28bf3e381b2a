"""A run's curves and attention maps as text, once: for `nadtui show`, a pipe or a log."""

from __future__ import annotations

from collections.abc import Iterator

from rich.style import Style
from rich.text import Text

from engine.record.view import RunView
from nadtui import formatting
from nadtui.draw import attention_maps, map_grid, run_charts, terminal_plot
from nadtui.draw.chart import Chart
from nadtui.draw.map_lines import Look

WIDEST = 120
"""Columns beyond which the pictures do not grow."""
LINES = 16
MAP_LINES = 40


def draw(view: RunView, width: int, *, color: bool) -> Text:
    """Everything a record has to show, in at most `width` columns; without color in letters."""
    width = min(width, WIDEST)
    parts = [*_figures(view, width, color=color), *_ways(view, width, color=color), *_maps(view, width, color=color)]
    return Text("\n").join(parts)


def _figures(view: RunView, width: int, *, color: bool) -> Iterator[Text]:
    """ACC and ASR over all stages."""
    yield from _drawn(run_charts.figures_chart(view, "epoch"), "by epoch", width, color=color)


def _ways(view: RunView, width: int, *, color: bool) -> Iterator[Text]:
    """ACC and ASR of the models on the way to a stage's, of the stages that were measured so."""
    for stage in view.stages.values():
        chart = run_charts.way_chart(stage, attacked=view.attacked)
        yield from _drawn(chart, f"on the way to {formatting.clean(stage.name)}, by t", width, color=color)


def _drawn(chart: Chart, title: str, width: int, *, color: bool) -> Iterator[Text]:
    """A chart below its legend; nothing where it has no point."""
    if not any(each.x for each in chart.series):
        return
    legend = Text(f"{title}: ")
    for each in chart.series:
        legend.append(f"{each.key(color=color)} ", Style(color=each.color))
        legend.append(f"{formatting.clean(each.name)}  ")
    yield legend
    for row in terminal_plot.draw(chart, width, LINES, color=color).rows:
        line = Text()
        for letter, shade in row:
            line.append(letter, Style(dim=True) if shade == "axis" else Style(color=shade) if shade else None)
        line.rstrip()
        yield line
    yield Text()


def _maps(view: RunView, width: int, *, color: bool) -> Iterator[Text]:
    """The newest maps of the first sample, in all models."""
    maps = attention_maps.newest(view, min(view.samples, default=0))
    if not any(any(row.maps) for row in maps.rows):
        return
    yield Text(f"attention maps{', clean and triggered side by side' * (maps.view == 'both')}:")
    lines = max(MAP_LINES, 1 + len(maps.rows) * (1 + map_grid.LEGIBLE // 2))
    for part in map_grid.in_parts(maps, width, lines):
        for line in map_grid.compose(part, width, lines, Look(blocks=color)):
            drawn = Text()
            for segment in line:
                drawn.append(segment.text, segment.style)
            drawn.rstrip()
            yield drawn
