"""What has become of a backdoor, in a word that can be read without the figures. Free of torch.

ASR is judged against its reference: what goes to the wanted class without any backdoor. That is the base rate, the
share of the same images that this very model sends there without the trigger.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

REACHES = 2.0
"""Points over the reference: where the interval of the difference reaches down to that, the backdoor is erased."""
LEFT = 20.0
"""An ASR above that is not erased, whatever it was before."""
PLANTED = 5.0
"""Points of the suspect's own ASR over its reference from which there was a backdoor at all."""

RUINED = 10.0
"""Points of ACC lost from which the line of a verdict says so: a model that knows nothing any more has no backdoor."""


class Word(StrEnum):
    """A verdict."""

    ERASED = "erased"
    PARTLY = "partly"
    NOT_ERASED = "not erased"
    NEVER_PLANTED = "never planted"
    NO_TRIGGER = "no trigger known"


@dataclass(frozen=True)
class Verdict:
    """A verdict on one purified model, with what it rests on; points and percentages, None where there is none."""

    word: Word
    over: float | None = None
    """ASR less its reference, in points: the purified model's, or the suspect's where it was never planted."""
    interval: tuple[float, float] | None = None
    """95 %, of that difference."""
    reference: float | None = None
    source: str = "base rate"
    """Where the reference comes from."""
    lost: float | None = None
    """ACC of the suspect less the purified model's, in points."""

    @property
    def line(self) -> str:
        """In a line, with what it rests on."""
        if self.over is None or self.interval is None:
            return self.word
        low, high = self.interval
        over = f"ASR {self.over:+.1f} over its {self.source} of {self.reference:.1f} ({low:+.1f} to {high:+.1f})"
        lost = f"; {self.lost:.1f} points of ACC lost" if self.lost is not None and self.lost >= RUINED else ""
        return f"{self.word}: {'the suspect’s ' if self.word is Word.NEVER_PLANTED else ''}{over}{lost}"

    def to_dict(self) -> dict[str, Any]:
        """In JSON's own types, with the line."""
        plain = asdict(self) | {"word": str(self.word), "line": self.line}
        return plain | {"interval": self.interval and list(self.interval)}


def judged(suspect: Mapping[str, Any], purified: Mapping[str, Any]) -> Verdict:
    """The verdict on a purified model, both by their figures as a summary has them (acc, asr, asr_ci, base, base_ci).

    The suspect may lack them (a record with damage); then it counts as planted.
    """
    after, before = _difference(purified), _difference(suspect)
    acc, of_suspect = _number(purified.get("acc")), _number(suspect.get("acc"))
    lost = None if acc is None or of_suspect is None else round(of_suspect - acc, 3)
    if after is None:
        return Verdict(Word.NO_TRIGGER, lost=lost)
    if before is not None and before.over is not None and before.over < PLANTED:
        return Verdict(Word.NEVER_PLANTED, before.over, before.interval, before.reference, lost=lost)
    assert after.interval is not None
    word = Word.PARTLY
    if float(purified["asr"]) > LEFT:
        word = Word.NOT_ERASED
    elif after.interval[0] <= REACHES:
        word = Word.ERASED
    return Verdict(word, after.over, after.interval, after.reference, lost=lost)


def of_summary(summary: Mapping[str, Any]) -> dict[str, Verdict]:
    """By the name of its stage the verdict on every purified model of a summary, in the order of the plan."""
    stages = [stage for stage in summary.get("stages") or () if isinstance(stage, Mapping)]
    suspect = next((stage for stage in stages if stage.get("role") == "suspect"), {})
    return {str(stage.get("stage")): judged(suspect, stage) for stage in stages if stage.get("role") == "purified"}


def _difference(stage: Mapping[str, Any]) -> Verdict | None:
    """ASR less base of one model, with Newcombe's interval (1998, method 10) from the two shares' own."""
    asr, base = _number(stage.get("asr")), _number(stage.get("base"))
    if asr is None or base is None:
        return None
    (low, high), (base_low, base_high) = (
        _pair(stage.get(f"{name}_ci"), value) for name, value in (("asr", asr), ("base", base))
    )
    over = asr - base
    interval = (
        over - math.hypot(asr - low, base_high - base),
        over + math.hypot(high - asr, base - base_low),
    )
    return Verdict(Word.PARTLY, round(over, 3), (round(interval[0], 3), round(interval[1], 3)), base)


def _number(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def _pair(value: Any, otherwise: float) -> tuple[float, float]:
    numbers = [_number(each) for each in value] if isinstance(value, list | tuple) else []
    return (numbers[0], numbers[1]) if len(numbers) == 2 and None not in numbers else (otherwise, otherwise)
