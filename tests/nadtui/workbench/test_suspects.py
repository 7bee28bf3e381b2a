"""Whence a new run's suspect may come, as the form offers it; without a widget."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from engine import zoo
from engine.errors import RequestError
from engine.events import TRAINED, ZOO
from nadtui.runs.request import RunOptions, build_config
from nadtui.workbench.form import RunForm, told
from nadtui.workbench.suspects import choose, described, suspects

BOTH = (("trained", TRAINED), ("from the zoo", ZOO))


def offered(form: RunForm):
    given = next((field.value for field in form.fields() if field.path == "suspect"), TRAINED)
    return suspects(form, given)


@pytest.mark.parametrize(("preset", "dataset"), [("badnets", ""), ("sig", "signs"), ("trojan", "cifar10")])
def test_the_zoo_is_offered_with_its_figures_day_and_precision(preset, dataset):
    choice = offered(RunForm(preset=preset, dataset=dataset))
    card = zoo.card(f"{preset}-{dataset or 'signs'}-0")
    assert (choice.chosen, choice.choices) == (TRAINED, BOTH)
    assert choice.of_the_zoo == described(card)
    figures = [f"{card.figures[name].value:.1f}" for name in ("acc", "asr")]
    assert all(said in choice.of_the_zoo for said in (*figures, "fp32", card.made))


def test_of_a_suspect_without_a_trigger_there_is_acc_alone():
    card = zoo.card("clean-cifar10-0")
    assert "ASR" not in described(card) and "ACC" in described(card)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (RunForm(preset="badnets", settings={"attack.seed": "9"}), "not in the zoo: badnets-signs-9"),
        (RunForm(preset="badnets", settings={"model.name": "wrn-10-1"}), "not in the zoo: badnets-signs-wrn-10-1-0"),
        (
            RunForm(preset="badnets", settings={"attack.poisoning_rate": "0.2"}),
            "attack.poisoning_rate = 0.2: badnets-signs-0 of the zoo was made with 0.1",
        ),
        (RunForm(preset="badnets", dataset="nowhere"), ""),
        (RunForm(preset="badnets", settings={"attack.size": "much"}), ""),
    ],
)
def test_what_the_zoo_has_not_is_not_offered(form, said):
    choice = offered(form)
    assert (choice.choices, choice.of_the_zoo) == (BOTH[:1], said)


def test_a_choice_that_stopped_to_fit_stays_in_sight_and_is_refused():
    form = choose(RunForm(preset="badnets"), ZOO).with_setting("attack.seed", "9")
    choice = offered(form)
    assert (choice.chosen, choice.choices) == (ZOO, BOTH)
    with pytest.raises(RequestError, match="no suspect 'badnets-signs-9'"):
        form.config()


@pytest.mark.parametrize("of_cifar", [False, True])
def test_choosing_the_zoo_is_the_option_of_the_command_line(of_cifar):
    form = choose(RunForm(preset="badnets", dataset="cifar10" if of_cifar else ""), ZOO)
    words = shlex.split(form.command())
    assert words[words.index("--suspect") + 1] == "zoo"
    options = RunOptions(preset="badnets", dataset="cifar10" if of_cifar else None, suspect="zoo", seed=0)
    assert form.config() == build_config(options)
    assert told(form.config()).endswith(f", from the zoo: badnets-{'cifar10' if of_cifar else 'signs'}-0")


def test_what_is_trained_is_left_unsaid_unless_a_file_says_otherwise(tmp_path: Path):
    form = choose(choose(RunForm(preset="sig"), ZOO), TRAINED)
    assert form == RunForm(preset="sig") and "--suspect" not in form.command()
    file = tmp_path / "mine.yaml"
    file.write_text(choose(RunForm(preset="sig"), ZOO).config().to_yaml())
    own = RunForm(recipe="", config_file=file)
    assert offered(own).chosen == ZOO
    trained = choose(own, TRAINED)
    assert trained.config().suspect == TRAINED and "--suspect trained" in trained.command()


@pytest.mark.parametrize("quote", ["", "'"])
def test_what_was_typed_is_a_choice_of_its_own(tmp_path: Path, quote: str):
    file = tmp_path / "given one.pt"
    file.touch()
    for source, name in ((str(file), "given one.pt"), ("zoo:sig-signs-0", "zoo:sig-signs-0")):
        choice = offered(RunForm(preset="sig").with_setting("suspect", f"{quote}{source}{quote}"))
        assert (choice.chosen, choice.choices) == (source, (*BOTH, (name, source)))
