"""The filter language of the list of runs, as in `sig asr<5 dataset:cifar10`.

Terms stand apart by spaces and must all hold. A word must be one of those that the list shows of the run, whole;
`bad*` wants one that begins so.
`field:value` wants the field to contain the value, `field=value` to equal it; `!=`, `<`, `<=`, `>` and `>=` compare
numbers, which may carry `%` or a unit of time (s, min, h, d). `a|b` allows either value, `-` before a term turns it
round, double quotes keep spaces together. A field is one of the list's own, a stage's figure (`nad.asr`), or any field
of the configuration by its dotted path or the end of one (`distill.p`, `poisoning_rate`).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

_TOKEN = re.compile(r'(?:[^\s"]|"[^"]*"?)+')
_TERM = re.compile(r"(?P<field>[A-Za-z_][\w.-]*)(?P<relation><=|>=|!=|=|:|<|>)(?P<value>.*)", re.DOTALL)
_NUMBER = re.compile(r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?P<unit>%|s|min|h|d)?", re.IGNORECASE)
_UNITS = {None: 1.0, "%": 1.0, "s": 1.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SAYINGS: dict[str, tuple[Any, ...]] = {"true": (True,), "yes": (True,), "false": (False,), "no": (False,)}


class Record(Protocol):
    """What can be filtered."""

    @property
    def words(self) -> str:
        """What a bare word is looked for in."""

    def values(self, field: str) -> Sequence[Any]:
        """Every value known by that name; none where the field is unknown or empty."""


@dataclass(frozen=True)
class Term:
    """One condition; `field` is empty for a bare word."""

    field: str
    relation: str
    wanted: tuple[str, ...]
    """Any of these will do."""
    negated: bool = False

    def holds(self, record: Record) -> bool:
        """Whether the record meets it."""
        return self._found(record) != self.negated

    def _found(self, record: Record) -> bool:
        if not self.field:
            known = record.words.casefold()
            return any(_has_word(word.casefold(), known) for word in self.wanted)
        known = record.values(self.field)
        if self.relation == "!=":
            return bool(known) and not any(_equal(value, wanted) for value in known for wanted in self.wanted)
        compare = {":": _contains, "=": _equal}.get(self.relation)
        if compare is None:
            return any(_ordered(self.relation, value, wanted) for value in known for wanted in self.wanted)
        return any(compare(value, wanted) for value in known for wanted in self.wanted)


@dataclass(frozen=True)
class Query:
    """A filter, as far as it could be understood."""

    terms: tuple[Term, ...] = ()
    problem: str = ""
    """What is wrong with a term that was left out; empty where all is well."""

    def matches(self, record: Record) -> bool:
        """Whether all terms hold."""
        return all(term.holds(record) for term in self.terms)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields it asks for."""
        return tuple(term.field for term in self.terms if term.field)


def parse(text: str) -> Query:
    """Read a filter that may still be under way: a term that is not whole is left out, with the problem said."""
    terms: list[Term] = []
    problem = ""
    for token in _TOKEN.findall(text):
        term = _term(token)
        if isinstance(term, Term):
            terms.append(term)
        else:
            problem = problem or term
    return Query(tuple(terms), problem)


def _term(token: str) -> Term | str:
    """The term, or what is wrong with it."""
    negated = token[0] in "-!" and len(token) > 1
    body = token[1:] if negated else token
    if body in ("-", "!"):
        return "a term is wanted after the minus"
    match = None if body.startswith('"') else _TERM.fullmatch(body)
    if match is None:
        word = body.replace('"', "")
        return Term("", ":", (word,), negated) if word else "the quotes are empty"
    field, relation = match["field"].casefold(), match["relation"]
    wanted = tuple(part for part in match["value"].replace('"', "").split("|") if part)
    if not wanted:
        return f"{field}{relation} … a value is wanted"
    if relation in _ORDER and (wrong := next((part for part in wanted if _number(part) is None), None)) is not None:
        return f"{field}{relation}{wrong}: a number is wanted"
    return Term(field, relation, wanted, negated)


def _has_word(word: str, text: str) -> bool:
    """Whether the word is one of the text's, whole: `sig` is the preset, and not the data set `signs` too.

    What stands before a `*` at its end is looked for as the beginning of one.
    """
    end = "" if word.endswith("*") and len(word) > 1 else "(?![a-z0-9])"
    return re.search(f"(?<![a-z0-9]){re.escape(word.removesuffix('*') or word)}{end}", text) is not None


def _number(text: str) -> float | None:
    match = _NUMBER.fullmatch(text)
    return float(match["number"]) * _UNITS[match["unit"] and match["unit"].lower()] if match else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return value in _SAYINGS.get(wanted.casefold(), ())
    if value is None:
        return wanted.casefold() in ("null", "none")
    number = _number(wanted)
    if _is_number(value):
        return number is not None and float(value) == number
    return str(value).casefold() == wanted.casefold()


def _contains(value: Any, wanted: str) -> bool:
    """As text; numbers and yes/no by their value, so that `seed:1` is not also seed 10."""
    if value is None or isinstance(value, bool) or (_is_number(value) and _number(wanted) is not None):
        return _equal(value, wanted)
    return wanted.casefold() in str(value).casefold()


def _ordered(relation: str, value: Any, wanted: str) -> bool:
    number = _number(wanted)
    return _is_number(value) and number is not None and _ORDER[relation](float(value), number)
