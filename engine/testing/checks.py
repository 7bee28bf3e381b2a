"""Which checks apply to which subject, and what they say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from engine.testing import attack_checks, data_checks, defense_checks, model_checks, settings_checks
from engine.testing.contract import ContractBroken, NotTried, one_line
from engine.testing.subject import Kind, Subject

Check = Callable[[Subject], None]
"""Looks at one promise; raises ContractBroken where it is not kept, NotTried where there is nothing to look at."""

CHECKS: dict[Kind, tuple[Check, ...]] = {
    "attack": (
        settings_checks.settings,
        attack_checks.poisons_as_declared,
        attack_checks.trigger,
        attack_checks.recalled,
        attack_checks.events,
        attack_checks.inputs_untouched,
        attack_checks.process_untouched,
        attack_checks.same_seed,
        attack_checks.resumed,
        attack_checks.planted,
        attack_checks.harmless,
        attack_checks.refusals,
    ),
    "defense": (
        settings_checks.settings,
        defense_checks.plan,
        defense_checks.events,
        defense_checks.inputs_untouched,
        defense_checks.process_untouched,
        defense_checks.same_seed,
        defense_checks.resumed,
        defense_checks.company,
        defense_checks.closed_doors,
        defense_checks.erases,
        defense_checks.keeps_accuracy,
        defense_checks.refusals,
    ),
    "model": (
        model_checks.settings,
        model_checks.same_seed,
        model_checks.process_untouched,
        model_checks.inputs_untouched,
        model_checks.taps,
        model_checks.attention,
        model_checks.each_image_alone,
        model_checks.weights_come_back,
        model_checks.gradients,
        model_checks.any_classes,
        model_checks.carries_a_run,
        model_checks.refusals,
    ),
    "data": (
        data_checks.settings,
        data_checks.form,
        data_checks.same_bits,
        data_checks.fingerprinted,
        data_checks.process_untouched,
        data_checks.counts,
        data_checks.carries_a_run,
        data_checks.refusals,
    ),
}


def checks_for(kind: Kind, name: str) -> Iterator[Check]:
    """The checks that apply to what is registered under that name: all of its kind, less those that it rules out."""
    for check in CHECKS[kind]:
        if kind != "attack" or check is not _left_out(name):
            yield check


def _left_out(name: str) -> Check:
    """Of the two behaviors of an attack the one that its own declaration excludes."""
    try:
        marks = settings_checks.class_of("attack", name).marks
    except ContractBroken:
        marks = True
    return attack_checks.harmless if marks else attack_checks.planted


@dataclass(frozen=True)
class Verdict:
    """What a check says of its subject."""

    check: str
    state: Literal["ok", "broken", "not tried"]
    said: str = ""
    """Why, in a line; empty where all is well."""


def judged(check: Check, subject: Subject) -> Verdict:
    """What it says, in the subject's world; whatever else a stranger's code raises is a broken promise, too."""
    name = check.__name__
    with subject.world.entered():
        try:
            check(subject)
        except NotTried as why:
            return Verdict(name, "not tried", one_line(str(why)))
        except ContractBroken as broken:
            return Verdict(name, "broken", str(broken))
        except Exception as error:
            return Verdict(name, "broken", one_line(error))
    return Verdict(name, "ok")
