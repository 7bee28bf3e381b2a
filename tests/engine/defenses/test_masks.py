"""The core steps of ANP, RNP, NFT and BAN: by hand, or against every mask that four channels can have."""

from __future__ import annotations

import copy
import itertools
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from engine import models
from engine.defenses.anp import Anp
from engine.defenses.ban import Ban
from engine.defenses.base import LabeledImages, Port, Train, Work
from engine.defenses.neurons import by_batch, channels_of, logits_under, norms_of, worst_noise
from engine.defenses.nft import Nft
from engine.defenses.pruning import order_of
from engine.defenses.rnp import Rnp
from engine.defenses.unlearning import Recognized
from engine.device import Device
from engine.models.inference import as_input, freeze
from engine.training.loop import Batch
from tests.engine.defenses.test_neurons import Small
from tests.ports import Driver

CPU = Device(torch.device("cpu"), "fp32")
LABELS = torch.arange(24) % 3


def _images() -> Tensor:
    """Noise, brighter in one color: red, green or blue is the class."""
    noise = torch.randint(0, 150, (24, 3, 8, 8), generator=torch.Generator().manual_seed(1))
    return (noise + 100 * one_hot(LABELS, 3)[:, :, None, None]).to(torch.uint8)


IMAGES = _images()


@pytest.fixture
def network() -> nn.Module:
    """Three channels see a color each, and tell its class; the fourth sees all of them, and says nothing."""
    torch.manual_seed(3)
    made = Small()
    with torch.no_grad():
        made.conv.weight.mul_(0.1)
        for color in range(3):
            made.conv.weight[color, color] += 1 / 9
        made.conv.weight[3] += 1 / 27
        made.fc.weight.zero_()
        made.fc.bias.zero_()
        made.fc.weight[:, :3] = 6 * torch.eye(3)
    by_batch(made)(as_input(IMAGES))
    made.norm.momentum = 1.0
    made(as_input(IMAGES))
    made.norm.momentum = 0.1
    return freeze(made)


@pytest.fixture
def port(network: nn.Module) -> Port:
    """Its clean images, all of them recognized."""
    assert torch.equal(network(as_input(IMAGES)).argmax(1), LABELS)
    seen = LabeledImages(IMAGES, LABELS)
    return Port(network, seen, seen, 3, (), CPU, 0)


def batch_of(port: Port, seed: int = 9) -> Batch:
    return Batch(as_input(port.clean.images), LABELS, torch.Generator().manual_seed(seed))


def edited(network: nn.Module, weight: Tensor, bias: Tensor | None = None) -> nn.Module:
    """A copy whose norm's weights and biases are so many times as large, by plain assignment."""
    made = copy.deepcopy(network)
    with torch.no_grad():
        made.norm.weight.copy_(network.norm.weight * weight)
        made.norm.bias.copy_(network.norm.bias * (1 if bias is None else bias))
    return made


def every_mask() -> list[Tensor]:
    return [torch.tensor(bits, dtype=torch.float32) for bits in itertools.product((0.0, 1.0), repeat=4)]


def test_anp_weighs_the_loss_under_masks_and_that_under_the_worst_noise_on_top(network, port):
    settings, masks = Anp(eps=0.4, alpha=0.2), torch.tensor([1.0, 0.5, 0.0, 0.8])
    model = by_batch(copy.deepcopy(network))
    parts = settings.losses(model, masks, batch_of(port))
    images, labels, draws = as_input(IMAGES), LABELS, torch.Generator().manual_seed(9)
    noise = worst_noise(model, images, labels, draws, eps=0.4, steps=1, weight=masks)
    plain = cross_entropy(by_batch(edited(network, masks))(images), labels)
    noisy = cross_entropy(by_batch(edited(network, masks + noise[0], 1 + noise[1]))(images), labels)
    torch.testing.assert_close(parts["ce"], 0.2 * plain)
    torch.testing.assert_close(parts["noise"], 0.8 * noisy)


def test_anps_masks_silence_what_the_best_of_every_mask_silences(network, port):
    """The fourth channel is dormant on clean images, and of great weight in the head: a little noise wakes it."""
    with torch.no_grad():
        network.norm.weight[3], network.norm.bias[3] = 0.3, -1.0
        network.fc.weight[1, 3] = 400.0
    settings = Anp(steps=60, batch_size=24, lr=0.2, eps=0.4, alpha=0.2)
    model = by_batch(copy.deepcopy(network))

    def loss(mask: Tensor) -> float:
        return sum(float(sum(settings.losses(model, mask, batch_of(port, seed)).values())) for seed in range(8))

    assert min(every_mask(), key=loss).tolist() == [1, 1, 1, 0]
    masks = Driver(settings, port).optimized(settings.masks(port)).masks
    assert masks[3] < 0.6 and (masks[:3] > 0.9).all(), "as low as keeps it dormant under noise"


def test_rnps_recovered_masks_are_the_best_of_every_mask(network, port):
    """Of a model that has unlearned by its fourth channel, which has to be silenced."""
    with torch.no_grad():
        network.fc.weight[1, 3] = 40.0
    model = by_batch(copy.deepcopy(network))

    def loss(mask: Tensor) -> float:
        return float(cross_entropy(logits_under(model, as_input(IMAGES), weight=mask), LABELS))

    best = min(every_mask(), key=loss)
    settings = Rnp(recovering_steps=60, batch_size=24)
    masks = Driver(settings, port).optimized(settings._recovered(port, model)).masks
    assert best.tolist() == [1, 1, 1, 0] and masks.tolist() == best.tolist()


def test_of_masks_at_nought_the_first_there_goes_first_and_features_go_last():
    network = models.build("wrn-10-1", 3, 0)
    clean = LabeledImages(IMAGES, LABELS)
    at = Port(network.eval(), clean, clean, 3, (), CPU, 0)
    names = [name for name, norm in norms_of(network).items() for _ in range(norm.num_features)]
    masks, paths = torch.ones(len(names)), torch.ones(len(names))
    features = [place for place, name in enumerate(names) if name == "bn1"]
    first, second, third = 20, 3, features[0]
    masks[[first, second, third]] = 0
    paths[[first, second, third]] = torch.tensor([0.1, 0.3, 0.2])
    assert order_of(at, masks, paths, features=True)[:3].tolist() == [first, third, second]
    order = order_of(at, masks, paths, features=False).tolist()
    assert order[:2] == [first, second] and order[-len(features)] == third
    assert sorted(order) == list(range(len(names))) and set(order[-len(features) :]) == set(features)


def test_rnp_unlearns_until_few_are_recognized_and_no_further(network, port):
    settings = Rnp(unlearning_steps=200, unlearning_lr=0.05, unlearned=0.2, batch_size=24)
    model = Driver(settings, port).optimized(settings._unlearned(port))
    right = (model(as_input(IMAGES)).argmax(1) == LABELS).float().mean()
    assert right <= 0.2 and channels_of(model) == 4
    before = network.state_dict()
    assert any(not torch.equal(weight, before[name]) for name, weight in model.named_parameters())
    settings = Rnp(unlearning_steps=1, unlearning_lr=1e-9, batch_size=24)
    gentle = Driver(settings, port).optimized(settings._unlearned(port))
    assert (gentle(as_input(IMAGES)).argmax(1) == LABELS).all()


@pytest.mark.parametrize(("window", "steps"), [(8, 1), (16, 2), (512, 3)])
def test_rnps_ascent_is_looked_at_after_every_window(port, monkeypatch, window, steps):
    """Of 24 images in batches of 8, by a share that is always met: it ends at the first look."""
    seen, count = [], Recognized.count
    monkeypatch.setattr(Recognized, "count", lambda *given: (seen.append(0), count(*given))[1])
    settings = Rnp(unlearning_steps=9, unlearned=1.0, batch_size=8, window=window)
    Driver(settings, port).optimized(settings._unlearned(port))
    assert len(seen) == steps


def test_nft_weighs_mixups_loss_and_what_masks_fall_below_one(network, port):
    settings, masks = Nft(mixup=0.0), torch.tensor([1.0, 0.5, 0.25, 1.0])
    model = by_batch(copy.deepcopy(network))
    parts = settings.losses(model, masks, batch_of(port), 0.01)
    hand = cross_entropy(by_batch(edited(network, masks))(as_input(IMAGES)), LABELS)
    torch.testing.assert_close(parts["ce"], hand)
    assert float(parts["masks"]) == pytest.approx(0.01 * 1.25)
    mixed = Nft(mixup=1.0).losses(model, masks, batch_of(port), 0.01)
    assert float(mixed["ce"]) != pytest.approx(float(hand))


@pytest.mark.parametrize(
    ("rates", "budget", "tried", "taken"),
    [((9.0, 1.0), 10.0, 2, "1"), ((9.0, 1.0), 100.0, 1, "9"), ((1.0,), 0.0, 0, "")],
)
def test_nft_takes_the_first_rate_that_keeps_to_its_budget(port, monkeypatch, rates, budget, tried, taken):
    """Under masks of a hundredth, which the larger rate comes to, the fourth channel's bias says one class of all."""
    with torch.no_grad():
        port.suspect.norm.bias[3], port.suspect.fc.weight[1, 3] = 3.0, 0.05
    trained = []

    def masks(self: Nft, at: Port, rate: float, name: str) -> Work[Tensor]:
        trained.append(name)
        yield from ()
        return torch.full((4,), 0.01 if rate == 9 else 1.0)

    monkeypatch.setattr(Nft, "masks", masks)
    driver = Driver(Nft(rates=rates, budget=budget), port)
    driver.run()
    scores = driver.scores.get("rate", {})
    assert trained == ["masks", "masks-1"][: max(1, tried)] and len(scores) == tried
    assert max(scores, key=lambda name: scores[name], default="") == taken


def test_nfts_masks_are_bounded_from_below_by_layer():
    two = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2))
    wanted = [0.8 * math.exp(-0.5)] * 4 + [0.8 * math.exp(-1.0)] * 2
    assert Nft(bound=0.8, fall=0.5).lowest(two).tolist() == pytest.approx(wanted)


def test_ban_adds_the_loss_under_the_worst_noise(network, port):
    settings = Ban(eps=0.3, weight=0.2, objective={"mixup": 0, "anchor": {"weight": 0}})
    ask = next(settings.defend(port))
    assert isinstance(ask, Train)
    parts = ask.objective(copy.deepcopy(network), batch_of(port))
    images, labels, draws = as_input(IMAGES), LABELS, torch.Generator().manual_seed(9)
    noise = worst_noise(copy.deepcopy(network), images, labels, draws, eps=0.3, steps=1)
    noisy = cross_entropy(edited(network, 1 + noise[0], 1 + noise[1])(images), labels)
    torch.testing.assert_close(parts["noise"], 0.2 * noisy)
    torch.testing.assert_close(parts["ce"], cross_entropy(network(images), labels))
