"""Every field of a new run's configuration: found by name or meaning, changed one at a time."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine import models
from nadtui.formatting import clean, cut_in_front
from nadtui.workbench.form import Field, RunForm
from nadtui.workbench.widgets.remeasured import Paragraph

NAME_WIDTH = 29
"""Cells of a field's name in a narrow list; longer ones are cut in front, where they are alike."""


class FieldList(OptionList):
    """Every field of the configuration with its value."""

    HELP_GROUP = "Fields"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "Change", tooltip="Change this field"),
        Binding("k", "cursor_up", "Up", show=False),
        Binding("j", "cursor_down", "Down", show=False),
        Binding("backspace,delete", "screen.reset_field", "Reset", tooltip="Back to the preset's own value"),
        Binding("slash", "screen.find", "Find", key_display="/", tooltip="Find a field by name or meaning"),
    ]


class FieldsPane(Vertical):
    """A list of fields, what the one at the cursor means, and its value."""

    DEFAULT_CSS = """
    FieldsPane {
        #fields {
            height: 1fr; border: none; padding: 0; background: transparent;
            text-wrap: nowrap; text-overflow: ellipsis; scrollbar-size-vertical: 1;
        }
        #search { display: none; }
        #search.shown { display: block; }
        #about { height: 3; color: $text-muted; }
        #value-row { height: 1; }
        #name { width: auto; max-width: 50%; margin-right: 1; text-style: bold; }
        #value { width: 1fr; }
    }
    """

    def __init__(self, form: Callable[[], RunForm], put: Callable[[str, str], None], *, id: str | None = None) -> None:
        """`form` is what is filled in by now; `put` sets a field, or with an empty value takes it back."""
        super().__init__(id=id)
        self.border_title = "every field"
        self.shown: list[Field] = []
        """The fields that are searched for."""
        self._form = form
        self._put = put
        self._fields: list[Field] = []
        self._base: dict[str, str] = {}
        self._path = ""

    def compose(self) -> ComposeResult:
        """Search, list, meaning, value."""
        yield Input(id="search", placeholder="part of a name or of its meaning", compact=True)
        yield FieldList(id="fields", compact=True)
        yield Static(id="about")
        with Horizontal(id="value-row"):
            yield Paragraph(id="name")
            yield Input(id="value", compact=True, select_on_focus=True)

    def show(self, fields: list[Field]) -> None:
        """Show these fields."""
        for each in fields:
            if not each.changed:
                self._base.setdefault(each.path, each.value)
        if fields != self._fields:
            self._fields = fields
            self._list()
            self._follow()

    @property
    def fields(self) -> list[Field]:
        """All of them, as they were shown last."""
        return self._fields

    def _follow(self) -> None:
        """The field that is open here may have been set elsewhere."""
        opened = next((each for each in self._fields if each.path == self._path), None)
        if opened is not None and not self.query_one("#value", Input).has_focus:
            self._turn_to(opened)

    def forget(self) -> None:
        """The values that changes are measured against are others from now on."""
        self._base.clear()

    def find(self) -> None:
        """Find a field."""
        search = self.query_one("#search", Input)
        search.add_class("shown")
        self.screen.set_focus(search)

    def go_to(self, path: str) -> None:
        """Open a field's value, wherever the cursor was."""
        field = next((each for each in self._fields if each.path == path), None)
        if field is not None:
            self._turn_to(field)
            self._list()
            self.screen.set_focus(self.query_one("#value", Input))

    def reset(self) -> None:
        """Take a change back."""
        if self._path in self._form().settings:
            with self.prevent(Input.Changed):
                self.query_one("#value", Input).value = self._base.get(self._path, "")
            self._put(self._path, "")

    def back(self) -> bool:
        """From a field's value to the list, from a search to all fields; False where there is no way back in here."""
        search = self.query_one("#search", Input)
        if not self.query_one("#value", Input).has_focus:
            if not search.has_class("shown"):
                return False
            search.value = ""
            search.remove_class("shown")
        self.screen.set_focus(self.query_one(FieldList))
        return True

    @on(Input.Changed, "#value")
    def _value_typed(self, event: Input.Changed) -> None:
        if self._path:
            value = event.input.value
            # A network's file is executed only when it was typed, be it what stood there.
            taken_back = value == self._base.get(self._path) and not models.from_file(value)
            self._put(self._path, "" if taken_back else value)

    def _name_width(self) -> int:
        longest = max((len(each.path) for each in self._fields), default=NAME_WIDTH)
        return max(NAME_WIDTH, min(longest, self.query_one(FieldList).size.width // 2))

    def on_resize(self) -> None:
        """Names and meanings get the room there now is."""
        self.call_after_refresh(self._list)
        opened = next((each for each in self._fields if each.path == self._path), None)
        if opened is not None:
            self.call_after_refresh(self._tell, opened)

    def _list(self) -> None:
        """Show the fields that are searched for, those that were changed first in color."""
        wanted = self.query_one("#search", Input).value.casefold().split()
        found = [
            each for each in self._fields if all(word in f"{each.path} {each.about}".casefold() for word in wanted)
        ]
        # Those that are called so before those that only speak of it.
        self.shown = sorted(found, key=lambda each: not all(word in each.path.casefold() for word in wanted))
        fields = self.query_one(FieldList)
        with self.prevent(OptionList.OptionHighlighted):
            fields.clear_options()
            fields.add_options([Option(_prompt(each, self._name_width()), id=each.path) for each in self.shown])
            places = [each.path for each in self.shown]
            if places:
                fields.highlighted = places.index(self._path) if self._path in places else 0
        if self.shown and self._path not in places and not self.query_one("#value", Input).has_focus:
            self._turn_to(self.shown[0])
        changed = sum(each.changed for each in self._fields)
        self.border_subtitle = f"{changed} changed" if changed else ""

    @on(OptionList.OptionHighlighted, "#fields")
    def _field_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if not self.query_one("#value", Input).has_focus:  # else what is typed there would become another field's
            self._turn_to_option(event.option)

    @on(OptionList.OptionSelected, "#fields")
    def _field_chosen(self, event: OptionList.OptionSelected) -> None:
        self._turn_to_option(event.option)
        self.screen.set_focus(self.query_one("#value", Input))

    def _turn_to_option(self, option: Option) -> None:
        """By its path: the list may have been filled anew since the event was on its way."""
        field = next((each for each in self.shown if each.path == option.id), None)
        if field is not None:
            self._turn_to(field)

    @on(Input.Submitted, "#value")
    def _value_entered(self) -> None:
        self.screen.set_focus(self.query_one(FieldList))

    def _turn_to(self, field: Field) -> None:
        self._path = field.path
        self.query_one("#name", Paragraph).update(Content(field.path))
        self._tell(field)
        with self.prevent(Input.Changed):
            self.query_one("#value", Input).value = self._form().settings.get(field.path, field.value)

    def _tell(self, field: Field) -> None:
        """What it means, which matters most, and what is allowed there: as much as there is room for."""
        parts = (field.about.removesuffix(".") if field.allowed else field.about, field.allowed)
        said = " · ".join(filter(None, parts))
        about = self.query_one("#about", Static)
        width, most = max(1, about.size.width), max(1, about.size.height)
        lines = textwrap.wrap(said, width)
        if len(lines) > most:
            lines = [*lines[: most - 1], f"{lines[most - 1][: width - 2]} …"]
        about.update(Content("\n".join(lines)))

    @on(Input.Changed, "#search")
    def _searched(self) -> None:
        self._path = ""  # the first that is found is the one that is meant
        self._list()

    @on(Input.Submitted, "#search")
    def _search_entered(self) -> None:
        self.screen.set_focus(self.query_one(FieldList))


def _prompt(field: Field, width: int) -> Content:
    path = cut_in_front(field.path, width)
    style = "bold $text-accent" if field.changed else ""
    mark = "*" if field.changed else " "
    return Content.assemble((f"{mark}{path:<{width}} ", style or "dim"), (clean(field.value), style))
