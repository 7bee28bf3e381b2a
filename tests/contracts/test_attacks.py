"""The contract of every attack that is registered."""

from __future__ import annotations

import pytest

from engine.testing.settings_checks import loads_no_torch
from engine.testing.subject import REGISTRIES
from tests.contracts.table import TABLE, cases


@pytest.mark.parametrize("case", [*cases("attack")], ids=str)
def test_contract(hold, case):
    hold(case)


def test_none_loads_torch_before_it_is_used():
    loads_no_torch("attack", list(REGISTRIES["attack"].loaded()))


def test_each_of_ours_has_a_row():
    assert list(TABLE["attack"]) == list(REGISTRIES["attack"].ours)
