"""A new run: a form over the configuration, checked as it is typed, and the command line that does the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Footer, Input, Label, OptionList, Select, Static
from textual.widgets.option_list import Option

from engine.config.presets import list_presets, list_recipes
from engine.data import SOURCES
from engine.errors import RequestError
from engine.storage.paths import runs_dir
from nadtui.formatting import clean, plural
from nadtui.workbench.form import Field, RunForm, of_run

if TYPE_CHECKING:
    from engine.running.job import RunRequest

DEVICES = ("auto", "cpu", "cuda", "mps")
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


class NewRunScreen(Screen[None]):
    """What to run, in as many or few words as a person likes."""

    TITLE = "new run"
    HELP_GROUP = "New run"
    AUTO_FOCUS = "#seed"
    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (110, "-wide")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "start", "Start", tooltip="Start the run, or the runs", priority=True),
        Binding("ctrl+y", "copy", "Copy command", tooltip="Copy the command line", priority=True),
        Binding("ctrl+f", "find", "Find a field", tooltip="Find a field by name or meaning", priority=True),
        Binding("escape", "back", "Back"),
    ]
    DEFAULT_CSS = """
    NewRunScreen {
        #form { height: 1fr; }
        #own { width: 32; border: round $foreground 30%; padding: 0 1; height: 1fr; }
        #every { border: round $foreground 30%; height: 1fr; }
        #own:focus-within, #every:focus-within { border: round $border; }
        #own Horizontal { height: 1; }
        #own Label { width: 9; color: $text-muted; }
        #own Input, #own Select { width: 1fr; }
        #fields {
            height: 1fr; border: none; padding: 0; background: transparent;
            text-wrap: nowrap; text-overflow: ellipsis; scrollbar-size-vertical: 1;
        }
        #search { display: none; }
        #search.shown { display: block; }
        #about { height: 2; color: $text-muted; }
        #value-row { height: 1; }
        #value-row Label { width: auto; max-width: 50%; margin-right: 1; text-style: bold; }
        #value { width: 1fr; }
        #below { height: auto; padding: 0 1; }
        #verdict { height: 1; }
        #command { height: auto; max-height: 4; color: $text-accent; }
        #buttons { height: 1; margin-top: 0; }
        #buttons Button { margin-right: 2; min-width: 8; }
    }
    NewRunScreen.-wide #own { width: 44; }
    NewRunScreen.-wide #own Horizontal { margin-bottom: 1; }
    """

    def __init__(self, *, preset: str | None = None, run: Path | None = None) -> None:
        """From a preset, or from a run that is to be repeated."""
        super().__init__()
        self.form = RunForm(preset=preset)
        self.problem: str | None = None
        """What is wrong with the form, empty = nothing, None = not checked yet."""
        self._run = run
        self._fields: list[Field] = []
        self._shown: list[Field] = []
        self._base: dict[str, str] = {}
        self._path = ""

    # --- what it is made of ---

    def compose(self) -> ComposeResult:
        """The fields that matter most, all others, the command line."""
        with Horizontal(id="form"):
            with Vertical(id="own") as own:
                own.border_title = "run"
                yield from self._own_rows()
            with Vertical(id="every") as every:
                every.border_title = "every field"
                yield Input(id="search", placeholder="part of a name or of its meaning", compact=True)
                yield FieldList(id="fields", compact=True)
                yield Static(id="about")
                with Horizontal(id="value-row"):
                    yield Label("", id="name")
                    yield Input(id="value", compact=True, select_on_focus=True)
        with Vertical(id="below"):
            yield Static(id="verdict")
            yield Static(id="command")
            with Horizontal(id="buttons"):
                yield Button("Start", id="start", variant="primary", compact=True)
                yield Button("Copy command", id="copy", compact=True)
                yield Button("Back", id="back", compact=True)
        yield Footer(compact=True, show_command_palette=False)

    def _own_rows(self) -> ComposeResult:
        presets = [(name, name) for name in ([self.form.preset] if self.form.preset else [])]
        yield _row("preset", Select(presets, id="preset", prompt="from a file", compact=True))
        dataset = Input(id="dataset", placeholder="signs", compact=True, suggester=SuggestFromList(SOURCES))
        dataset.tooltip = "signs, cifar10, gtsrb, the path of a .npz file, or of a folder of class folders"
        yield _row("data", dataset)
        yield _row("recipe", Select([("default", "default")], id="recipe", prompt="from a file", compact=True))
        seed = Input(self.form.seed, id="seed", compact=True, select_on_focus=True)
        seed.tooltip = "a number, or several runs: 0-2, or 0,3,7"
        yield _row("seed", seed)
        yield _row("device", Select([(name, name) for name in DEVICES], id="device", allow_blank=False, compact=True))
        at_once = Input(self.form.at_once, id="at-once", compact=True, select_on_focus=True)
        at_once.tooltip = "runs side by side: the processor's threads are divided among so many"
        yield _row("at once", at_once)
        cache = Checkbox("use the cached attack", True, id="cache", compact=True)
        cache.tooltip = "take the backdoored model from the cache where it was trained before"
        yield cache

    @property
    def out(self) -> Path:
        """The folder of runs."""
        return self.app.runs_root

    def on_mount(self) -> None:
        """Read presets, recipes and the run to repeat, in the background."""
        self._prepare()

    @work(thread=True, group="prepare", exit_on_error=False)
    def _prepare(self) -> None:
        problem = ""
        form, presets, recipes = self.form, [], []
        try:
            recipes = list_recipes()
            presets = [preset.name for preset in list_presets()]
            if self._run is not None:
                form = of_run(self._run)
        except RequestError as error:
            problem = str(error)
        self.app.call_later(partial(self._fill, form, presets, recipes, problem))

    def _fill(self, form: RunForm, presets: Sequence[str], recipes: Sequence[str], problem: str) -> None:
        """Put the form's data into its widgets."""
        if not self.is_mounted:
            return
        if form.preset is None and form.config_file is None and presets:
            form = replace(form, preset=presets[0])
        self.form = form
        with self.prevent(Select.Changed, Input.Changed):
            for name, options, value in (("preset", presets, form.preset), ("recipe", recipes, form.recipe)):
                select = self.query_one(f"#{name}", Select)
                select.set_options([(each, each) for each in options])
                if value in options:
                    select.value = value
            self.query_one("#device", Select).value = form.device
            for name, value in (("dataset", form.dataset), ("seed", form.seed), ("at-once", form.at_once)):
                self.query_one(f"#{name}", Input).value = value
        if problem:
            self.notify(clean(problem), severity="error")
        self._changed()

    # --- from the widgets to the form ---

    @on(Select.Changed)
    def _chosen(self, event: Select.Changed) -> None:
        value = None if event.value is Select.NULL else str(event.value)
        name = str(event.select.id)
        known = getattr(self.form, name)
        if value is None or value == known:
            return
        self._base.clear()
        taken = {"config_file": None} if name == "preset" else {}
        self._set(**{name: value}, **taken)
        if name == "preset" and not self.form.recipe:
            self._set(recipe="default")

    @on(Input.Changed, "#dataset")
    @on(Input.Changed, "#seed")
    @on(Input.Changed, "#at-once")
    def _typed(self, event: Input.Changed) -> None:
        name = str(event.input.id).replace("-", "_")
        if name == "dataset":
            self._base.clear()
        self._set(**{name: event.value})

    @on(Checkbox.Changed, "#cache")
    def _ticked(self, event: Checkbox.Changed) -> None:
        self._set(cache=event.value)

    @on(Input.Changed, "#value")
    def _value_typed(self, event: Input.Changed) -> None:
        if self._path:
            value = "" if event.value == self._base.get(self._path) else event.value
            self.form = self.form.with_setting(self._path, value)
            self._changed()

    def _set(self, **values: Any) -> None:
        self.form = replace(self.form, **values)
        self._changed()

    def _changed(self) -> None:
        """Say what the form means now; whether it is right is found out in a thread."""
        out = None if self.out == runs_dir() else self.out
        self.query_one("#command", Static).update(Content(clean(self.form.command(out))))
        self._check(self.form)

    @work(thread=True, group="check", exclusive=True, exit_on_error=False)
    def _check(self, form: RunForm) -> None:
        try:
            form.seeds()
            config = form.config()
            problem, said = "", f"{config.attack.name} on {config.data.name}, {config.model.name}"
        except RequestError as error:
            problem, said = str(error), ""
        self.app.call_later(partial(self._judge, form, problem, said, form.fields()))

    def _judge(self, form: RunForm, problem: str, said: str, fields: list[Field]) -> None:
        if form != self.form or not self.query("#verdict"):  # the form may be gone by now
            return
        self.problem = problem
        verdict = (f"✗ {clean(problem)}", "$text-error") if problem else (f"✓ {clean(said)}", "$text-success")
        runs = "" if problem else f"  {plural(len(form.seeds()), 'run')}"
        self.query_one("#verdict", Static).update(Content.assemble(verdict, (runs, "dim")))
        self.query_one("#start", Button).disabled = bool(problem)
        for each in fields:
            if not each.changed:
                self._base.setdefault(each.path, each.value)
        if fields != self._fields:
            self._fields = fields
            self._list()

    # --- the list of every field ---

    def _name_width(self) -> int:
        longest = max((len(each.path) for each in self._fields), default=NAME_WIDTH)
        return max(NAME_WIDTH, min(longest, self.query_one(FieldList).size.width // 2))

    def on_resize(self) -> None:
        """Names get the room there now is."""
        self.call_after_refresh(self._list)

    def _list(self) -> None:
        """Show the fields that are searched for, those that were changed first in color."""
        wanted = self.query_one("#search", Input).value.casefold().split()
        found = [
            each for each in self._fields if all(word in f"{each.path} {each.about}".casefold() for word in wanted)
        ]
        # Those that are called so before those that only speak of it.
        self._shown = sorted(found, key=lambda each: not all(word in each.path.casefold() for word in wanted))
        fields = self.query_one(FieldList)
        with self.prevent(OptionList.OptionHighlighted):
            fields.clear_options()
            fields.add_options([Option(_prompt(each, self._name_width())) for each in self._shown])
            places = [each.path for each in self._shown]
            if places:
                fields.highlighted = places.index(self._path) if self._path in places else 0
        if self._shown and self._path not in places:
            self._turn_to(self._shown[0])
        changed = sum(each.changed for each in self._fields)
        self.query_one("#every").border_subtitle = f"{changed} changed" if changed else ""

    @on(OptionList.OptionHighlighted, "#fields")
    def _field_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_index < len(self._shown):
            self._turn_to(self._shown[event.option_index])

    @on(OptionList.OptionSelected, "#fields")
    def _field_chosen(self) -> None:
        self.query_one("#value", Input).focus()

    @on(Input.Submitted, "#value")
    def _value_entered(self) -> None:
        self.query_one(FieldList).focus()

    def _turn_to(self, field: Field) -> None:
        self._path = field.path
        self.query_one("#name", Label).update(Content(field.path))
        said = " · ".join(part for part in (field.allowed, field.about) if part)
        self.query_one("#about", Static).update(Content(said))
        with self.prevent(Input.Changed):
            self.query_one("#value", Input).value = self.form.settings.get(field.path, field.value)

    @on(Input.Changed, "#search")
    def _searched(self) -> None:
        self._path = ""  # the first that is found is the one that is meant
        self._list()

    @on(Input.Submitted, "#search")
    def _search_entered(self) -> None:
        self.query_one(FieldList).focus()

    def action_find(self) -> None:
        """Find a field."""
        search = self.query_one("#search", Input)
        search.add_class("shown")
        search.focus()

    def action_reset_field(self) -> None:
        """Take a change back."""
        if self._path in self.form.settings:
            self.form = self.form.with_setting(self._path, "")
            with self.prevent(Input.Changed):
                self.query_one("#value", Input).value = self._base.get(self._path, "")
            self._changed()

    # --- what can be done ---

    @on(Input.Submitted, "#dataset")
    @on(Input.Submitted, "#seed")
    @on(Input.Submitted, "#at-once")
    @on(Button.Pressed, "#start")
    def action_start(self) -> None:
        """Start, unless something is wrong."""
        self._start(self.form)

    @work(thread=True, group="start", exclusive=True, exit_on_error=False)
    def _start(self, form: RunForm) -> None:
        try:
            requests = form.requests(self.out)
        except RequestError as error:
            self.app.call_later(partial(self.notify, clean(error), title="not started", severity="error"))
            return
        self.app.call_later(partial(self._launch, requests))

    def _launch(self, requests: Sequence[RunRequest]) -> None:
        """One run opens its screen; several go on behind the list of runs."""
        if not self.is_current:
            return
        app = self.app
        app.change_settings(workspace={**app.settings.workspace, "data": self.form.dataset or "signs"})
        app.pop_screen()
        if len(requests) == 1:
            app.open_run(requests[0])
            return
        for request in requests:
            app.launch(request)
        app.notify(f"{plural(len(requests), 'run')} started: those that have to wait queue for the machine")

    @on(Button.Pressed, "#copy")
    def action_copy(self) -> None:
        """Copy the command line."""
        out = None if self.out == runs_dir() else self.out
        self.app.copy_to_clipboard(self.form.command(out))
        self.notify("the command line was copied")

    @on(Button.Pressed, "#back")
    def _back_pressed(self) -> None:
        self.app.pop_screen()

    def action_back(self) -> None:
        """From a field's value to the list, from a search to all fields, from the form to where it was opened."""
        focused = self.focused
        search = self.query_one("#search", Input)
        if focused is not None and focused.id == "value":
            self.query_one(FieldList).focus()
        elif search.has_class("shown"):
            search.value = ""
            search.remove_class("shown")
            self.query_one(FieldList).focus()
        else:
            self.app.pop_screen()


def _row(name: str, widget: Widget) -> Horizontal:
    return Horizontal(Label(name), widget)


def _prompt(field: Field, width: int) -> Content:
    path = field.path
    if len(path) > width:
        path = "…" + path[len(path) - width + 1 :]
    style = "bold $text-accent" if field.changed else ""
    mark = "*" if field.changed else " "
    return Content.assemble((f"{mark}{path:<{width}} ", style or "dim"), (clean(field.value), style))
