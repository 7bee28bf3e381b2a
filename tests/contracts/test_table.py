"""The table is strict: what is known to be broken has to be, and to say so."""

from __future__ import annotations

import pytest

from engine.testing.contract import ContractBroken, NotTried
from tests.contracts.table import Case


def broken(subject) -> None:
    raise ContractBroken("it draws from a generator of everybody's")


def kept(subject) -> None:
    """Nothing is broken."""


def unseen(subject) -> None:
    raise NotTried("its images are not here")


def case(check, known: str = "") -> Case:
    return Case("defense", "nad", {"distill": {"p": 1}}, check, known)


def test_a_case_is_called_by_its_settings_and_its_check():
    assert str(case(kept)) == "nad[distill.p=1]-kept"


def test_what_is_known_to_be_broken_passes_as_long_as_it_is(hold):
    hold(case(broken, "a generator of everybody's"))
    hold(case(kept))


def test_what_is_not_known_or_said_otherwise_fails(hold):
    for known in ("", "another sentence"):
        with pytest.raises(ContractBroken):
            hold(case(broken, known))


def test_a_known_failure_that_passes_fails(hold):
    with pytest.raises(AssertionError, match="it is known to be broken, and holds"):
        hold(case(kept, "a generator of everybody's"))


def test_what_cannot_be_looked_at_is_skipped_with_its_reason(hold):
    with pytest.raises(pytest.skip.Exception, match="its images are not here"):
        hold(case(unseen))
