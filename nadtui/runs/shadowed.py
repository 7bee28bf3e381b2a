"""The shadow ASR in words and tables: what made-up triggers do to the models of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from engine.events import ProxiesMade, Shadowed
from engine.record.absent import known_class
from engine.record.view import RunView
from nadtui import formatting

TITLE = "shadow"


def made(event: ProxiesMade, view: RunView) -> str:
    """For which class the triggers were made up, and whether it stands out."""
    told = f"z {event.z:.1f}, a patch of {event.cells:.0f} pixels"
    known = known_class(view, event.target)
    name = f"class {event.target}" + (f" ({known})" if known else "")
    if event.stands_out:
        return f"made-up triggers: {name} stands out: {told}"
    return f"made-up triggers: no class stands out, {name} the most: {told}; what they do says little"


def line(event: Shadowed) -> str:
    """What they do to a model, for a log."""
    return f"{event.stage}: shadow ASR {figures(event.figures)}"


def figures(found: Mapping[str, float]) -> str:
    """The shadow ASR, and by trigger the share of images that it sends to its class."""
    each = ", ".join(f"{name} {formatting.percentage(value)}" for name, value in found.items())
    return f"{formatting.percentage(main(found))} ({each})"


def main(found: Mapping[str, float]) -> float:
    """The one shadow ASR, that of the trigger that works best, in percent; NaN without any.

    A patch finds small triggers and loses those that lie over the whole image; a perturbation does the reverse.
    """
    return max(found.values(), default=math.nan)


def facts(view: RunView) -> list[str]:
    """What the triggers are, and what they do to the suspect and each purified model; nothing where there are none."""
    if view.proxies is None:
        return []
    suspect = [view.suspect] if view.suspect is not None else []
    told = [stage for stage in (*suspect, *view.purified) if stage.shadows]
    return [made(view.proxies, view), *(f"{each.name}: {figures(each.shadows[-1].figures)}" for each in told)]


def of_summary(stage: Mapping[str, Any]) -> float | None:
    """The one shadow ASR of a stage in a summary; None where there is none."""
    found = stage.get("shadow")
    return main(found) if found else None
