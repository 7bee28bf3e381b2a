"""A record as it is read: what makes no sense is left out, the log is bounded."""

from __future__ import annotations

import dataclasses

from engine import events
from nadtui.runs import fold as folding
from tests import scripted_run


def test_an_event_that_makes_no_sense_is_counted_and_left_out(tmp_path):
    fold = folding.Fold()
    for event in scripted_run.whole_run()[:6]:
        fold.take(event)
    broken = dataclasses.replace(scripted_run.whole_run()[5], stage=["no", "name"])
    fold.take(broken)
    assert fold.damaged == 1
    fold.take(scripted_run.whole_run()[6])
    assert fold.view.stages["attack"].step == 10


def test_the_log_is_bounded_and_counted(tmp_path):
    fold = folding.Fold()
    for number in range(folding.LOG_LINES + 10):
        fold.take(events.Message(text=f"line {number}", time=1.0))
    assert len(fold.log) == folding.LOG_LINES
    assert fold.logged == folding.LOG_LINES + 10
