"""The vocabulary: kinds with names of their own, and events that nobody changes afterwards."""

import dataclasses
import math

import pytest

from engine.events import KINDS, AttentionCaptured, Event, Queued, StageFinished
from tests.scripted_run import metrics


def test_every_kind_has_a_name_of_its_own():
    kinds = Event.__subclasses__()
    assert list(KINDS.values()) == kinds and {kind.kind for kind in kinds} == set(KINDS)
    assert {"step", "evaluation", "run-started", "run-finished", "chosen"} <= set(KINDS)


def test_the_balanced_acc_leaves_out_classes_without_images():
    figures = dataclasses.replace(metrics(90.0, 1.0), class_acc=(100.0, math.nan, 80.0))
    assert figures.balanced_acc == 90.0


def test_balanced_acc_of_no_classes_is_not_a_number():
    assert math.isnan(dataclasses.replace(metrics(90.0, 1.0), class_acc=(math.nan,)).balanced_acc)


def test_events_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Queued(position=1).position = 2
    assert StageFinished.kind == "stage-finished"
    assert AttentionCaptured.kind == "attention"
