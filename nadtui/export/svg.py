"""Charts as SVG, for documents: the same `Chart` that the terminal draws."""

from __future__ import annotations

from nadtui.draw.chart import Chart, between_gaps, limits, scaled, ticks
from nadtui.export.html_page import text

WIDTH, HEIGHT = 860, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 40, 44


def draw(chart: Chart, title: str) -> str:
    """The chart as an `<svg>` element with its legend; empty where it has no point."""
    if chart.empty:
        return ""
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="12"><title>{text(title)}</title>'
    ]
    frame = _Frame(chart)
    parts += [frame.legend(), frame.boundaries(), frame.axes(), frame.curves(), "</svg>"]
    return "".join(parts)


class _Frame:
    """A chart's place on the page."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.low, self.high, self.bottom, self.top = limits(chart)

    def x(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.bottom) / (self.top - self.bottom)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)

    def legend(self) -> str:
        parts = []
        at = float(_LEFT)
        for each in self.chart.series:
            parts.append(f'<path d="M{at:.0f} 14h18" stroke="{text(each.color)}" stroke-width="3"/>')
            parts.append(f'<text x="{at + 24:.0f}" y="18">{text(each.name)}</text>')
            at += 40 + 7 * len(each.name)
        return "".join(parts)

    def boundaries(self) -> str:
        parts = []
        for x, name in self.chart.boundaries:
            if self.low <= x <= self.high:
                place = self.x(x)
                line = f"M{place:.1f} {_TOP}V{HEIGHT - _BOTTOM}"
                parts.append(f'<path d="{line}" stroke="#999" stroke-dasharray="3 4" fill="none"/>')
                parts.append(f'<text x="{place + 4:.1f}" y="{_TOP - 6}" fill="#555">{text(name)}</text>')
        return "".join(parts)

    def axes(self) -> str:
        floor, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
        parts = [f'<path d="M{_LEFT} {_TOP}V{floor}H{right}" stroke="#555" fill="none"/>']
        for value in ticks(self.bottom, self.top, 6):
            shown = 10**value if self.chart.log_y else value
            place = self.y(value)
            parts.append(f'<path d="M{_LEFT} {place:.1f}H{right}" stroke="#e4e4e4"/>')
            parts.append(f'<text x="{_LEFT - 6}" y="{place + 4:.1f}" text-anchor="end">{shown:.3g}</text>')
        for value in ticks(self.low, self.high, 10):
            place = self.x(value)
            parts.append(f'<text x="{place:.1f}" y="{floor + 18}" text-anchor="middle">{value:,.10g}</text>')
        middle = (_LEFT + right) / 2
        parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{text(self.chart.axis)}</text>')
        return "".join(parts)

    def curves(self) -> str:
        parts = []
        for each in self.chart.series:
            color = text(each.color)
            for stretch in between_gaps(each.x, scaled(each.y, self.chart.log_y)):
                points = [(self.x(x), self.y(y)) for x, y in stretch]
                line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
                parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>')
                if len(points) <= 60:
                    parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in points]
        return "".join(parts)
