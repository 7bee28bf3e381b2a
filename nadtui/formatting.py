"""Numbers, times and foreign text as people read them.

Names and messages may come from a stranger's record: `clean` is what stands between them and the terminal.
"""

from __future__ import annotations

import math
import re
import shlex
import unicodedata
from collections.abc import Iterable

_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Invisible marks that reorder the text around them."""
_REPR_OF_BYTE = re.compile(r"\\udc([89a-f][0-9a-f])")
"""How Python quotes a byte that is no letter."""


def clean(text: object) -> str:
    """One line that a terminal shows as it is: control characters, line ends and direction marks as escapes.

    So are the bytes of a file's name that are no UTF-8: `\\xff`.
    """
    return _REPR_OF_BYTE.sub(r"\\x\1", "".join(map(_visible, str(text))))


def quoted(text: object) -> str:
    """Text as one word of a shell's command line, and of this one where it is shown."""
    word = str(text)
    if clean(word) == word:
        return shlex.quote(word)
    return "$'" + "".join(map(_in_ansi_c, word)) + "'"


def command(words: Iterable[object]) -> str:
    """A command line that works as it stands, whatever is in its words."""
    return " ".join(map(quoted, words))


def _in_ansi_c(character: str) -> str:
    """As in `$'...'`, which shells read as the bytes that are meant."""
    if character in "'\\":
        return f"\\{character}"
    if _visible(character) == character:
        return character
    errors = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", errors))


def _visible(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python keeps a byte that is no letter
        return f"\\x{ord(character) - 0xDC00:02x}"
    if character in _DIRECTION or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
        return character.encode("unicode_escape", "surrogatepass").decode("ascii")
    return character


def cut_in_front(text: object, width: int) -> str:
    """The end of a text in at most so many cells, for names that are alike in front."""
    shown = clean(text)
    return shown if len(shown) <= width else f"…{shown[len(shown) - width + 1 :]}"


def short_tap(name: str) -> str:
    """A tap's name where there is little room: `group1` as `g1`, `layer4.1.conv2` as `l4.1.c2`."""
    return re.sub(r"[A-Za-z_]+", lambda word: word[0][0], clean(name))


def percentage(value: float | None) -> str:
    """A percentage with one decimal; a dash where there is none."""
    return "–" if _absent(value) else f"{value:.1f}"


def confidence(value: float) -> str:
    """A softmax of 0-1 as `.97`; 1 is `1.00`."""
    return "–" if _absent(value) else f"{value:.2f}".removeprefix("0")


def interval(bounds: tuple[float, float] | list[float] | None) -> str:
    """A 95 % interval, or nothing."""
    if not bounds or any(_absent(bound) for bound in bounds):
        return ""
    return f"[{bounds[0]:.1f}, {bounds[1]:.1f}]"


def count(value: float | None) -> str:
    """A whole number with its thousands set apart."""
    return "–" if _absent(value) else f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """`0:07`, `12:34` or `1:02:03`."""
    if _absent(seconds):
        return "–"
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def age(seconds: float) -> str:
    """How long ago, in its largest unit."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def number(value: float) -> str:
    """A loss or a learning rate: four significant digits."""
    return f"{value:.4g}"


def ordinal(place: int) -> str:
    """`1st`, `2nd`, `11th`."""
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"


def plural(amount: int, noun: str) -> str:
    """`1 epoch`, `8 epochs`."""
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"


def _absent(value: float | None) -> bool:
    return not isinstance(value, int | float) or not math.isfinite(value)
