"""Widgets that are as large as what they hold, whenever that changes."""

from __future__ import annotations

from typing import Self

from textual.geometry import Region
from textual.widget import Widget
from textual.widgets import Static


class Remeasured(Widget):
    """Has its box measured anew after every change of what it holds.

    Textual keeps a widget's box under the number of layouts that it has asked for, and takes two requests before its
    next idle moment for one: where the screen is laid out between the two, what came second would stand in the box of
    what came first, until something else changes.
    """

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """As every widget's; a new layout measures it."""
        if layout:
            self._box_model_cache.clear()
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)


class Paragraph(Static, Remeasured):
    """A text that changes, and is as high as it is long. `Static` comes first: its style is inherited from there."""
