"""Sections: a table gives the fields that it names, and no others."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from engine.config.run import validate
from engine.defenses.fine_tuning import FineTuning
from engine.defenses.nad.defense import Nad
from engine.settings import AugmentSettings, ScheduleSettings, Section, TrainingSettings


class Own(Section):
    training: TrainingSettings = TrainingSettings(epochs=3, lr=0.02, augment=AugmentSettings(crop=1))


def test_what_a_table_leaves_out_stays_as_the_field_has_it():
    training = Own.model_validate({"training": {"epochs": 7, "augment": {"cutout": 4}}}).training
    assert (training.epochs, training.lr, training.momentum) == (7, 0.02, 0.9)
    assert training.augment == AugmentSettings(crop=1, cutout=4)
    assert training.schedule == ScheduleSettings()


def test_a_defense_keeps_its_own_rate_when_its_epochs_are_set():
    assert FineTuning.model_validate({"training": {"epochs": 2}}).training == FineTuning().training.model_copy(
        update={"epochs": 2}
    )
    nad = {"attack": {"name": "badnets"}, "defenses": {"nad": {"distill": {"training": {"epochs": 2}}}}}
    assert validate(nad).defenses["nad"].distill.training.lr == Nad().distill.training.lr == 0.02


def test_a_section_given_whole_is_taken_whole():
    given = TrainingSettings(epochs=1)
    assert Own(training=given).training is given
    assert Own().training.lr == 0.02


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"training": {"epoch": 1}}, ("training", "epoch")),
        ({"training": {"augment": {"holes": 1}}}, ("training", "augment", "holes")),
        ({"training": {"lr": -1}}, ("training", "lr")),
        ({"training": 3}, ("training",)),
    ],
)
def test_what_is_wrong_is_still_told_by_its_place(given, place):
    with pytest.raises(ValidationError) as caught:
        Own.model_validate(given)
    assert caught.value.errors()[0]["loc"] == place
