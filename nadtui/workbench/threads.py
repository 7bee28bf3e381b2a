"""From a thread back to the interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.widget import Widget


def hand_over(widget: Widget, task: Callable[[], Any]) -> None:
    """Have the interface's own thread do something, unless the widget, or all of it, is on its way out."""
    if widget.app.is_running and widget.is_mounted:
        widget.app.call_later(task)
