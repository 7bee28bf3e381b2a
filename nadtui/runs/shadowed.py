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
MAIN = "mask"
"""The trigger whose success is the shadow ASR: of the two, the one that falls with ASR where the class is the
attacker's. A perturbation of 0.05 still moves images when the backdoor is gone, as it does those of any model
(`python -m tests.measure_shadow`)."""


def made(event: ProxiesMade, view: RunView) -> str:
    """For which class the triggers were made up, and whether it stands out."""
    told = f"a patch of {formatting.plural(round(max(event.cells, 1)), 'pixel')} leads there"
    if any(event.outliers):  # of two classes, neither is far from both
        told += f", z {z(event):.1f}"
    known = known_class(view, event.target)
    name = f"class {event.target}" + (f" ({known})" if known else "")
    if event.stands_out:
        return f"made-up triggers: {name} stands out: {told}"
    return f"made-up triggers: no class stands out, {name} the most: {told}; what they do says little"


def z(event: ProxiesMade) -> float:
    """How far the latent shift of the triggers' class stands out; NaN where the record has no such class."""
    return event.outliers[event.target] if 0 <= event.target < len(event.outliers) else math.nan


def line(event: Shadowed) -> str:
    """What they do to a model, for a log."""
    return f"{event.stage}: shadow ASR {figures(event.figures)}"


def figures(found: Mapping[str, float]) -> str:
    """The shadow ASR, and what else the triggers do."""
    rest = ", ".join(f"{name} {formatting.percentage(value)}" for name, value in found.items() if name != MAIN)
    return formatting.percentage(main(found)) + (f" ({rest})" if rest else "")


def main(found: Mapping[str, float]) -> float:
    """The one shadow ASR, in percent; NaN where it was not measured."""
    return found.get(MAIN, math.nan)


def facts(view: RunView) -> list[str]:
    """What the triggers are, and what they do to the suspect and each purified model; nothing where there are none."""
    if view.proxies is None:
        return []
    suspect = [view.suspect] if view.suspect is not None else []
    told = [stage for stage in (*suspect, *view.purified) if stage.shadows]
    return [made(view.proxies, view), *(f"{each.name}: {figures(each.shadows[-1].figures)}" for each in told)]


def of_summary(stage: Mapping[str, Any]) -> float | None:
    """The one shadow ASR of a stage in a summary; None where there is none."""
    return (stage.get("shadow") or {}).get(MAIN)
