"""`nadtui zoo`: the listing, a card, figures measured again, and what is wrong."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from engine import zoo
from engine.events import outcome
from engine.zoo.card import Card
from engine.zookeeping.building import build
from tests.engine.zookeeping.test_building import Small
from tests.nadtui.cli.test_cli import refused, run

SMALL = "badnets-signs-wrn-10-1-5"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, module_cache: Path) -> Path:
    """A zoo of one suspect of a few hundred images."""
    where = tmp_path_factory.mktemp("zoo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.zookeeping.measuring.CHANCES", 0)
        outcome(build(Small("badnets", "signs", 5), where, threads=1))
    return where


@pytest.fixture
def small(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of it, which is the zoo for a test's time."""
    where = shutil.copytree(made, tmp_path / "zoo")
    monkeypatch.setattr(zoo, "folder", lambda: where)
    zoo.cards.cache_clear()
    yield where
    zoo.cards.cache_clear()


def rewritten(where: Path, **changes: object) -> Card:
    """The small zoo's card, changed."""
    zoo.cards.cache_clear()
    card = zoo.cards()[SMALL].model_copy(update=changes)
    card.write(where)
    zoo.cards.cache_clear()
    return card


# --- the listing ---


def test_every_suspect_is_listed_with_its_figures(capsys):
    code, out, err = run(capsys, "zoo")
    head, *lines = out.splitlines()
    assert (code, err) == (0, "")
    assert head.split() == ["name", "ACC", "ASR", "precision", "made", "preset", "data", "set", "model", "seed"]
    assert [line.split()[0] for line in lines] == sorted(zoo.cards())
    for card, line in zip(zoo.cards().values(), lines, strict=True):
        asr = f"{card.figures['asr'].value:.1f}" if "asr" in card.figures else "-"
        acc = f"{card.figures['acc'].value:.1f}"
        assert line.split() == [
            *(card.name, acc, asr, card.precision, card.made),
            *(card.preset, card.dataset, card.model, str(card.attack_seed)),
        ]


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_no_line_of_it_is_broken_in_a_terminal(capsys, monkeypatch, width):
    drawn = io.StringIO()
    console = Console(file=drawn, width=width)
    monkeypatch.setattr("nadtui.cli.output.show", lambda draw: console.print(draw(width)))
    run(capsys, "zoo")
    _, *lines = drawn.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == sorted(zoo.cards())


def test_the_listing_as_json_says_what_a_script_asks(capsys):
    code, out, err = run(capsys, "zoo", "--json")
    found = {each["name"]: each for each in json.loads(out)}
    assert (code, err) == (0, "")
    assert list(found) == sorted(zoo.cards())
    for card in zoo.cards().values():
        row = found[card.name]
        assert (row["preset"], row["dataset"], row["model"]) == (card.preset, card.dataset, card.model)
        assert (row["attack_seed"], row["precision"], row["sha256"]) == (card.attack_seed, card.precision, card.sha256)
        assert row["acc"] == card.figures["acc"].value
        assert (row["asr"] is None) == (card.preset == "clean")


def test_an_empty_zoo_is_an_empty_list(capsys, small):
    for file in small.iterdir():
        file.unlink()
    assert json.loads(run(capsys, "zoo", "--json")[1]) == []
    assert run(capsys, "zoo")[0] == 0
    assert "'sig-signs-0': it is empty" in refused(capsys, "zoo", "show", "sig-signs-0")


# --- a card ---


@pytest.mark.parametrize("name", ["badnets-signs-0", "clean-cifar10-0", "dynamic-cifar10-0"])
def test_a_card_is_shown_whole(capsys, name):
    code, out, _ = run(capsys, "zoo", "show", name)
    shown, card = yaml.safe_load(out), zoo.card(name)
    figures = {key: f"{each.value:.1f} ({each.low:.1f}-{each.high:.1f})" for key, each in card.figures.items()}
    assert code == 0
    assert shown == {**card.model_dump(mode="json"), "figures": figures}
    _, out, _ = run(capsys, "zoo", "show", name, "--json")
    assert Card.model_validate(json.loads(out)) == card


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "nobody"), "the zoo has no suspect 'nobody'"),
        (("show", "sig-signs-77"), "the zoo has no suspect 'sig-signs-77': sig-signs-0, sig-signs-1, "),
        (("show", ""), "the zoo has no suspect ''"),
        (("show", "../zoo/sig-signs-0"), "the zoo has no suspect"),
        (("show",), "Missing argument 'NAME'"),
        (("measure", "nobody"), "the zoo has no suspect 'nobody'"),
        (("measure", "--dataset", "mars"), "the zoo holds no such suspect"),
        (("measure", "sig-signs-0", "--device", "abacus"), "device = abacus: allowed: auto, cuda, mps, cpu"),
        (("build", "nobody"), "the zoo is to hold no suspect 'nobody'"),
        (("feed",), "feed"),
    ],
)
def test_what_the_zoo_does_not_know_is_one_line(capsys, arguments, said):
    assert said in refused(capsys, "zoo", *arguments)


# --- measured again ---


def test_a_suspect_is_as_its_card_says(capsys, small):
    code, out, _ = run(capsys, "zoo", "measure", SMALL, "--device", "cpu")
    assert code == 0
    assert out.startswith(f"{SMALL}: as its card says; ACC ") and "ASR " in out
    code, out, _ = run(capsys, "zoo", "measure", "--device", "cpu", "--json")
    (row,) = json.loads(out)
    assert (code, row["name"], row["same_images"], row["strayed"]) == (0, SMALL, True, [])
    assert set(row["card"]) == set(row["measured"]) == {"acc", "asr", "ra", "base"}


@pytest.mark.parametrize("figure", ["acc", "asr", "base"])
def test_a_figure_that_strays_is_named_and_ends_with_1(capsys, small, figure):
    figures = dict(zoo.card(SMALL).figures)
    value = 0.0 if figures[figure].low > 0.2 else 99.0
    figures[figure] = figures[figure].model_copy(update={"value": value, "low": value, "high": value + 0.1})
    rewritten(small, figures=figures)
    code, out, _ = run(capsys, "zoo", "measure", SMALL, "--device", "cpu")
    assert code == 1
    assert out.startswith(f"{SMALL}: strays: {figure.upper()};")
    code, out, _ = run(capsys, "zoo", "measure", SMALL, "--device", "cpu", "--json")
    assert (code, json.loads(out)[0]["strayed"]) == (1, [figure])
    # On other images figures may be others: that is said, and no fault.
    rewritten(small, data={**zoo.card(SMALL).data, "fingerprint": "0" * 64})
    code, out, _ = run(capsys, "zoo", "measure", SMALL, "--device", "cpu")
    assert code == 0 and "measured on other images than it was made with" in out


@pytest.mark.parametrize("damage", ["missing", "cut", "card", "renamed"])
def test_a_zoo_with_damage_is_one_line(capsys, small, damage):
    weights, card = small / f"{SMALL}.safetensors", small / f"{SMALL}.json"
    if damage == "missing":
        weights.unlink()
    elif damage == "cut":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "card":
        card.write_text('{"name": 3}')
    else:
        card.rename(small / "other.json")
    zoo.cards.cache_clear()
    said = {"missing": "is missing", "cut": "is not what its card speaks of", "card": "is no card"}
    assert said.get(damage, f"is the card of {SMALL}") in refused(capsys, "zoo", "measure", SMALL, "--device", "cpu")
