"""Image steps: counted where work is done, not where it is measured, and the same in a run that was stopped."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from engine import models
from engine.events import Chosen, Event, Preparing
from engine.running.passes import Passes
from engine.testing.resuming import interrupted
from engine.testing.world import World

IMAGES = torch.rand(6, 3, 16, 16)


def test_a_pass_is_counted_by_its_images_however_it_goes_through_the_network():
    network, passes = models.build("wrn-10-1", 4, 0), Passes((16, 16))
    with passes.counting():
        network(IMAGES)
        network.forward_with_taps(IMAGES[:2])
    network(IMAGES)
    assert passes.total == 8
    with passes.counting(), torch.no_grad():
        network(IMAGES)
        nn.Conv2d(3, 4, 3)(torch.rand(5, 3, 8, 8))  # no images of this run
    assert passes.take() == 8 + 6 / 3
    assert passes.total == 0


class Parted(nn.Module):
    """Two convolutions see the images beside each other, after they were made larger and were one row each."""

    def __init__(self) -> None:
        super().__init__()
        self.larger = nn.Upsample(scale_factor=2)
        self.one, self.other = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
        self.flat = nn.Linear(3 * 16 * 16, 4)

    def forward(self, images):
        if images.shape[0] == 1:
            raise ValueError("one image")
        return (self.one(images) + self.other(images)).sum() + self.one(self.larger(images)).sum()


@pytest.mark.parametrize(
    "network",
    [Parted(), nn.Sequential(nn.Upsample(scale_factor=2), Parted()), nn.Sequential(nn.Flatten(), nn.Linear(768, 4))],
)
def test_however_a_network_begins_a_pass_is_one(network):
    passes = Passes((16, 16))
    with passes.counting():
        network(IMAGES)
        network(IMAGES)
    assert passes.total == 12


def test_after_a_pass_that_failed_the_next_is_counted():
    network, passes = Parted(), Passes((16, 16))
    with passes.counting():
        with pytest.raises(ValueError, match="one image"):
            network(IMAGES[:1])
        network(IMAGES)
    assert passes.total == 7


def test_what_has_no_weights_is_no_network():
    passes = Passes((16, 16))
    with passes.counting():
        nn.Identity()(IMAGES)
    assert passes.total == 0


def test_what_another_thread_does_meanwhile_is_not_counted():
    network, passes = models.build("wrn-10-1", 4, 0), Passes((16, 16))
    with passes.counting():
        other = threading.Thread(target=network, args=(IMAGES,))
        other.start()
        other.join()
    assert passes.total == 0


@pytest.fixture
def world(tmp_path):
    tiny = World(tmp_path)
    with tiny.entered():
        yield tiny


def test_a_run_in_pieces_costs_what_a_run_in_one_does(world):
    """Of an optimization, a choice and a training: 3 steps of at most 16 images, thrice looked at; two epochs."""
    world.suspect()
    training = {"epochs": 2, "batch_size": 16, "augment": {"crop": 0}}
    config = world.config(
        defenses={"anp": {"steps": 3, "batch_size": 16}, "fine-pruning": {"training": training, "tolerance": 0}}
    )
    whole = world.whole(config, "a run")
    cost = {name: event.image_steps for name, event in whole.finished.items()}
    tried = {
        event.stage: sum(score == score for score in event.scores.values())
        for event in whole.events
        if isinstance(event, Chosen)
    }
    # Of 80 clean images 16 are held: by them the suspect is judged, and each of the candidates. The suspect, these and
    # what is chosen see the other 64, by which norms settle. Eight images show, twice, whether the last norm is the
    # head's own.
    assert cost["anp"] == round(3 * 3 * 16 + (1 + tried["anp"]) * (16 + 64) / 3 + 64 / 3 + 2 * 8 / 3)
    own = (2 + 64) / 3  # it traces the network by two images, then looks at all
    assert cost["fine-pruning"] == round(own + (1 + tried["fine-pruning"]) * 16 / 3 + 2 * 64)

    def here(event: Event) -> bool:
        return isinstance(event, Chosen) or (isinstance(event, Preparing) and event.what == "masks")

    pieces = interrupted(world, config, here, cache=True)
    assert len(pieces.stops) >= 3
    again = world.recorded(pieces.folder).finished
    assert {name: event.image_steps for name, event in again.items() if name != "attack"} == {
        name: steps for name, steps in cost.items() if name != "attack"
    }
