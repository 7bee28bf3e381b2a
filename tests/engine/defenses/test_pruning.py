"""How far a defense goes: the budget on held images, dormant channels that are really cut off, ascent that ends."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from engine import models
from engine.defenses.base import Choose, LabeledImages, Port
from engine.defenses.budget import COPIES, TRIED, copies, furthest, given, rungs, strongest
from engine.defenses.fine_pruning import activity, cut
from engine.defenses.neurons import channels_of
from engine.defenses.pruning import Settling, without
from engine.defenses.tracing import reader_of
from engine.defenses.unlearning import Ascent, Recognized
from engine.device import Device
from engine.models.inference import as_input, settled

CPU = Device(torch.device("cpu"), "fp32")
DRAWN = torch.Generator().manual_seed(5)
IMAGES = torch.randint(0, 256, (20, 3, 32, 32), dtype=torch.uint8, generator=DRAWN)


class Right(nn.Module):
    """Recognizes so many of ten images, the pixels of which are their number and label."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, images: Tensor) -> Tensor:
        number = (images[:, 0, 4, 4] * 255).round().long()
        return nn.functional.one_hot((number + (number >= round(10 * self.share))) % 11, 11).float()


def port() -> Port:
    images = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1).expand(10, 3, 8, 8)
    held = LabeledImages(images, torch.arange(10))
    return Port(Right(1.0), held, held, 11, (), CPU, 0)


@pytest.mark.parametrize(
    ("budget", "beyond", "wanted", "last"),
    [
        (10, 0, 1, 2),
        (20, 0, 2, 3),
        (0, 0, 0, 1),
        (100, 0, 7, 7),
        (20, 1, 2, 4),
        (20, 2, 5, 7),
        (10, 2, 1, 4),
        (10, 3, 5, 7),
    ],
)
def test_it_goes_to_the_last_within_the_budget_and_looks_past_a_few_that_are_not(budget, beyond, wanted, last):
    """ACC falls to 90, 80, 70, is back at 100 for two, of which the first alone might be luck, and falls for good."""
    shares = {0: 1.0, 1: 0.9, 2: 0.8, 3: 0.7, 4: 1.0, 5: 1.0, 6: 0.6, 7: 0.5}
    tried = []

    def make(strength: float) -> nn.Module:
        tried.append(strength)
        return Right(shares[strength])

    work = furthest(port(), "stage", "how far", {str(each): each for each in shares}, make, budget, beyond=beyond)
    ask = next(work)
    assert isinstance(ask, Choose)
    scores = {name: ask.score(name) for name in ask.candidates}
    choice = max(scores, key=lambda name: -math.inf if math.isnan(scores[name]) else scores[name])
    assert choice == str(wanted)
    assert tried == list(range(last + 1))
    cost = ask.cost(choice)
    assert cost.lost == pytest.approx(100 * (1 - shares[wanted])) and cost.lost_ci[0] < cost.lost < cost.lost_ci[1]
    assert (cost.images, cost.budget, cost.within) == (10, budget, True)
    with pytest.raises(StopIteration) as end:
        work.send(choice)
    assert end.value.value == wanted


def test_how_many_a_fixed_bound_takes_is_recorded_and_none_is_a_warning():
    for count, level in ((0, "warning"), (3, "info")):
        work = given(port(), "stage", "neurons pruned", count, 40, "a mask below 0.2")
        said = next(work)
        assert (said.text, said.level) == (f"stage: neurons pruned {count}/40, by a mask below 0.2", level)
        ask = next(work)
        assert ask.candidates == (f"{count}/40",) and ask.score(f"{count}/40") == count


@pytest.mark.parametrize(
    ("budget", "wanted", "tried", "within", "sure"),
    [
        (10, "third", 3, True, False),
        (40, "first", 1, True, False),
        (95, "first", 1, True, True),
        (0, "third", 4, False, False),
        (5, "third", 4, False, False),
    ],
)
def test_the_strongest_within_the_budget_is_taken_else_the_one_that_loses_least(budget, wanted, tried, within, sure):
    ladder = {"first": 0.7, "second": 0.8, "third": 0.9, "fourth": 0.8}
    made = []

    def make(share: float) -> nn.Module:
        made.append(share)
        return Right(share)

    work = strongest(port(), "stage", "how far", ladder, make, budget)
    ask = next(work)
    scores = {name: ask.score(name) for name in ask.candidates}
    assert len(made) == tried
    choice = max(scores, key=lambda name: -math.inf if math.isnan(scores[name]) else scores[name])
    assert choice == wanted
    cost = ask.cost(choice)
    assert (cost.lost, cost.within, cost.sure) == (pytest.approx(100 * (1 - ladder[wanted])), within, sure)
    with pytest.raises(StopIteration) as end:
        work.send(choice)
    assert end.value.value == ladder[wanted]


def test_what_was_chosen_before_a_resume_is_not_looked_at_again():
    """The suspect is asked about the held images when a candidate is, not sooner."""
    asked = []
    at = port()
    at.suspect.register_forward_pre_hook(lambda *_: asked.append(1))
    for work in (
        strongest(at, "stage", "how far", {"only": 0.7}, Right, 0),
        furthest(at, "stage", "how far", {"0": 0.0, "1": 1.0}, lambda _: Right(1), 0),
    ):
        name = next(work).candidates[0]
        with pytest.raises(StopIteration):
            work.send(name)
    assert not asked


class Remembering(nn.Module):
    """Knows every image as it is in memory, and of others so many of ten."""

    def __init__(self, images: Tensor, labels: Tensor, otherwise: float) -> None:
        super().__init__()
        self.images, self.labels, self.otherwise = as_input(images), labels, otherwise

    def forward(self, images: Tensor) -> Tensor:
        known = (images[:, None] == self.images[None]).flatten(2).all(dim=2)
        guess = Right(self.otherwise)(images)
        recalled = nn.functional.one_hot(self.labels[known.int().argmax(dim=1)], 11).float()
        return torch.where(known.any(dim=1, keepdim=True), recalled, guess)


def test_what_a_suspect_remembers_of_the_held_images_is_not_held_against_a_student():
    """Both know seven of ten images, the suspect the held ones by heart as well: nothing is lost by forgetting them."""
    edges = torch.zeros(10, 3, 8, 8, dtype=torch.uint8)
    edges[:, :, 1:-1, 1:-1] = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1)
    edges[:, :, 4, 0] = 200  # moved by a pixel, it is another image
    held = LabeledImages(edges, torch.arange(10))
    at = Port(Remembering(edges, held.labels, 0.7), held, held, 11, (), CPU, 0)
    work = strongest(at, "stage", "how far", {"only": 0.7}, Right, 0)
    ask = next(work)
    assert ask.score("only") > -10  # copies that are not moved at all, one in 9, are still remembered
    plain = (at.suspect(as_input(edges)).argmax(1) == held.labels).float().mean()
    assert plain == 1


def test_the_copies_of_held_images_are_moved_and_mirrored_only_where_that_keeps_the_label():
    images = torch.zeros(30, 3, 9, 9, dtype=torch.uint8)
    images[:, :, 4, 3] = 255
    held = LabeledImages(images, torch.zeros(30, dtype=torch.int64))
    for mirror, columns in ((False, range(2, 5)), (True, range(2, 7))):
        made = copies(Port(Right(1), held, held, 11, (), CPU, 0, mirror))
        assert len(made) == COPIES and all(each.shape == images.shape for each in made)
        rows_and_columns = torch.cat(made)[:, 0].nonzero()
        assert len(rows_and_columns) == COPIES * 30
        assert set(rows_and_columns[:, 1].tolist()) == set(range(3, 6))
        assert set(rows_and_columns[:, 2].tolist()) == set(columns)
    assert all(map(torch.equal, made, copies(Port(Right(1), held, held, 11, (), CPU, 0, True))))


@pytest.mark.parametrize("name", ["wrn-10-1", "resnet-18@0.125", "vgg-11@0.125"])
def test_dormant_is_what_the_last_activation_leaves_dormant_and_cut_off_is_dead(name):
    network = settled(models.build(name, 4, 0), as_input(IMAGES))
    reader = reader_of(network, as_input(IMAGES))
    means = activity(network, IMAGES, reader)
    given: list[Tensor] = []
    handle = network.get_submodule(reader.name).register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    with torch.no_grad():
        network(as_input(IMAGES))
    handle.remove()
    torch.testing.assert_close(means, given[0].double().mean(0).view(reader.channels, -1).mean(1))
    assert (means >= 0).all(), "it stands behind a ReLU"
    dormant = means.argsort()[:5]
    cut(network, reader, dormant)
    moved = given[0].clone().view(len(IMAGES), reader.channels, -1)
    moved[:, dormant] += 100
    linear = network.get_submodule(reader.name)
    torch.testing.assert_close(linear(moved.flatten(1)), linear(given[0]))


def test_the_ascent_ends_after_the_pass_in_which_few_were_recognized():
    weight = torch.ones(1, requires_grad=True)
    told = Recognized(4, 0.5, torch.device("cpu"))
    ascent = Ascent([weight], told, steepest=0.5, lr=1.0)

    def step(right: int) -> None:
        told.count(torch.eye(2)[torch.tensor([0, 0])], torch.tensor([0] * right + [1] * (2 - right)))
        weight.grad = torch.tensor([3.0])
        ascent.step()

    for right in (2, 1):
        step(right)
    assert not told.over, "three of four are more than half"
    assert float(weight.detach()) == pytest.approx(0.0, abs=1e-5), "each step is clipped to 0.5"
    for right in (1, 1):
        step(right)
    assert told.over
    after = float(weight.detach())
    weight.grad = torch.tensor([3.0])
    ascent.step()
    assert float(weight.detach()) == after
    again = Recognized(4, 0.5, torch.device("cpu"))
    again.state.copy_(told.state)
    assert again.over


def test_what_is_left_of_a_pruned_network_settles_on_clean_images():
    """Norms behind a dead channel have the statistics of what now reaches them; without settling, those of before."""
    network = settled(models.build("wrn-10-1", 4, 0), as_input(IMAGES))
    clean = LabeledImages(IMAGES, torch.zeros(len(IMAGES), dtype=torch.int64))
    hands = Port(network, clean, clean, 4, (), CPU, 0)
    order = torch.arange(channels_of(network)).flip(0)  # the last norms first
    loose, fixed = (without(hands, order, 100, bias=True, settle=settle) for settle in (Settling(hands), None))
    assert not any(parameter.requires_grad for parameter in loose.parameters())
    for model in (loose, fixed):
        assert not model.bn1.weight.any() and model.block1.layer[0].bn1.weight.all()
    given: list[Tensor] = []
    loose.bn1.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    loose(as_input(IMAGES))
    torch.testing.assert_close(loose.bn1.running_mean, given[0].mean((0, 2, 3)), rtol=1e-2, atol=2e-3)
    assert torch.equal(fixed.bn1.running_mean, network.bn1.running_mean)
    assert not torch.allclose(loose.bn1.running_mean, network.bn1.running_mean, rtol=1e-2, atol=2e-3)


def test_norms_keep_what_they_were_trained_on_where_nothing_is_pruned():
    """Other images than the clean ones: augmented, some of them poisoned."""
    network = settled(models.build("wrn-10-1", 4, 0), as_input(IMAGES.flip(2) // 2))
    clean = LabeledImages(IMAGES, torch.zeros(len(IMAGES), dtype=torch.int64))
    hands = Port(network, clean, clean, 4, (), CPU, 0)
    same = without(hands, torch.arange(channels_of(network)), 0, bias=False, settle=Settling(hands))
    for name, value in network.state_dict().items():
        assert torch.equal(same.state_dict()[name], value)


def test_every_count_is_tried_where_there_are_few():
    assert rungs(5, 16) == {f"{count}/16": count for count in range(6)}
    assert len(rungs(TRIED, 99)) == TRIED + 1


def test_of_many_some_are_tried_close_together_at_first_and_the_last_among_them():
    counts = list(rungs(4_800, 5_000).values())
    assert counts[0] == 0 and counts[-1] == 4_800 and len(counts) <= TRIED + 1
    steps = [after - before for before, after in itertools.pairwise(counts)]
    assert min(steps) >= 1 and steps[-1] > 10 * steps[0]
