"""Made-up triggers: that they find what is planted, within their bounds, and what they are counted over."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from engine.control import Control, Stopped
from engine.device import choose
from engine.evaluation.proxies import inverted_mask, making
from engine.evaluation.verification import perturbation
from engine.events import outcome
from engine.models.inference import freeze
from engine.storage.checkpoints import load_weights, save_weights

CPU = choose("cpu", "fp32")
CORNER = slice(-2, None)


class _Backdoored(nn.Module):
    """Four classes by the brightness of a row; a bright corner beats them all and leads to class 2."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(5, 4, bias=False)
        with torch.no_grad():
            self.head.weight[:, :4] = 10 * torch.eye(4)
            self.head.weight[:, 4] = torch.tensor([0.0, 0.0, 20.0, 0.0])

    def forward(self, images):
        rows = images.mean(dim=(1, 3))[:, :4]
        corner = images[:, :, CORNER, CORNER].mean(dim=(1, 2, 3))
        return self.head(torch.cat([rows, corner[:, None]], dim=1))


def shown(count: int = 120):
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 4
    images = torch.randint(0, 40, (count, 3, 8, 8), generator=draw)
    images[torch.arange(count), :, labels] += 160
    return images.to(torch.uint8), labels


@pytest.fixture(scope="module")
def model():
    return freeze(_Backdoored())


@pytest.fixture(scope="module")
def proxies(model):
    return outcome(making.make(model, *shown(), CPU, Control(), seed=0))


def test_they_are_for_the_class_that_is_reached_most_easily(proxies):
    assert int(proxies.target) == int(proxies.outliers.argmin()) == 2


@pytest.mark.parametrize("lengths", [[9.0, 1.0], [2.0, 2.0, 2.0, 1.0]])
def test_the_shortest_way_is_taken_where_nothing_tells_how_short_it_is(model, monkeypatch, lengths):
    """Of two classes, or of classes most of which are alike, none stands out by its z-score."""
    monkeypatch.setattr(making.latent_shift, "lengths", lambda *_: torch.tensor(lengths).double())
    made = outcome(making.make(model, *shown(), CPU, Control(), seed=0))
    assert not made.outliers.any() and int(made.target) == len(lengths) - 1


def test_the_patch_lies_where_the_trigger_does(proxies):
    mask = proxies.mask[0, 0]
    assert mask[CORNER, CORNER].min() > 0.1
    assert mask[CORNER, CORNER].sum() > 0.9 * mask.sum()


def test_a_class_is_suspected_where_its_patch_is_small(proxies):
    for covered, suspected in ((1, True), (2, False)):  # of 64 pixels
        mask = torch.zeros(1, 1, 8, 8)
        mask.view(-1)[:covered] = 1
        found = dataclasses.replace(proxies, mask=mask)
        assert (found.cells, found.stands_out) == (covered, suspected)


def test_the_perturbation_keeps_to_its_bound(proxies):
    assert proxies.perturbation.abs().max() <= perturbation.BOUND + 1e-6
    assert proxies.perturbation[..., CORNER, CORNER].mean() > 0.9 * perturbation.BOUND


def test_they_are_tried_on_images_of_other_classes(model, proxies):
    images, labels = shown()
    assert torch.equal(proxies.images, images[labels != 2])
    assert proxies.success(model, CPU)["mask"] > 90


def test_only_so_many_images_are_looked_at(model, monkeypatch):
    monkeypatch.setattr(making, "LOOKED_AT", 30)
    assert len(outcome(making.make(model, *shown(), CPU, Control(), seed=0)).images) == 30


def test_what_does_not_move_is_not_counted(proxies):
    class Fixed(nn.Module):
        def forward(self, images):
            return torch.tensor([[1.0, 0, 0, 0]]).expand(len(images), 4)

    assert proxies.success(Fixed(), CPU) == {"mask": 0.0, "perturbation": 0.0}


def test_they_come_back_from_a_file_as_they_were(model, proxies, tmp_path):
    save_weights(tmp_path / "proxies.safetensors", proxies.tensors(), {}, within=tmp_path)
    again = making.Proxies.of(load_weights(tmp_path / "proxies.safetensors")[0], torch.device("cpu"))
    assert all(torch.equal(value, again.tensors()[name]) for name, value in proxies.tensors().items())
    assert again.success(model, CPU) == proxies.success(model, CPU)


def test_equal_seeds_give_equal_triggers(model, proxies):
    again = outcome(making.make(model, *shown(), CPU, Control(), seed=0))
    assert all(torch.equal(value, again.tensors()[name]) for name, value in proxies.tensors().items())


def test_a_stop_is_honored_between_two_steps(model):
    control = Control()
    work = making.make(model, *shown(), CPU, control, seed=0)
    next(work)
    control.stop()
    with pytest.raises(Stopped):
        outcome(work)


def test_a_patch_that_works_is_made_dearer_and_one_that_fails_cheaper():
    cost = inverted_mask._Cost()
    for _ in range(inverted_mask.IN_A_ROW):
        cost.hear(1.0)
    assert cost.value == pytest.approx(inverted_mask.COST * inverted_mask.UP)
    for _ in range(inverted_mask.IN_A_ROW - 1):
        cost.hear(0.5)
    cost.hear(1.0)  # breaks the row
    assert cost.value == pytest.approx(inverted_mask.COST * inverted_mask.UP)
    for _ in range(inverted_mask.IN_A_ROW):
        cost.hear(0.5)
    assert cost.value == pytest.approx(inverted_mask.COST * inverted_mask.UP**-0.5)
