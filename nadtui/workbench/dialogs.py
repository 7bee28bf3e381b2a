"""Questions: yes or no, one of several, a number, a path. Each answers with its value, or None when it is dismissed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, OptionList
from textual.widgets.option_list import Option

from nadtui import formatting
from nadtui.workbench.widgets.remeasured import Paragraph

_BOX = """
    {name} {{ align: center middle; }}
    {name} > Vertical {{
        width: 64; max-width: 95%; height: auto; max-height: 95%;
        background: $surface; border: round $primary; padding: 0 1;
    }}
    {name} Label {{ width: 1fr; }}
    {name} .title {{ text-style: bold; }}
    {name} .note {{ color: $text-muted; }}
    {name} .wrong {{ color: $text-error; min-height: 1; }}
    {name} Horizontal {{ height: auto; align-horizontal: right; margin-top: 1; }}
    {name} Button {{ min-width: 10; margin-left: 1; }}
    {name} #yes {{ color: $text-warning; }}
"""


LEAVES = "Esc leaves"
"""What a frame says of the way out."""


def _framed(said: str) -> Vertical:
    """The box of a question, with its keys in the frame."""
    box = Vertical()
    box.border_subtitle = said
    return box


def _label(said: str, classes: str) -> Label:
    lines = "\n".join(formatting.clean(line) for line in said.split("\n"))
    return Label(Content(lines), classes=classes)


class Confirm(ModalScreen[bool]):
    """Yes or no; Enter is the button under focus, `y` and `n` work at once."""

    DEFAULT_CSS = _BOX.format(name="Confirm")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", show=False),
        Binding("n,escape", "answer(False)", "No", show=False),
        Binding("left,right", "app.focus_next", "The other", show=False),
    ]

    def __init__(self, title: str, note: str = "", *, yes: str = "Yes", no: str = "No") -> None:
        super().__init__()
        self._title, self._note, self._yes, self._no = title, note, yes, no

    def compose(self) -> ComposeResult:
        """The question with its two answers; the harmless one has the focus."""
        with Vertical():
            yield _label(self._title, "title")
            if self._note:
                yield _label(self._note, "note")
            with Horizontal():
                yield Button(f"{self._yes} (y)", id="yes", compact=True)
                yield Button(f"{self._no} (n)", id="no", compact=True)

    def on_mount(self) -> None:
        """Nothing dangerous happens by Enter alone."""
        self.query_one("#no", Button).focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        """Answer by key."""
        self.dismiss(answer)


class Choose(ModalScreen[str | None]):
    """One of several, each with a key of its own (its first letter, or its number)."""

    DEFAULT_CSS = _BOX.format(name="Choose") + "    Choose OptionList { height: auto; max-height: 16; border: none; }\n"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Back", show=False)]

    def __init__(self, title: str, choices: Sequence[tuple[str, str]], note: str = "") -> None:
        """`choices` are pairs of what is answered and what is shown."""
        super().__init__()
        self._title, self._note, self._choices = title, note, list(choices)

    def compose(self) -> ComposeResult:
        """The question and a list of answers."""
        with _framed(f"Enter or a number chooses · {LEAVES}"):
            yield _label(self._title, "title")
            if self._note:
                yield _label(self._note, "note")
            options = [
                Option(Content(f"{n}  {formatting.clean(said)}"), id=f"c{n}") for n, (_, said) in self._numbered()
            ]
            yield OptionList(*options, compact=True)

    def _numbered(self) -> list[tuple[int, tuple[str, str]]]:
        return list(enumerate(self._choices, start=1))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._choices[event.option_index][0])

    def on_key(self, event: events.Key) -> None:
        """A number chooses at once."""
        if event.character and event.character.isdigit() and 1 <= int(event.character) <= len(self._choices):
            event.stop()
            self.dismiss(self._choices[int(event.character) - 1][0])


class Leave(Choose):
    """What becomes of the runs under way; a kind of its own, so that it is not asked twice."""


class Ask(ModalScreen[str | None]):
    """A line of text; `check` says what is wrong with it, as it is typed."""

    DEFAULT_CSS = _BOX.format(name="Ask")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Back", show=False)]

    def __init__(
        self, title: str, value: str = "", *, note: str = "", check: Callable[[str], str] = lambda value: ""
    ) -> None:
        """`check` returns what is wrong with a value, or nothing."""
        super().__init__()
        self._title, self._value, self._note, self._check = title, value, note, check

    def compose(self) -> ComposeResult:
        """The question, the line, and what is wrong with it."""
        with _framed(f"Enter takes it · {LEAVES}"):
            yield _label(self._title, "title")
            if self._note:
                yield _label(self._note, "note")
            yield Input(self._value, compact=True)
            yield Paragraph(classes="wrong", id="wrong")

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        self.query_one("#wrong", Paragraph).update(Content(formatting.clean(self._check(event.value))))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if self._check(event.value):
            self.app.bell()
        else:
            self.dismiss(event.value)


def whole_number(low: int, high: int) -> Callable[[str], str]:
    """A check for `Ask`: a whole number in this range."""

    def check(value: str) -> str:
        digits = value.strip()
        if digits.isascii() and digits.isdigit() and low <= int(digits) <= high:
            return ""
        return f"a whole number from {low} to {high} is wanted"

    return check
