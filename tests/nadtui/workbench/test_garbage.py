"""The garbage collector is put off while the workbench starts, and comes back."""

import gc

import pytest

from nadtui.workbench import garbage


@pytest.fixture(autouse=True)
def _as_it_was():
    yield
    gc.unfreeze()
    gc.enable()


def test_collects_again_after_the_start_and_leaves_out_what_was_loaded():
    garbage.wait()
    assert not gc.isenabled()
    garbage.begin()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


def test_freezes_nothing_where_it_was_not_put_off():
    before = gc.get_freeze_count()
    garbage.begin()
    assert gc.get_freeze_count() == before
