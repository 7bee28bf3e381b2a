"""Runs of any number as one table for a paper."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import pytest

from engine.errors import RequestError
from engine.events import RunStarted
from engine.record.state import RunState
from engine.record.view import fold
from nadtui.export.sweeps.formats import of_sweep
from nadtui.runs.digest import Report
from nadtui.runs.paper import report_of
from tests import run_folders


def run(preset: str = "badnets", *, seed: int = 0, attack_seed: int = 0, zoo: str = "", rate: float = 0.1) -> Report:
    """A finished run with NAD and fine-tuning, of another seed, preset or poisoning rate."""
    start, *rest = run_folders.side_by_side()
    assert isinstance(start, RunStarted)
    config = copy.deepcopy(start.config)
    config |= {"preset": preset, "seed": seed}
    config["attack"] |= {"seed": attack_seed, "poisoning_rate": rate}
    name = f"{preset}-{seed}-{attack_seed}"
    start = dataclasses.replace(start, run=name, config=config, zoo={"name": zoo} if zoo else {})
    return Report(Path(name), fold([start, *rest]), RunState.FINISHED)


def test_a_preset_is_a_line_and_a_defense_a_column_after_its_teacher():
    table = report_of([run(), run("sig")]).table
    assert table.columns == ("nad's teacher", "nad", "fine-tuning")
    assert [line[0] for line in table.lines] == ["badnets", "sig", "all"]


def test_subsets_of_one_suspect_are_one_suspect():
    nad = report_of([run(), run(seed=1), run(seed=2), run(attack_seed=1)]).table.groups[0, 1]
    assert nad.figure("acc").count == "2 x 1-3"


def test_files_are_suspects_of_their_own_whatever_the_seed():
    def of(file: str) -> Report:
        report = run()
        report.view.config["suspect"] = file
        return report

    found = report_of([of("a.pt"), of("b.pt"), of("b.pt")])
    assert found.table.groups[0, 1].figure("acc").count == "2 x 1"


def test_a_suspect_of_the_zoo_has_its_seed():
    rows = report_of([run(zoo="badnets-signs-7"), run("sig")]).rows
    assert {row.attack_seed for row in rows if row.preset == "badnets"} == {7}


def test_what_a_preset_stands_for_makes_no_line_of_its_own_but_another_setting_of_it_does():
    assert report_of([run(), run("sig", rate=0.8)]).table.down == ("preset",)
    assert report_of([run(), run(rate=0.2)]).table.down == ("attack.poisoning_rate",)


@pytest.mark.parametrize("form", ["md", "csv", "tex", "json", "html", "svg"])
def test_every_format_names_the_columns(form):
    text = of_sweep(report_of([run(), run("sig")]), form)
    assert "fine-tuning" in text and "sig" in text


def test_latex_has_caption_and_label():
    text = of_sweep(report_of([run(), run("sig")]), "tex")
    assert r"\label{tab:paper}" in text
    assert "suspects" in text.partition(r"\caption{")[2].partition("}")[0]


def test_unfinished_runs_are_refused():
    whole = run()
    with pytest.raises(RequestError, match="finished"):
        report_of([whole, dataclasses.replace(whole, state=RunState.STOPPED)])


def test_runs_whose_teaching_defense_is_set_otherwise_are_other_experiments():
    def taught(epochs: int) -> Report:
        start, *rest = run_folders.side_by_side()
        assert isinstance(start, RunStarted)
        config = copy.deepcopy(start.config)
        config["defenses"]["nad"]["teacher"]["file"] = "defense:fine-tuning"
        config["defenses"]["fine-tuning"] = {"training": {"epochs": epochs}}
        start = dataclasses.replace(start, run=f"taught-{epochs}", config=config)
        view = fold([start, *rest])
        for stage, steps in (("teacher", 0), ("nad", 300), ("fine-tuning", 961)):
            done = view.stages[stage].finished
            assert done is not None
            view.stages[stage].finished = dataclasses.replace(done, image_steps=steps)
        return Report(Path(f"taught-{epochs}"), view, RunState.FINISHED)

    rows = report_of([taught(1), taught(12)]).rows
    told = {(row.defense, row.axes["defenses.fine-tuning.training.epochs"]) for row in rows}
    assert told == {(name, epochs) for name in ("nad's teacher", "nad", "fine-tuning") for epochs in (1, 12)}
    assert {row.image_steps for row in rows if row.defense == "nad"} == {1_261}
