"""The words for a run's state, and what they mean."""

import json

import pytest

from engine.record.state import RunState

ALIVE = {"running", "paused", "pausing", "stopping", "queued", "preparing"}
RESUMABLE = {"failed", "stopped", "crashed"}
LOST = {"damaged", "newer", "deleted"}


@pytest.mark.parametrize("state", RunState)
def test_every_state_knows_what_it_means(state):
    assert state.alive == (state in ALIVE)
    assert state.busy == (state in {"running", "preparing"})
    assert state.resumable == (state in RESUMABLE)
    assert state.ended == (state in RESUMABLE | LOST | {"finished"})
    assert state.readable == (state not in LOST | {"preparing"})


def test_a_state_is_its_word():
    assert f"{RunState.CRASHED}" == RunState("crashed") == "crashed"
    assert json.dumps({"status": RunState.FINISHED}) == '{"status": "finished"}'
    with pytest.raises(ValueError):
        RunState("splendid")
