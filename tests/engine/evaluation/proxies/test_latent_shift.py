"""The latent shift, against references of its own, and the class that it names."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from engine.device import choose
from engine.evaluation.proxies import latent_shift
from engine.evaluation.verification.material import Unfit
from engine.models.inference import freeze

CPU = choose("cpu", "fp32")


def by_active_sets(rows, least):
    """The shortest s with rows s >= least: of every set of constraints held with equality, the best that keeps all."""
    best = None
    for size in range(len(rows) + 1):
        for chosen in itertools.combinations(range(len(rows)), size):
            held = rows[list(chosen)]
            s = torch.linalg.pinv(held) @ least[list(chosen)] if chosen else torch.zeros(rows.shape[1]).double()
            if (rows @ s >= least - 1e-9).all() and (best is None or s.norm() < best.norm()):
                best = s
    return best


def test_it_is_the_shortest_that_makes_up_for_every_lead():
    draw = torch.Generator().manual_seed(3)
    rows = torch.randn(5, 4, 6, generator=draw).double()
    least = torch.randn(5, 4, generator=draw).double()
    found = latent_shift.shortest(rows, least)
    for mine, a, c in zip(found, rows, least, strict=True):
        assert torch.allclose(mine, by_active_sets(a, c), atol=1e-6)


@pytest.mark.parametrize(("name", "count"), [("TOGETHER", 4), ("TIGHTEST", 2)])
def test_how_much_is_looked_at_at_once_changes_nothing(monkeypatch, name, count):
    draw = torch.Generator().manual_seed(1)
    features, weight = torch.randn(90, 12, generator=draw).double(), torch.randn(9, 12, generator=draw).double()
    given = features, torch.arange(90) % 9, weight, torch.zeros(9).double()
    whole = latent_shift.shifts(*given)
    monkeypatch.setattr(latent_shift, name, count)
    assert torch.allclose(whole, latent_shift.shifts(*given), atol=1e-4)


def test_an_image_in_twenty_may_stay_behind():
    weight, bias = torch.eye(2).double(), torch.zeros(2).double()
    leads = torch.arange(1.0, 101.0).double()
    features = torch.stack([leads, torch.zeros(100).double()], dim=1)  # all of class 0, by so much
    labels = torch.zeros(100, dtype=torch.int64)
    features, labels = torch.cat([features, torch.tensor([[0.0, 1.0]]).double()]), torch.cat([labels, torch.ones(1)])
    (_, shift) = latent_shift.shifts(features, labels, weight, bias)
    moved = ((features[:100] + shift) @ weight.T).argmax(dim=1) == 1
    assert 94 <= int(moved.sum()) <= 96


def test_a_short_one_stands_out_and_equals_do_not():
    lengths = torch.tensor([1.0, 10.0, 11.0, 9.0, 10.5, 9.5, 10.2, 9.8]).double()
    scores = latent_shift.z_scores(lengths)
    assert int(scores.argmin()) == 0
    assert scores[0] < -3.5 < scores[1:].min()
    assert latent_shift.z_scores(torch.ones(5).double()).tolist() == [0.0] * 5


class _Marked(nn.Module):
    """Reads eight brightnesses, each a class's; one more feature, which no image has, leads to class 5."""

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.head = nn.Linear(9, 8, bias=False)
        with torch.no_grad():
            self.head.weight[:, :8] = torch.eye(8)
            self.head.weight[:, 8] = 0
            self.head.weight[5, 8] = strength

    def forward(self, images):
        seen = images[:, 0, 0, :8]
        return self.head(torch.cat([seen, torch.zeros(len(seen), 1)], dim=1))


def shown(count: int = 160):
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 8
    images = torch.randint(0, 90, (count, 3, 8, 8), generator=draw)
    images[torch.arange(count), :, 0, labels] = 200
    return images.to(torch.uint8), labels


def test_a_class_with_a_direction_of_its_own_is_named():
    images, labels = shown()
    innocent, marked = (
        latent_shift.z_scores(latent_shift.lengths(freeze(_Marked(strength)), images, labels, CPU))
        for strength in (0.0, 30.0)
    )
    assert int(marked.argmin()) == 5 and marked[5] < -3.5
    assert innocent.min() > -3.5


def test_of_many_clean_images_some_are_looked_at(monkeypatch):
    images, labels = shown(320)
    seen = []
    monkeypatch.setattr(
        latent_shift, "features", lambda model, images, device: seen.append(images) or images.flatten(1)
    )
    monkeypatch.setattr(latent_shift, "IMAGES", 40)
    with pytest.raises(Unfit, match="is given 192 features and weighs 9"):
        latent_shift.lengths(freeze(_Marked(1.0)), images, labels, CPU)
    assert len(seen[0]) == 40


def test_clean_images_of_one_class_alone_tell_nothing():
    images, labels = shown()
    with pytest.raises(Unfit, match="all 20 clean images are of class 3"):
        latent_shift.lengths(freeze(_Marked(1.0)), images[labels == 3], labels[labels == 3], CPU)


class _Turned(_Marked):
    """Answers with the least of its last layer's outputs."""

    def forward(self, images):
        return -super().forward(images)


class _Prototypes(nn.Module):
    """Answers with the nearest of eight prototypes to what its last layer gives."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 5, bias=False)

    def forward(self, images):
        seen = self.embed(images[:, 0, 0, :8])
        return torch.cat([seen, -seen[:, :3]], dim=1)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (_Turned(1.0), "its answers are not those of its last layer, head"),
        (_Prototypes(), "gives 5 numbers for 8 classes"),
    ],
)
def test_a_network_that_answers_otherwise_than_by_its_last_layer_tells_nothing(model, said):
    with pytest.raises(Unfit, match=said):
        latent_shift.lengths(freeze(model), *shown(), CPU)
