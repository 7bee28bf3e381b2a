"""Where a new run's suspect may come from: trained, the zoo, or what was typed; and what the zoo has for it.

Free of any widget, and of torch. Reading the zoo's cards for the first time takes a moment: call it from a thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine import zoo
from engine.errors import RequestError
from engine.events import TRAINED, ZOO
from engine.zoo.card import Card
from nadtui.workbench.form import SUSPECT, RunForm, plain

_NAMES = {TRAINED: "trained", ZOO: "from the zoo"}


@dataclass(frozen=True)
class Suspects:
    """The choice that a form has."""

    chosen: str
    """As `--suspect` takes it."""
    choices: tuple[tuple[str, str], ...]
    """What may be chosen: how it is shown, and as `--suspect` takes it."""
    of_the_zoo: str
    """What the zoo has for such a run, or why nothing, in a line; empty where that cannot be told."""


def suspects(form: RunForm, given: str) -> Suspects:
    """The choice for a form whose `suspect` field is `given`."""
    chosen = plain(given)
    offered, said = _of_the_zoo(form)
    choices = [TRAINED, *[ZOO] * (offered or chosen == ZOO), *[chosen] * (chosen not in (TRAINED, ZOO))]
    return Suspects(chosen, tuple((_NAMES.get(each, _short(each)), each) for each in choices), said)


def choose(form: RunForm, source: str) -> RunForm:
    """The form with its suspect from there; what is trained without a word is left unsaid."""
    return form.with_setting(SUSPECT, "" if source == TRAINED and form.config_file is None else source)


def described(card: Card) -> str:
    """A suspect of the zoo in a line: its figures, the day, the precision."""
    figures = [f"{name.upper()} {card.figures[name].value:.1f}" for name in ("acc", "asr") if name in card.figures]
    return f"zoo: {' '.join(figures)} {card.precision} {card.made}"


def _of_the_zoo(form: RunForm) -> tuple[bool, str]:
    """Whether the zoo has a suspect for a run like this, and what is to be said of that."""
    try:
        config = form.with_setting(SUSPECT, ZOO).config()
        assert config.zoo_name is not None
        return True, described(zoo.card(config.zoo_name))
    except RequestError as error:
        refused = str(error)
    try:
        name = form.with_setting(SUSPECT, TRAINED).config().name_in_zoo
        known = name in zoo.cards()
    except RequestError:
        return False, ""  # the verdict says what is wrong with the form
    return False, refused.partition(": ")[2].partition(";")[0] if known else f"not in the zoo: {name}"


def _short(source: str) -> str:
    """A suspect of the zoo by its name, a file by its last part."""
    return source if source.partition(":")[0] == ZOO else Path(source).name or source
