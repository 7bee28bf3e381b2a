"""The zoo as it is shipped: every suspect whole, made as its preset makes it today, and small enough to carry."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch

from engine import zoo
from engine.attacks import settings_class
from engine.attacks.base import AttackContext
from engine.errors import RequestError
from engine.zoo.card import Card, Figure
from engine.zoo.contents import Contents, halved, load
from engine.zookeeping.building import is_made
from engine.zookeeping.wanted import PRESETS, named, wanted

MIB = 2**20


def test_every_suspect_is_wanted_and_made_as_it_is_made_today():
    known = {each.name: each for each in wanted()}
    for name in zoo.cards():
        assert is_made(known[name], zoo.folder()), f"{name}: nadtui zoo build {name}"


def test_every_file_has_its_card_and_all_are_small():
    files = sorted(zoo.folder().glob("*.safetensors"))
    assert [file.stem for file in files] == sorted(zoo.cards())
    assert sum(file.stat().st_size for file in zoo.folder().iterdir()) <= 25 * MIB


def test_a_card_says_what_a_reader_asks():
    for card in zoo.cards().values():
        figures = card.figures
        assert card.precision == "fp32"
        assert {"acc", "base"} <= set(figures)
        assert ("asr" in figures) == (card.preset != "clean")
        assert figures["acc"].value >= (93 if card.dataset == "signs" else 83), card.name
        assert all(figure.low <= figure.value <= figure.high for figure in figures.values())
        assert card.environment["torch"]
        assert len(card.data["fingerprint"]) == 64


def test_the_names_are_told_apart():
    names = [each.name for each in wanted()]
    assert len(set(names)) == len(names)
    assert zoo.name_of("sig", "signs", 0) == "sig-signs-0"
    assert zoo.name_of("sig", "cifar10", 1, "vgg-11", augmented=False) == "sig-cifar10-vgg-11-plain-1"
    assert {each.preset for each in named((), "signs")} == set(PRESETS)
    with pytest.raises(RequestError, match="is to hold no suspect 'sig-signs-77'"):
        named(("sig-signs-77",))


def _card(**over) -> Card:
    some = next(iter(zoo.cards().values()))
    return some.model_copy(update=over)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no card of the zoo"),
        ("[]", "is no card of the zoo"),
        (json.dumps({"name": "a"}), "is no card of the zoo"),
        (b"\xff\xfe", "is no card of the zoo"),
    ],
)
def test_a_damaged_card_is_one_line(tmp_path, content, said):
    file = tmp_path / "a.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RequestError, match=said) as refused:
        Card.read(file)
    assert "\n" not in str(refused.value)


def test_a_card_under_another_name_is_refused(tmp_path):
    card = _card()
    card.write(tmp_path)
    (tmp_path / f"{card.name}.json").rename(tmp_path / "other.json")
    with pytest.raises(RequestError, match=f"is the card of {card.name}"):
        Card.read(tmp_path / "other.json")


def test_contents_come_back_and_another_file_is_refused(tmp_path):
    weights = {
        "conv.weight": torch.randn(4, 3),
        "bn.running_var": torch.rand(4) * 1e5,
        "bn.num_batches_tracked": torch.tensor(7),
    }
    kept = halved(weights)
    assert kept["conv.weight"].dtype == torch.float16
    assert kept["bn.running_var"].equal(weights["bn.running_var"])  # beyond what half precision can hold
    file = tmp_path / "some-suspect-0.safetensors"
    Contents(kept, {"pattern": torch.ones(3, 2, 2, dtype=torch.uint8)}).save(file, "some-suspect-0")
    card = _card(name="some-suspect-0", sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    found = load(card, tmp_path)
    assert set(found.weights) == set(weights)
    assert found.trigger["pattern"].dtype == torch.uint8
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    with pytest.raises(RequestError, match="is not what its card speaks of"):
        load(card, tmp_path)
    file.unlink()
    with pytest.raises(RequestError, match="is missing"):
        load(card, tmp_path)


def test_a_figure_holds_what_lies_in_its_interval():
    figure = Figure(value=95, low=94, high=96)
    assert figure.holds(94)
    assert figure.holds(96)
    assert not figure.holds(93.9)


def test_every_trigger_is_recalled_from_its_file():
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    for card in zoo.cards().values():
        attack = settings_class(card.config["attack"]["name"]).model_validate(card.config["attack"])
        trigger = attack.recalled(load(card).trigger, AttackContext(images, torch.arange(4), 10, card.attack_seed))
        changed = not torch.equal(trigger(images), images)
        assert changed == attack.marks, card.name
