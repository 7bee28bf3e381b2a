"""The class that an attacker wants: by its name, or by its id. Free of torch."""

import difflib
from collections.abc import Sequence

from engine.errors import RequestError

_FEW = 5


def class_id(target: int | str, names: Sequence[str]) -> tuple[int, str]:
    """The id of the class that `target` means, and what is to be said of it; empty where it can mean but one.

    A number is an id first, a text a name first: a recorded configuration, which holds the id, means the same for good.

    Raises:
        RequestError: no class has that id or name.
    """
    by_id = _id(target, len(names))
    by_name = _named(str(target), names)
    first, second = (by_id, by_name) if isinstance(target, int) else (by_name, by_id)
    chosen = second if first is None else first
    if chosen is None:
        allowed = f"the data set has classes 0 to {len(names) - 1}{_hint(target, names)}"
        raise RequestError(f"attack.target = {str(target)[:80]}: {allowed}")
    if first is None:
        lacking = f"id {target}" if isinstance(target, int) else f"name {target!r}"
        return chosen, f"attack.target = {target}: no class has the {lacking}; taken is {told(chosen, names)}"
    if second not in (None, first):
        meant = "as an id" if isinstance(target, int) else "as a name"
        return chosen, f"attack.target = {target}: read {meant}, {told(first, names)}; not {told(second, names)}"
    return chosen, ""


def told(label: int | str, names: Sequence[str]) -> str:
    """`class 'stop' (id 0)`."""
    return (
        f"class {names[label]!r} (id {label})"
        if isinstance(label, int) and 0 <= label < len(names)
        else f"class {label}"
    )


def _id(target: int | str, count: int) -> int | None:
    text = str(target)
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    return number if 0 <= number < count else None


def _named(name: str, names: Sequence[str]) -> int | None:
    """The class of that name; of that number, where a name is a number with zeros in front."""
    if name in names:
        return names.index(name)
    if not (name.isascii() and name.isdigit()):
        return None
    same = [label for label, each in enumerate(names) if each.lstrip("0") == name.lstrip("0") and each.isdigit()]
    return same[0] if len(same) == 1 else None


def _hint(target: int | str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(target).casefold(), [name.casefold() for name in names], n=1)
    meant = next((name for name in names if near and name.casefold() == near[0]), None)
    if isinstance(target, str) and meant is not None:
        return f"; did you mean {meant!r}?"
    more = " …" * (len(names) > _FEW)
    return f", called {', '.join(names[:_FEW])}{more}"
