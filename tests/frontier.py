"""What can be had for what on CIFAR-10: the README's table of defenses as a picture.

    python -m tests.frontier

Each defense at the ACC that it costs and the ASR that it leaves, both means over the six attacks of the table.
"""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

from nadtui.draw.colors import series
from nadtui.draw.sweep_pictures import Mark, Scatter
from nadtui.export.sweeps.svg_file import alone, draw_scatter

README = Path(__file__).parent.parent / "README.md"
PICTURE = Path(__file__).parent / "pictures" / "frontier.svg"
HEAD = "| defense | ACC lost |"
SERIES = ("none is better", "others")
TITLE = "CIFAR-10: ACC lost against ASR left, by defense"


def marks(readme: str) -> list[Mark]:
    """A mark for each line of the table."""
    lines = readme.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith(HEAD)) + 2
    found = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        defense, lost, *left, _ = [cell.strip() for cell in line.strip("|").split("|")]
        asr = fmean(float(cell.split(" ")[0]) for cell in left)
        found.append((defense.removesuffix(" *"), float(lost), asr))

    def behind(lost: float, left: float) -> bool:
        return any(x <= lost and y <= left and (x, y) != (lost, left) for _, x, y in found)

    return [Mark(SERIES[behind(*figures)], defense, *figures, 0.0, 0.0) for defense, *figures in found]


def picture(readme: str) -> str:
    """The SVG."""
    found = Scatter(marks(readme), {name: series(place, dark=False) for place, name in enumerate(SERIES)})
    return alone(*draw_scatter(found), TITLE) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(picture(README.read_text(encoding="utf-8")), encoding="utf-8")
