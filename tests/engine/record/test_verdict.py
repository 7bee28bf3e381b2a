"""A verdict says what has become of a backdoor, against what the images do without the trigger."""

from __future__ import annotations

import pytest

from engine.evaluation.metrics import wilson
from engine.record.verdict import Word, judged, of_summary

IMAGES = 1_800


def figures(asr: float | None, base: float = 0.5, images: int = IMAGES) -> dict:
    """As a summary has them."""
    if asr is None:
        return {"asr": None, "base": None, "asr_ci": None, "base_ci": None}
    shares = {"asr": asr, "base": base}
    return shares | {f"{name}_ci": list(wilson(round(value / 100 * images), images)) for name, value in shares.items()}


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        (figures(99.0), figures(0.8), Word.ERASED),
        (figures(99.0), figures(52.0), Word.NOT_ERASED),
        (figures(99.0), figures(20.1), Word.NOT_ERASED),
        (figures(99.0), figures(9.0), Word.PARTLY),
        (figures(99.0), figures(9.0, base=8.5), Word.ERASED),
        (figures(4.0), figures(0.8), Word.NEVER_PLANTED),
        (figures(99.0), figures(None), Word.NO_TRIGGER),
        ({}, figures(0.8), Word.ERASED),
        (figures(99.0), {"asr": float("nan"), "base": 1.0}, Word.NO_TRIGGER),
    ],
)
def test_the_word(before, after, word):
    assert judged(before, after).word is word


def test_the_interval_decides_what_is_erased():
    """The same shares of few images may be none, of many are some."""
    assert judged(figures(99.0), figures(4.0, images=60)).word is Word.ERASED
    assert judged(figures(99.0), figures(4.0, images=20_000)).word is Word.PARTLY


def test_the_line_says_what_it_rests_on():
    verdict = judged(figures(99.0), figures(9.0))
    low, high = verdict.interval
    assert low < verdict.over == 8.5 < high
    assert verdict.line.startswith("partly: ASR +8.5 over its base rate of 0.5 (+")


def test_each_purified_model_has_its_own():
    stages = [
        {"stage": "attack", "role": "suspect", **figures(99.0)},
        {"stage": "teacher", "role": "reference", **figures(2.0)},
        {"stage": "nad", "role": "purified", **figures(0.5)},
        {"stage": "anp", "role": "purified", **figures(60.0)},
    ]
    assert {name: each.word for name, each in of_summary({"stages": stages}).items()} == {
        "nad": Word.ERASED,
        "anp": Word.NOT_ERASED,
    }
    assert of_summary({"stages": ["nonsense", {}]}) == {}


@pytest.mark.parametrize(("acc", "said"), [(94.0, False), (86.1, False), (86.0, True), (30.4, True)])
def test_the_line_says_what_it_cost_where_it_cost_the_model(acc, said):
    """A model that knows nothing any more answers no trigger either."""
    verdict = judged(figures(99.0) | {"acc": 96.0}, figures(0.0) | {"acc": acc})
    assert (verdict.word, verdict.lost) == (Word.ERASED, pytest.approx(96.0 - acc))
    assert verdict.line.endswith(f"; {96.0 - acc:.1f} points of ACC lost") is said
    assert verdict.to_dict()["lost"] == pytest.approx(96.0 - acc)
