"""The weights of taps as a person gives them: one number, a list, or a table by name. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, FiniteFloat, TypeAdapter

from engine.errors import RequestError

EQUAL = "equal"
"""Instead of weights: equal shares of the loss for all taps."""
OTHERS = "others"
"""In a table of weights: every tap that it does not name."""


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number is wanted, not yes/no")
    return value


_ONE, _LISTED = TypeAdapter(FiniteFloat), TypeAdapter(tuple[FiniteFloat, ...])
_BY_NAME = TypeAdapter(dict[str, Annotated[FiniteFloat, BeforeValidator(_no_boolean)]])


def as_meant(value: Any) -> Any:
    """In the form in which it was given: what is wrong is then said of its numbers, not of every form it might have."""
    if isinstance(value, Mapping):
        return _BY_NAME.validate_python(value)
    if isinstance(value, list | tuple):
        return _LISTED.validate_python(value)
    return value if value in (None, EQUAL) else _ONE.validate_python(value)


Weights = Annotated[float | tuple[float, ...] | dict[str, float], BeforeValidator(as_meant)]
"""One for every tap, a list in the order of the taps, or a table by tap name."""


def check_range(value: Any) -> None:
    """Raise ValueError where a weight is negative, or none is given at all."""
    numbers = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple) else [value]
    if not numbers or min(numbers) < 0:
        raise ValueError("one weight of 0 or more for each tap is wanted")


def spread(
    given: float | tuple[float, ...] | dict[str, float], tap_names: Sequence[str], where: str
) -> tuple[float, ...]:
    """The weight of each tap, in the taps' order.

    Args:
        where: the field's dotted path, for messages.

    Raises:
        RequestError: not one for each tap, or a tap that there is not.
    """
    named = ", ".join(tap_names)
    match given:
        case tuple() as listed:
            if len(listed) != len(tap_names):
                raise RequestError(
                    f"{where} = {list(listed)}: {len(tap_names)} weights are wanted, one for each of {named}"
                )
            return listed
        case dict() as table:
            unknown = next((name for name in table if name not in (*tap_names, OTHERS)), None)
            missing = next((name for name in tap_names if name not in table and OTHERS not in table), None)
            if unknown or missing:
                wrong = f"there is no tap {unknown!r}" if unknown else f"nothing is said of {missing!r}"
                raise RequestError(f"{where}: {wrong}; allowed: {named}, {OTHERS}")
            return tuple(table[name] if name in table else table[OTHERS] for name in tap_names)
        case number:
            return (float(number),) * len(tap_names)
