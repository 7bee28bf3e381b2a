"""SVG: the heat map, and below it ACC lost against ASR left, in one picture that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from nadtui.draw.chart import ticks
from nadtui.draw.labels import placed
from nadtui.draw.sweep_pictures import HeatMap, Mark, Scatter, heat_map, hexadecimal, ink, scatter, shade
from nadtui.export.html_page import text
from nadtui.runs.sweep_report import SweepReport

_LINE, _HEAD, _LETTER = 24, 34, 6.7
"""Pixels: a line of the heat map, its head, a letter at 12 pixels."""
_WIDTH, _HEIGHT = 860, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 170, 20, 44


def render(report: SweepReport) -> str:
    """The sweep's figures as one SVG document."""
    pictures = [draw_heat_map(heat_map(report))]
    marks = scatter(report)
    if marks is not None:
        pictures.append(draw_scatter(marks))
    width, height, inside = 0, 0, ""
    for picture, (across, down) in pictures:
        inside += f'<g transform="translate(0 {height})">{picture}</g>'
        width, height = max(width, across), height + down
    return _document(inside, width, height, report.name)


def alone(picture: str, size: tuple[int, int], title: str) -> str:
    """One picture as an `<svg>` element."""
    return _document(picture, *size, title).rstrip()


def _document(inside: str, width: int, height: int, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="12"><title>{text(title)}</title>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>{inside}</svg>\n'
    )


def draw_heat_map(heat: HeatMap) -> tuple[str, tuple[int, int]]:
    """The heat map, and its width and height."""
    first = _wide([heat.corner, *heat.lines])
    height = _HEAD + len(heat.lines) * _LINE
    parts = [_label(8, 22, heat.corner, bold=True), _label(8, height + 18, heat.title, color="#555555")]
    parts += [_label(8, _HEAD + line * _LINE + 16, name) for line, name in enumerate(heat.lines)]
    at = first
    for place, column in enumerate(heat.columns):
        width = _wide([column, *(line[place] for line in heat.texts)])
        parts.append(_label(at + width / 2, 22, column, anchor="middle", bold=True))
        for line, (shares, texts) in enumerate(zip(heat.shares, heat.texts, strict=True)):
            color, top = shade(shares[place]), _HEAD + line * _LINE
            box = f'x="{at}" y="{top}" width="{width - 1}" height="{_LINE - 1}"'
            parts.append(f'<rect {box} fill="{hexadecimal(color)}"/>')
            parts.append(_label(at + width / 2, top + 16, texts[place], anchor="middle", color=ink(color)))
        at += width
    return "".join(parts), (max(at, _wide([heat.title])), height + 34)


def draw_scatter(marks: Scatter) -> tuple[str, tuple[int, int]]:
    """The scatter, and its width and height."""
    plot = _Plot(marks)
    parts = [plot.axes(), *map(plot.mark, marks.marks), *(plot.labels() if marks.named else ())]
    right = _WIDTH - _RIGHT
    for place, (series, color) in enumerate(marks.colors.items()):
        parts.append(f'<circle cx="{right + 20}" cy="{_TOP + 8 + 20 * place}" r="4" fill="{color}"/>')
        parts.append(_label(right + 30, _TOP + 12 + 20 * place, series))
    return "".join(parts), (_WIDTH, _HEIGHT)


class _Plot:
    """A scatter's place on the page."""

    def __init__(self, marks: Scatter) -> None:
        self.marks = marks
        self.low, self.high, self.bottom, self.top = marks.ranges

    def x(self, value: float) -> float:
        return _LEFT + (value - self.low) / (self.high - self.low) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (min(max(value, self.bottom), self.top) - self.bottom) / (self.top - self.bottom)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)

    def axes(self) -> str:
        floor, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
        parts = [f'<path d="M{_LEFT} {_TOP}V{floor}H{right}" stroke="#555" fill="none"/>']
        for value in ticks(self.bottom, self.top, 7):
            parts.append(f'<path d="M{_LEFT} {self.y(value):.1f}H{right}" stroke="#e4e4e4"/>')
            parts.append(_label(_LEFT - 6, self.y(value) + 4, f"{value:g}", anchor="end"))
        for value in ticks(self.low, self.high, 9):
            parts.append(f'<path d="M{self.x(value):.1f} {_TOP}V{floor}" stroke="#e4e4e4"/>')
            parts.append(_label(self.x(value), floor + 18, f"{value:g}", anchor="middle"))
        parts.append(_label((_LEFT + right) / 2, _HEIGHT - 6, self.marks.x_title, anchor="middle"))
        turned = f'transform="translate(14 {(_TOP + floor) / 2:.0f}) rotate(-90)"'
        return "".join(parts) + f"<g {turned}>{_label(0, 0, self.marks.y_title, anchor='middle')}</g>"

    def mark(self, mark: Mark) -> str:
        x, y, color = self.x(mark.x), self.y(mark.y), self.marks.colors[mark.series]
        across = f"M{self.x(mark.x - mark.x_reach):.1f} {y:.1f}H{self.x(mark.x + mark.x_reach):.1f}"
        down = f"M{x:.1f} {self.y(mark.y + mark.y_reach):.1f}V{self.y(mark.y - mark.y_reach):.1f}"
        said = text(f"{mark.series}, {mark.label}: {mark.x:.1f} lost, {mark.y:.1f} left")
        cross = f'<path d="{across}{down}" stroke="{color}" stroke-opacity="0.45" fill="none"/>'
        dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"><title>{said}</title></circle>'
        return cross + dot

    def labels(self) -> list[str]:
        """What stands beside the marks."""
        middles = [(self.x(mark.x), self.y(mark.y)) for mark in self.marks.marks]
        said = [mark.label for mark in self.marks.marks]
        places = placed(middles, [_LETTER * len(each) for each in said])
        return [_label(x, y, each, color="#555555") for (x, y), each in zip(places, said, strict=True)]


def _wide(texts: Sequence[str]) -> int:
    """Pixels that hold the longest of these."""
    return round(max(map(len, texts)) * _LETTER) + 18


def _label(x: float, y: float, said: str, *, anchor: str = "start", color: str = "#1c2127", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}"{weight}>{text(said)}</text>'
