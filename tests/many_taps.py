"""The showcase's run on a network with another number of taps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from engine.events import AttentionCaptured, AttentionHealth, Event, RunStarted, Step
from tests import scripted_run, showcase

NAMES = ("stem", "layer1", "layer2.0.conv1", "layer3", "layer4.1.conv2", "block6")


def record(count: int) -> list[Event]:
    """The run's events; every tap has the maps of the showcase's first, and a part of the loss."""
    names = NAMES[:count]
    return scripted_run.timed([made for event in showcase.record() for made in _with(names, event)], every=0.5)


def _with(names: Sequence[str], event: Event) -> list[Event]:
    first = showcase.TAPS[0][0]
    if isinstance(event, AttentionCaptured):
        return [dataclasses.replace(event, tap=name) for name in names] if event.tap == first else []
    if isinstance(event, AttentionHealth):
        return [dataclasses.replace(event, taps=tuple(dataclasses.replace(event.taps[0], tap=name) for name in names))]
    if isinstance(event, Step) and first in event.parts:
        parts = {"cross-entropy": event.parts["cross-entropy"]} | dict.fromkeys(names, event.parts[first])
        return [dataclasses.replace(event, parts=parts, loss=sum(parts.values()))]
    if isinstance(event, RunStarted):
        return [dataclasses.replace(event, model={**event.model, "taps": list(names)})]
    return [event]
