"""From a thread back to the interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.widget import Widget


def hand_over(widget: Widget, task: Callable[[], Any]) -> None:
    """Have the interface's own thread do something with a widget, unless it, or all of it, is on its way out.

    Asked here and once more when its turn comes: in between the screen may be taken down, widget by widget.
    """
    if there(widget):
        widget.app.call_later(lambda: task() if there(widget) else None)


def there(widget: Widget) -> bool:
    """Whether a widget can be worked with: the workbench is not closing, nor has the widget's screen been left."""
    app = widget.app
    return app.is_running and widget.is_attached and widget.screen in app.screen_stack
