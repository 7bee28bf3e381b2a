"""The contract of every data source that is registered."""

from __future__ import annotations

import pytest

from engine.testing.settings_checks import loads_no_torch
from engine.testing.subject import REGISTRIES
from tests.contracts.table import TABLE, cases


@pytest.mark.parametrize("case", [*cases("data")], ids=str)
def test_contract(hold, case):
    hold(case)


def test_none_loads_torch_before_it_is_used():
    loads_no_torch("data", list(REGISTRIES["data"]))


def test_each_of_ours_has_a_row():
    assert list(TABLE["data"]) == list(REGISTRIES["data"].ours)
