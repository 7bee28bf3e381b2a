"""What the terminal shows that the workbench is in."""

from __future__ import annotations

from textual.app import App

from nadtui.draw import colors
from nadtui.draw.colors import Depth, Drawn


def depth(app: App) -> Depth:
    """How many colors it has."""
    return colors.depth(app.console.color_system, no_color=app.no_color)


def in_blocks(app: App, drawn: Drawn) -> bool:
    """Whether pictures are drawn in half-blocks there, else in letters."""
    return colors.in_blocks(drawn, depth(app))
