"""A new run: a form over the configuration, checked as it is typed, and the command line that does the same."""

from __future__ import annotations

import time
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
from textual.widgets import Button, Checkbox, Footer, Input, Label, Select, Static
from textual.worker import get_current_worker

from engine.config.presets import list_presets, list_recipes
from engine.data import SOURCES
from engine.errors import RequestError
from engine.events import TRAINED
from engine.storage.paths import runs_dir
from nadtui.formatting import clean, plural
from nadtui.workbench.dialogs import Confirm
from nadtui.workbench.form import SUSPECT, Field, RunForm, named_field, of_run, told
from nadtui.workbench.palette import FIELD, Place
from nadtui.workbench.suspects import Suspects, choose, suspects
from nadtui.workbench.threads import hand_over
from nadtui.workbench.widgets.fields_pane import FieldsPane
from nadtui.workbench.widgets.remeasured import Paragraph

if TYPE_CHECKING:
    from engine.running.request import RunRequest
    from nadtui.workbench.base import WorkbenchBase

PAUSE_S = 0.3
"""Seconds without a change after which the form is tried on images, network and files."""
DEVICES = ("auto", "cpu", "cuda", "mps")


class NewRunScreen(Screen[None]):
    """What to run, in as many or few words as a person likes."""

    app: WorkbenchBase
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
        #own, #every { border: round $foreground 30%; border-title-color: $foreground; height: 1fr; }
        #own { width: 32; padding: 0 1; }
        #own:focus-within, #every:focus-within { border: round $border; }
        #own Horizontal { height: 1; }
        #own Label { width: 9; color: $text-muted; }
        #own Input, #own Select { width: 1fr; }
        #zoo { color: $text-muted; }
        #below { height: auto; padding: 0 1; }
        #verdict { height: auto; max-height: 2; }
        #command { height: auto; max-height: 4; color: $text-accent; }
        #buttons { height: 1; margin-top: 0; }
        #buttons Button { margin-right: 2; min-width: 8; }
        #start { text-style: bold; }
        #start:disabled { color: $text-muted; text-opacity: 100%; text-style: none; }
        #dataset > .input--placeholder { color: $text-muted; }
    }
    NewRunScreen.-wide #own { width: 44; }
    NewRunScreen.-wide #own Horizontal, NewRunScreen.-wide #own #zoo { margin-bottom: 1; }
    NewRunScreen.-wide #own #suspect-row { margin-bottom: 0; }
    """

    def __init__(
        self,
        *,
        preset: str | None = None,
        run: Path | None = None,
        form: RunForm | None = None,
        failed: str = "",
        field: str = "",
    ) -> None:
        """From a preset, from a run that is to be repeated, or the form of one that could not start, and why.

        `field` is the one to begin with.
        """
        super().__init__()
        self._begin_with = field
        self.form = form or RunForm(preset=preset)
        self._failed = failed
        """Why it could not start, as long as nothing of it was changed."""
        self._returned = False
        """Whether the cursor was put on the field that is wrong."""
        self._filled: RunForm | None = None
        """As it was put into its widgets; None = not yet."""
        self._opened = self.form
        """As it was before anything was typed."""
        self.problem: str | None = None
        """What is wrong with the form, empty = nothing, None = not checked yet."""
        self.every = FieldsPane(lambda: self.form, self._put, id="every")
        self._run = run
        self._suspects: Suspects | None = None
        """What the choice of a suspect shows; None = nothing yet."""

    # --- what it is made of ---

    def compose(self) -> ComposeResult:
        """The fields that matter most, all others, the command line."""
        with Horizontal(id="form"):
            with Vertical(id="own") as own:
                own.border_title = "run"
                yield from self._own_rows()
            yield self.every
        with Vertical(id="below"):
            yield Static(id="verdict")
            yield Paragraph(id="command")
            with Horizontal(id="buttons"):
                yield Button("Start", id="start", compact=True)
                yield Button("Copy command", id="copy", compact=True)
                yield Button("Back", id="back", compact=True)
        yield Footer(compact=True, show_command_palette=False)

    def _own_rows(self) -> ComposeResult:
        presets = [(name, name) for name in ([self.form.preset] if self.form.preset else [])]
        yield _row("preset", Select(presets, id="preset", prompt="from a file", compact=True))
        dataset = Input(id="dataset", compact=True, suggester=SuggestFromList(SOURCES))
        dataset.tooltip = "signs, cifar10, gtsrb, the path of a .npz file, or of a folder of class folders"
        yield _row("data", dataset)
        source = Select([(TRAINED, TRAINED)], id="suspect", allow_blank=False, compact=True)
        source.tooltip = "trained by the attack, or ready made from the zoo; a checkpoint is named in the field suspect"
        yield _row("suspect", source)
        yield Paragraph(id="zoo")
        yield _row("recipe", Select([("default", "default")], id="recipe", prompt="from a file", compact=True))
        seed = Input(self.form.seed, id="seed", compact=True, select_on_focus=True)
        seed.tooltip = "a number, or several runs: 0-2, or 0,3,7"
        yield _row("seed", seed)
        yield _row("device", Select([(name, name) for name in DEVICES], id="device", allow_blank=False, compact=True))
        at_once = Input(self.form.at_once, id="at-once", compact=True, select_on_focus=True)
        at_once.tooltip = "runs side by side: the processor's threads are divided among so many"
        yield _row("at once", at_once)
        cache = Checkbox("use the cached attack", True, id="cache", compact=True)
        cache.tooltip = "take the suspect from the cache where it was trained before"
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
        form, presets, recipes = self._opened, [], []
        try:
            recipes = list_recipes()
            presets = [preset.name for preset in list_presets()]
            if self._run is not None:
                form = of_run(self._run)
        except RequestError as error:
            problem = str(error)
        hand_over(self, partial(self._fill, form, presets, recipes, problem))

    def _fill(self, form: RunForm, presets: Sequence[str], recipes: Sequence[str], problem: str) -> None:
        """Put the form's data into its widgets."""
        # What was typed while this was read stays.
        form = replace(
            form, **{name: value for name, value in vars(self.form).items() if value != getattr(self._opened, name)}
        )
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
        self._filled = self.form
        self._changed()

    # --- from the widgets to the form ---
    # What a widget holds now counts: an event may come after the form was filled anew, and tells what was before.

    @on(Select.Changed, "#preset")
    @on(Select.Changed, "#recipe")
    @on(Select.Changed, "#device")
    def _chosen(self, event: Select.Changed) -> None:
        value = None if event.select.value is Select.NULL else str(event.select.value)
        name = str(event.select.id)
        known = getattr(self.form, name)
        if value == known or (value is None and name != "preset"):
            return
        self.every.forget()
        taken = {"config_file": None} if name == "preset" else {}
        self._set(**{name: value}, **taken)
        if name == "preset" and not self.form.recipe:
            self._set(recipe="default")

    @on(Select.Changed, "#suspect")
    def _suspect_chosen(self, event: Select.Changed) -> None:
        value = str(event.select.value)
        if self._suspects is not None and value != self._suspects.chosen:
            self._suspects = replace(self._suspects, chosen=value)
            self.form = choose(self.form, value)
            self._changed()

    @on(Input.Changed, "#dataset")
    @on(Input.Changed, "#seed")
    @on(Input.Changed, "#at-once")
    def _typed(self, event: Input.Changed) -> None:
        name = str(event.input.id).replace("-", "_")
        if name == "dataset":
            self.every.forget()
        self._set(**{name: event.input.value})

    @on(Checkbox.Changed, "#cache")
    def _ticked(self, event: Checkbox.Changed) -> None:
        self._set(cache=event.checkbox.value)

    def _put(self, path: str, value: str) -> None:
        """A further field has another value; empty = the preset's own."""
        self.form = self.form.with_setting(path, value)
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
        worker = get_current_worker()
        try:
            form.seeds()
            config = form.config()
            problem, said = "", told(config)
        except RequestError as error:
            problem, said = str(error), ""
        fields = form.fields()
        given = next((each.value for each in fields if each.path == SUSPECT), TRAINED)
        hand_over(self, partial(self._judge, form, problem, said, fields, suspects(form, given), form.own_data()))
        if problem:
            return
        time.sleep(PAUSE_S)  # what is being typed changes at once again
        if worker.is_cancelled:
            return
        try:
            form.judge(self.out)
        except RequestError as error:
            problem = str(error)
        hand_over(self, partial(self._judged_whole, form, problem))

    def _judged_whole(self, form: RunForm, problem: str) -> None:
        """What images, network and files have to say, a moment later."""
        if form == self.form and problem:
            self._pronounce(problem, "")

    def _judge(
        self, form: RunForm, problem: str, said: str, fields: list[Field], choice: Suspects, own_data: str
    ) -> None:
        if form != self.form:
            return
        if form != self._filled:
            self._failed = ""
        self._pronounce(problem or self._failed, said)
        self.every.show(fields)
        self._offer(choice)
        self.query_one("#dataset", Input).placeholder = clean(own_data)
        if self._begin_with and fields:
            self.every.go_to(self._begin_with)
            self._begin_with = ""
        if self._failed and not self._returned:
            self._returned = True
            self._return_to_field(self._failed, fields)

    def _return_to_field(self, problem: str, fields: list[Field]) -> None:
        """The form came back from a start that failed: the cursor is on the field that is wrong."""
        own = {"data.name": "#dataset", "seed": "#seed", "--dataset": "#dataset"}
        path = named_field(problem, [*own, *(field.path for field in fields)])
        if path in own:
            self.set_focus(self.query_one(own[path]))
        elif path is not None:
            self.every.go_to(path)

    def _pronounce(self, problem: str, said: str) -> None:
        self.problem = problem
        form = self.form
        verdict = (f"✗ {clean(problem)}", "$text-error") if problem else (f"✓ {clean(said)}", "$text-success")
        runs = "" if problem else f"  {plural(len(form.seeds()), 'run')}"
        self.query_one("#verdict", Static).update(Content.assemble(verdict, (runs, "dim")))
        self.query_one("#start", Button).disabled = bool(problem) and not self._failed  # it may go well this time

    def _offer(self, choice: Suspects) -> None:
        """Show whence the suspect comes, whence else it may come, and what the zoo has."""
        if choice == self._suspects:
            return
        self._suspects = choice
        select = self.query_one("#suspect", Select)
        with self.prevent(Select.Changed):
            select.set_options([(clean(name), value) for name, value in choice.choices])
            select.value = choice.chosen
        self.query_one("#zoo", Paragraph).update(Content(clean(choice.of_the_zoo)))

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
            hand_over(self, partial(self.notify, clean(error), title="not started", severity="error"))
            return
        hand_over(self, partial(self._launch, requests))

    def _launch(self, requests: Sequence[RunRequest]) -> None:
        """One run opens its screen; several go on behind the list of runs."""
        if not self.is_current:
            return
        app = self.app
        app.change_settings(workspace={**app.settings.workspace, "data": requests[0].config.data.name})
        app.pop_screen()
        if len(requests) == 1:
            app.open_run(requests[0], form=self.form)
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

    def places(self) -> list[Place]:
        """The form's fields, for the palette."""
        return [
            Place(f"{FIELD}{clean(each.path)}", clean(each.about), partial(self.every.go_to, each.path))
            for each in self.every.fields
        ]

    def action_find(self) -> None:
        """Find a field."""
        self.every.find()

    def action_reset_field(self) -> None:
        """Take a change back."""
        self.every.reset()

    @on(Button.Pressed, "#back")
    def _leave(self) -> None:
        """Back to where the form was opened; what was typed is not lost without a question."""
        if self.form == (self._filled or self._opened):
            self.app.pop_screen()
            return
        question = Confirm("Leave the form?", "What was filled in is lost.", yes="Leave", no="Stay")
        self.app.push_screen(question, lambda sure: self.app.pop_screen() if sure else None)

    def action_back(self) -> None:
        """From a field's value to the list, from a search to all fields, from the form to where it was opened."""
        if not self.every.back():
            self._leave()


def _row(name: str, widget: Widget) -> Horizontal:
    return Horizontal(Label(name), widget, id=f"{widget.id}-row")
