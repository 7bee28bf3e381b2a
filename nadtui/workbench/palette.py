"""What the palette finds beside the keys: runs, presets, fields of the configuration, and what the screen has to offer.

A screen that has places of its own (a run its samples, the form its fields) says so in a method `places`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from textual.command import Hit, Hits, Provider

from engine.errors import RequestError
from nadtui.formatting import clean
from nadtui.runs.catalog import Catalog, RunRow

if TYPE_CHECKING:
    from engine.config.presets import Preset
    from nadtui.workbench.base import WorkbenchBase
    from nadtui.workbench.form import Field


@dataclass(frozen=True)
class Place:
    """Something that one can go to."""

    title: str
    about: str
    go: Callable[[], object]


class Places(Provider):
    """All places whose title or meaning has every word that is typed."""

    async def startup(self) -> None:
        """Read runs, presets and fields in a thread."""
        own = getattr(self.screen, "places", None)
        self._own: list[Place] = list(own()) if own is not None else []
        app: WorkbenchBase = self.app  # type: ignore[assignment]
        presets, runs, fields = await asyncio.to_thread(_read, app)
        self._found = [*_runs(app, runs), *_presets(app, presets)]
        if not any(place.title.startswith(FIELD) for place in self._own):
            self._found += _fields(app, fields, presets)

    async def search(self, query: str) -> Hits:
        """Those called so come before keys that only have the letters, those that are merely about it after them."""
        words, matcher = query.casefold().split(), self.matcher(query)
        for place in (*self._own, *self._found):
            title = place.title.casefold()
            if all(word in title.split() for word in words):
                score = WHOLE
            elif all(word in title for word in words):
                score = matcher.match(place.title) or MERELY
            elif all(word in f"{title} {place.about}".casefold() for word in words):
                score = MERELY
            else:
                continue
            yield Hit(score, matcher.highlight(place.title), place.go, place.title, place.about)


FIELD = "field "
WHOLE, MERELY = 100.0, 0.1
"""How well a place matches whose title has the words whole, and one that only speaks of them."""


def _read(app: WorkbenchBase) -> tuple[list[Preset], list[RunRow], list[Field]]:
    """A folder of presets may be broken: what is left is offered."""
    from engine.config.presets import list_presets
    from nadtui.workbench.form import RunForm

    runs = Catalog(app.runs_root, app.now).rows()
    try:
        presets = list_presets()
        return presets, runs, RunForm(preset=presets[0].name).fields()
    except RequestError:
        return [], runs, []


def _runs(app: WorkbenchBase, runs: Iterable[RunRow]) -> Iterable[Place]:
    for run in runs:
        if run.readable:
            said = " · ".join(filter(None, (run.state, run.verdict, run.notes.line)))
            yield Place(f"run {clean(run.id)}", clean(said), partial(app.open_run, run.path))


def _presets(app: WorkbenchBase, presets: Iterable[Preset]) -> Iterable[Place]:
    for preset in presets:
        about = f"New run: {clean(preset.title)}"
        yield Place(f"preset {clean(preset.name)}", about, partial(app.open_form, preset=preset.name))


def _fields(app: WorkbenchBase, fields: Iterable[Field], presets: list[Preset]) -> Iterable[Place]:
    for field in fields:
        go = partial(app.open_form, preset=presets[0].name, field=field.path)
        yield Place(f"{FIELD}{clean(field.path)}", clean(field.about), go)
