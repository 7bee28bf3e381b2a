"""From options to a configuration: which defenses, which stages' epochs, and which old names are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.defenses import DEFENSES
from engine.errors import RequestError
from nadtui.runs.request import RunOptions, build_config, check_given
from tests.plugins import installed

SLOW = """
from typing import ClassVar

from engine.defenses.base import Defense


class Slow(Defense):
    name: ClassVar[str] = "slow"
    slow: ClassVar[bool] = True
    rounds: int = 1


class Isolation(Defense):
    name: ClassVar[str] = "isolation"
    needs: ClassVar[frozenset] = frozenset({"poisoned set"})
    share: float = 0.1
"""


@pytest.fixture(scope="module", autouse=True)
def _more_defenses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    entries = {"slow": "nt_more:Slow", "isolation": "nt_more:Isolation"}
    with installed(tmp_path_factory.mktemp("site"), "nt-more", "nadtui.defenses", entries, {"nt_more": SLOW}):
        yield


def names(**options) -> list[str]:
    return list(build_config(RunOptions(**{"preset": "badnets", **options})).defenses)


def refused(**options) -> str:
    with pytest.raises(RequestError) as caught:
        build_config(RunOptions(**{"preset": "badnets", **options}))
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_defenses_are_those_named_in_their_order_or_nad():
    assert names() == ["nad"]
    assert names(defenses=["fine-tuning,nad"]) == ["fine-tuning", "nad"]
    assert names(defenses=["fine-tuning", "nad, slow", "nad"]) == ["fine-tuning", "nad", "slow"]
    assert "unknown defense 'nda'" in refused(defenses=["nda"])


def test_all_defenses_are_those_that_fit_and_are_not_slow(capsys: pytest.CaptureFixture[str]):
    quick = [name for name, kind in DEFENSES.loaded().items() if not kind.slow]
    assert names(defenses=["all"]) == quick
    assert "slow: left out, it is slow; --defense slow adds it" in capsys.readouterr().err
    assert names(defenses=["slow", "all"]) == ["slow", *quick]
    capsys.readouterr()
    without = [name for name in quick if not DEFENSES.get(name).needs]
    assert names(preset="dynamic", defenses=["all"]) == without
    assert "isolation" not in without
    assert "isolation: left out, it needs the poisoned set" in capsys.readouterr().err


def test_with_all_defenses_each_of_them_can_be_set():
    options = RunOptions(
        preset="badnets", defenses=["all"], settings=["defenses.fine-tuning.training.epochs=3"], epochs=["teacher=4"]
    )
    config = build_config(options)
    assert config.defenses["fine-tuning"].training.epochs == 3
    assert config.defenses["nad"].teacher.training.epochs == 4
    assert "--defense slow adds it" in refused(defenses=["all"], settings=["defenses.slow.rounds=2"])


def test_epochs_are_those_of_the_runs_stages():
    both = build_config(
        RunOptions(preset="sig", defenses=["nad,fine-tuning"], epochs=["attack=2", "teacher=3", "fine-tuning=5"])
    )
    assert both.training.epochs == 2
    assert both.defenses["nad"].teacher.training.epochs == 3
    assert both.defenses["fine-tuning"].training.epochs == 5
    text = refused(epochs=["fine-tuning=5"])
    assert "STAGE=N is wanted, one of attack=N, teacher=N, nad=N" in text


def test_old_names_are_refused_with_the_new_ones(tmp_path: Path):
    file = tmp_path / "given.yaml"
    file.write_text("student: trained\n")
    assert "'student' is now 'suspect'" in refused(settings=["student=x"])
    assert "'distill.p' is now 'defenses.nad.distill.p'" in refused(settings=["distill.p=1"])
    assert f"{file}: 'student' is now 'suspect'" in refused(config=file)


def test_a_suspect_from_a_file_needs_no_preset(tmp_path: Path):
    file = tmp_path / "suspect.safetensors"
    file.touch()
    options = RunOptions(suspect=str(file))
    check_given(options)
    config = build_config(options)
    assert (config.attack, config.suspect, config.preset) == (None, str(file), "custom")
    with pytest.raises(RequestError, match="nothing to run"):
        check_given(RunOptions())


def test_a_teacher_is_nads(tmp_path: Path):
    file = tmp_path / "teacher.safetensors"
    file.touch()
    assert build_config(RunOptions(preset="sig", teacher=str(file))).defenses["nad"].teacher.file == str(file)
    assert "--defense nad adds it" in refused(teacher=str(file), defenses=["fine-tuning"])


def test_a_budget_is_that_of_every_defense_which_can_keep_to_one():
    config = build_config(RunOptions(preset="sig", defenses=["nad,unit,fine-tuning"], budget="2.5", epochs=["nad=3"]))
    assert config.defenses["nad"].budget == config.defenses["unit"].budget == 2.5
    assert config.defenses["nad"].distill.training.epochs == 3
    pruned = build_config(RunOptions(preset="sig", defenses=["fine-pruning"], budget="2.5"))
    assert pruned.defenses["fine-pruning"].tolerance == 2.5, "as its source calls it"
    without = build_config(RunOptions(preset="sig", defenses=["nad,unit"], budget="none"))
    assert without.defenses["nad"].budget is None
    assert without.defenses["unit"].budget is not None, "it always keeps to one"
    assert "of fine-tuning, none has a budget of ACC" in refused(budget="2", defenses=["fine-tuning"])
    fixed = {"preset": "sig", "defenses": ["clp,anp"], "settings": ["defenses.clp.spread=3"]}
    assert build_config(RunOptions(**fixed, budget="2")).defenses["anp"].budget == 2
    assert "of clp, none has a budget" in refused(**{**fixed, "defenses": ["clp"]}, budget="2"), "the spread decides"
    assert "of unit, none can do without a budget" in refused(budget="none", defenses=["unit"])
    assert "defenses.nad.budget" in refused(budget="101")
    for budget in ("much", "", "nan", "[1]"):
        assert f"--budget {budget or repr(budget)}: points of ACC are wanted" in refused(budget=budget)


def test_it_is_said_which_defenses_know_no_budget(capsys):
    build_config(RunOptions(preset="sig", defenses=["nad,fine-tuning,ban"], budget="2"))
    assert "--budget 2: without effect on fine-tuning, ban" in capsys.readouterr().err
    build_config(RunOptions(preset="sig", defenses=["nad"], budget="2"))
    assert not capsys.readouterr().err


def test_a_trial_is_as_long_as_what_it_tries():
    budgeted = ["defenses.nad.budget=2"]
    assert "one of attack=N, teacher=N, nad=N" in refused(settings=budgeted, epochs=["trial-nad=1"])


@pytest.mark.parametrize("dataset", ["signs", "gtsrb", "cifar10"])
@pytest.mark.parametrize(
    "given", [{"teacher": "zoo:clean-signs-0"}, {"settings": ["defenses.nad.teacher.model=wrn-10-1"]}]
)
def test_a_student_whose_teacher_is_not_made_of_the_suspect_is_led_as_one_of_a_suspect(capsys, dataset, given):
    """`default` leads a student gently that begins as its teacher: one that begins as the suspect would stay there."""
    config = build_config(RunOptions(preset="sig", dataset=dataset, **given))
    assert config.recipe == "classic"
    assert "recipe classic, as nad does not make its teacher of the suspect itself" in capsys.readouterr().err
    student = config.defenses["nad"].distill
    assert student.start == "suspect" and student.training.lr >= 0.04
    named = build_config(RunOptions(preset="sig", dataset=dataset, recipe="default", **given))
    assert named.recipe == "default"
