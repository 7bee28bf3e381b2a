"""One map as lines of a terminal."""

from rich.segment import Segment

from engine.events import AttentionCaptured
from nadtui.draw import colors
from nadtui.draw.map_lines import Look, map_lines

PLAIN = Look(blocks=False)


def capture(clean: bytes, triggered: bytes, side: int, *, tap: str = "group1") -> AttentionCaptured:
    return AttentionCaptured(
        stage="nad", epoch=1, sample=0, tap=tap, height=side, width=side, peak=1.0, clean=clean, triggered=triggered
    )


def said(lines: list[list[Segment]]) -> list[str]:
    return ["".join(segment.text for segment in line) for line in lines]


def test_clean_and_triggered_share_one_scale():
    cells = capture(bytes([0, 51, 51, 51]), bytes([0, 51, 51, 255]), 2)
    look = Look(blocks=True)
    clean, triggered = (map_lines(cells, which, 2, 1, look) for which in ("clean", "triggered"))
    ramp = colors.heat()
    assert clean[0][-1].style.bgcolor.triplet != ramp[-1]
    assert triggered[0][-1].style.bgcolor.triplet == ramp[-1]
    assert clean[0][0].style.color == triggered[0][0].style.color
