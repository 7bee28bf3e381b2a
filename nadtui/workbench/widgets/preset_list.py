"""The list of presets: what an attacker did, ready to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from textual import work
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from engine.config.presets import Preset, list_presets
from engine.errors import RequestError
from nadtui.formatting import clean
from nadtui.workbench.threads import hand_over

ROOMY = 24
"""Cells from which on a preset has a second line, with its source."""


class PresetList(OptionList):
    """Presets by name, with title, attack kind and source as far as there is room."""

    HELP_GROUP = "Presets"
    BINDINGS: tuple[BindingType, ...] = (
        Binding("enter", "select", "New run"),
        Binding("k", "cursor_up", "Up", show=False),
        Binding("j", "cursor_down", "Down", show=False),
        Binding("g", "first", "First", show=False),
        Binding("G", "last", "Last", show=False),
    )
    DEFAULT_CSS = """
    PresetList {
        height: 1fr; border: none; padding: 0; background: transparent;
        scrollbar-gutter: stable; scrollbar-size-vertical: 1;
        /* Toned down: the attack's kind keeps its own color on it. */
        &:focus > .option-list--option-highlighted { background: $block-cursor-background 45%; color: $foreground; }
    }
    """

    @dataclass
    class Highlighted(Message):
        """The cursor came to a preset."""

        preset: Preset

    @dataclass
    class Chosen(Message):
        """A run of this preset is wanted."""

        preset: Preset

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, compact=True)
        self.presets: list[Preset] = []
        self._width = 0

    def on_mount(self) -> None:
        """Read the presets in the background: the first paint does not wait for them."""
        self._read()

    @work(thread=True, group="presets", exit_on_error=False)
    def _read(self) -> None:
        try:
            presets = list_presets()
        except RequestError as error:
            hand_over(self, partial(self.notify, clean(error), title="presets", severity="error"))
            return
        hand_over(self, partial(self.show, presets))

    @property
    def preset(self) -> Preset | None:
        """The preset at the cursor."""
        return self.presets[self.highlighted] if self.presets and self.highlighted is not None else None

    def show(self, presets: Sequence[Preset]) -> None:
        """Show these presets; the cursor stays on its own where it is still there."""
        before = self.preset.name if self.preset else ""
        self.presets = list(presets)
        self._fill()
        names = [preset.name for preset in self.presets]
        if names:
            self.highlighted = names.index(before) if before in names else 0

    def on_resize(self) -> None:
        """Say as much of each as the new width holds."""
        if self.size.width != self._width:
            self._width = self.size.width
            kept = self.highlighted
            self._fill()
            self.highlighted = kept

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Pass it on as ours."""
        event.stop()
        self.post_message(self.Highlighted(self.presets[event.option_index]))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Pass it on as ours."""
        event.stop()
        self.post_message(self.Chosen(self.presets[event.option_index]))

    def _fill(self) -> None:
        with self.prevent(OptionList.OptionHighlighted):
            self.clear_options()
            self.add_options([Option(self._prompt(preset)) for preset in self.presets])

    def _prompt(self, preset: Preset) -> Content:
        kind = clean(preset.kind)
        first = [(clean(preset.name), "bold"), " "]
        if self._width < ROOMY:
            return Content.assemble(*first, ("\n" + kind, "$foreground 75%"))
        origin = [] if preset.origin == "built in" else [(" yours", "$text-accent")]
        title = clean(preset.title).split(",", 1)[-1].strip()
        return Content.assemble(
            *first, (kind, "$text-accent"), *origin, f"\n{title}", (f"\n{cited(preset)}", "$foreground 75%")
        )


def cited(preset: Preset) -> str:
    """The preset's source in short: the first author and the year."""
    source = clean(preset.source)
    author = source.split(",", 1)[0].split(":", 1)[0].strip()
    year = next((word.strip("().,") for word in source.split() if word.strip("().,").isdigit()), "")
    return f"{author} et al. {year}" if author and year else source[:60]
