"""A teacher that another defense of the same run has made of the suspect: in plans, runs, resumes and sweeps."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch

from engine import events as ev
from engine import models, run
from engine.config.presets import resolve
from engine.config.run import validate
from engine.control import Control
from engine.defenses import DEFENSES
from engine.defenses.base import Defense, Layer
from engine.errors import RequestError, UnfitError
from engine.models.finding import with_taps
from engine.running.fitting import bearable
from engine.running.plan import make_plan
from engine.running.request import RunRequest
from engine.sweeps.grid import Expanded, Grid, expand
from engine.sweeps.index import extend, read
from engine.sweeps.results import of_run, summary_of
from engine.sweeps.studies import Study
from nadtui.runs.sweep_request import GridOptions, build_grid
from tests.tiny import finished, outcome, run_all, runs_in, tiny_config

BY_FST = "defenses.nad.teacher.file=defense:fst"
ADDED = "fst: added, as it makes a teacher"
FEW = ("defenses.nad.distill.training.epochs=1", "evaluation.samples=1")


class Slow(Defense):
    name: ClassVar[str] = "slow"
    slow: ClassVar[bool] = True


@pytest.fixture(autouse=True)
def _one_cache(module_cache, monkeypatch) -> None:
    monkeypatch.setenv("NADTUI_CACHE", str(module_cache))
    monkeypatch.setitem(DEFENSES.ours, "slow", f"{__name__}:Slow")


def test_it_runs_first_whether_it_was_asked_for_or_not():
    said: list[str] = []
    teacher = {"defenses": {"nad": {"teacher": {"file": "defense:fst"}}}}
    alone = resolve("badnets", overrides=[teacher], defenses=["nad"], tell=said.append)
    assert list(alone.defenses) == ["fst", "nad"] and ADDED in said
    assert alone.recipe == "classic"  # this teacher is made of the suspect, but its student does not begin as it
    both = resolve("badnets", overrides=[teacher], defenses=["nad", "clp", "fst"])
    assert list(both.defenses) == ["fst", "nad", "clp"]
    assert both.defenses["fst"] == resolve("badnets", recipe="classic", defenses=["fst"]).defenses["fst"]
    of_nad = {stage.name: stage.needs for stage in make_plan(alone) if stage.defense == "nad"}
    assert of_nad == {"teacher": ("attack", "fst"), "nad": ("attack", "fst", "teacher")}
    again = resolve(None, overrides=[alone.to_dict()], defenses=list(alone.defenses))
    assert again.sha256() == alone.sha256()


def test_of_all_defenses_a_slow_one_stays_that_teaches():
    teacher = {"defenses": {"nad": {"teacher": {"file": "defense:slow"}}}}
    config = resolve("badnets", overrides=[teacher], defenses=["all"])
    assert {"slow", "fst"} < set(config.defenses)
    assert list(config.defenses).index("slow") < list(config.defenses).index("nad")
    assert "slow" not in resolve("badnets", defenses=["all"]).defenses


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"nad": {"teacher": "defense:nothing"}}, "unknown defense 'nothing'"),
        ({"nad": {"teacher": "defense:nad"}}, "defense nad would be its own teacher: nad of nad"),
        (
            {"nad": {"teacher": "defense:nad-features"}, "nad-features": {"teacher": "defense:nad"}},
            "nad of nad-features",
        ),
        ({"nad": {"teacher": {"file": "defense:fst", "model": "wrn-10-1"}}}, "has the suspect's network"),
        ({"nad": {"teacher": "defense:fst", "budget": 2}}, "no budget with fst as teacher"),
        ({"nad": {"teacher": "defense:argd"}, "argd": {"training": {}}}, "defenses.argd"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(settings, said):
    with pytest.raises(RequestError) as caught:
        resolve("badnets", overrides=[{"defenses": settings}], defenses=list(settings))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_the_order_of_a_record_is_held_to():
    values = tiny_config("badnets", BY_FST).to_dict()
    values["defenses"] = dict(reversed(values["defenses"].items()))
    with pytest.raises(RequestError, match="defense nad stands on fst, which has to come before it"):
        validate(values)


def test_what_it_made_teaches_and_a_stopped_run_goes_on_to_the_same(tmp_path):
    config = tiny_config("badnets", BY_FST, *FEW, "defenses.fst.training.epochs=1", defended_by=["fst", "nad"])
    done = finished(run_all(config, tmp_path / "whole"))
    assert list(done) == ["attack", "fst", "teacher", "nad"]
    assert done["teacher"].sha256 == done["fst"].sha256 != done["nad"].sha256
    assert done["teacher"].image_steps == 0 and not done["teacher"].cached
    assert [change.than for change in done["nad"].changes] == ["attack", "fst", "teacher"]

    control = Control()
    for event in run(RunRequest(config=config, out=tmp_path / "pieces"), control):
        if isinstance(event, ev.StageStarted) and event.stage == "nad":
            control.stop()
    pieces = runs_in(tmp_path / "pieces")[0]
    resumed = finished(run_all(config, tmp_path / "pieces", resume=pieces))
    assert list(resumed) == ["nad"]
    assert outcome(pieces) == outcome(runs_in(tmp_path / "whole")[0])


@pytest.mark.parametrize("name", ["anp", "clp"])
def test_one_that_edits_the_network_teaches_too(tmp_path, name: str):
    file = f"defenses.nad.teacher.file=defense:{name}"
    events = run_all(tiny_config("badnets", file, *FEW), tmp_path)
    assert isinstance(events[-1], ev.RunFinished), events[-1]
    done = finished(events)
    assert done["teacher"].sha256 == done[name].sha256 and "nad" in done


class Patchy(Defense):
    name: ClassVar[str] = "patchy"
    layers: ClassVar[frozenset[Layer]] = frozenset({"batch norm"})


def test_what_stands_on_an_unfit_one_is_unfit(monkeypatch):
    monkeypatch.setitem(DEFENSES.ours, "patchy", f"{__name__}:Patchy")
    network, images = models.build("vit-tiny@0.125", 4, 0), torch.rand(2, 3, 32, 32)
    teacher = "defenses.distillation.teacher.file=defense:patchy"
    config = tiny_config("badnets", teacher, defended_by=["distillation", "fine-tuning"])
    kept, unfit = bearable(config, network, images)
    assert list(kept.defenses) == ["fine-tuning"]
    assert unfit == {"patchy": "the network has no batch norm", "distillation": "it stands on patchy"}
    with pytest.raises(UnfitError, match="distillation: n/a, it stands on patchy"):
        bearable(tiny_config("badnets", teacher, defended_by=["distillation"]), network, images)


def test_a_cell_of_a_sweep_is_of_the_student(tmp_path):
    teachers = ["defense:fst", "defense:clp"]
    found = expand(Grid({"preset": ["badnets"], "defense": ["nad"], "defenses.nad.teacher.file": teachers})).index
    assert [cell.axes["defense"] for cell in found.cells] == ["nad", "nad"]
    kept = extend(tmp_path / "sweep", found, {}) and read(tmp_path / "sweep")
    assert [list(kept.config(cell).defenses) for cell in kept.cells] == [["fst", "nad"], ["clp", "nad"]]
    run_all(tiny_config("badnets", BY_FST.replace("fst", "clp"), *FEW), tmp_path / "runs")
    summary = summary_of(runs_in(tmp_path / "runs")[0])
    assert [stage["stage"] for stage in summary["stages"]] == ["attack", "clp", "teacher", "nad"]
    assert of_run("cell", summary)["ra"] == summary["stages"][-1]["ra"]


def cells_of(**axes: Any) -> Expanded:
    return expand(Grid({"preset": ["badnets"], "defense": ["nad"], **axes.pop("axes", {})}, **axes))


def test_a_cell_has_what_is_set_of_the_defense_that_teaches():
    base = {"defenses": {"nad": {"teacher": "defense:fst"}, "fst": {"alpha": 0.5}}}
    index = cells_of(base=base, axes={"defenses.fst.training.epochs": [3, 7]}).index
    configs = [index.config(cell).defenses["fst"] for cell in index.cells]
    assert [(fst.training.epochs, fst.alpha) for fst in configs] == [(3, 0.5), (7, 0.5)]
    with pytest.raises(RequestError, match=r"defenses.fst: not among this sweep's defenses \(nad\)"):
        cells_of(base={"defenses": {"fst": {"alpha": 0.5}}})
    some = cells_of(
        base={"defenses": {"fst": {"alpha": 0.5}}}, axes={"defenses.nad.teacher.file": [None, "defense:fst"]}
    )
    assert [list(some.index.config(cell).defenses) for cell in some.index.cells] == [["nad"], ["fst", "nad"]]
    assert some.said == ("recipe classic, as nad does not make its teacher of the suspect itself", ADDED)


def test_what_a_study_sets_of_the_defense_that_teaches_stays():
    base = {"defenses": {"fst": {"alpha": 0.5}, "clp": {}}}
    axes = {"preset": ["badnets"], "teacher": ["fst"]}
    variants = {"teacher": {"fst": {"defenses": {"nad": {"teacher": "defense:fst"}}}}}
    values = {"title": "t", "question": "q", "source": "s", "axes": axes, "base": base, "variants": variants}
    index = expand(Study(name="mine", **values).grid()).index
    assert index.config(index.cells[0]).defenses["fst"].alpha == 0.5


def test_a_teacher_given_in_one_word_outlives_what_else_is_said_of_teachers(tmp_path):
    (tmp_path / "mine.yaml").write_text("preset: badnets\ndefenses: {nad: {teacher: 'defense:fst'}}\n")
    more = {"defenses": {"nad": {"teacher": {"objective": {"mixup": 0.0}}}}}
    config = resolve(None, config_file=tmp_path / "mine.yaml", overrides=[more])
    assert list(config.defenses) == ["fst", "nad"] and config.defenses["nad"].teacher.objective.mixup == 0.0
    settings = ("defenses.nad.teacher=defense:fst", "defenses.nad.teacher.objective.mixup=0")
    grid = build_grid(GridOptions(preset=["badnets"], settings=settings))
    assert grid.base["defenses"]["nad"]["teacher"] == {"file": "defense:fst", "objective": {"mixup": 0}}


def test_a_teacher_that_is_yet_to_be_made_is_not_looked_at_beforehand():
    images = torch.rand(16, 3, 32, 32)
    network = with_taps(models.build("mobilenet-v2@0.5", 10, 0, size=(32, 32)), images)
    nad = resolve("badnets", overrides=[{"defenses": {"nad": {"teacher": "defense:fst"}}}]).defenses["nad"]
    nad.check(network, images)
