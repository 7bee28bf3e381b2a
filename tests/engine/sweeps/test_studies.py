"""Studies: every one that ships makes sense, and a person's own are read like ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import pytest

from engine.config.run import known_fields
from engine.config.shapes import ALL, shaping
from engine.defenses import DEFENSES
from engine.defenses.d3 import D3
from engine.errors import RequestError
from engine.sweeps.grid import NAMED, expand
from engine.sweeps.studies import list_studies, load_study

OURS = {study.name: study for study in list_studies()}
SMALL = {"seed": [0], "attack_seed": [0]}


@pytest.mark.parametrize("name", OURS)
def test_every_study_makes_sense(name):
    study = OURS[name]
    assert study.question.endswith("?") and study.title and study.source
    known = set(known_fields({"attack": {"name": "badnets"}}))
    assert set(study.axes) <= {*NAMED, *known, *study.variants}
    defenses = [each for each in study.axes["defense"] if each in DEFENSES]
    if "nad" not in defenses:
        pytest.skip("its defenses are not there yet")
    found = expand(study.grid({**SMALL, "preset": study.axes["preset"][:1], "defense": defenses}))
    further = [axis for axis in study.axes if axis not in ("preset", "seed", "attack_seed", "defense")]
    points = len(defenses)
    for axis in further:
        points *= len(study.axes[axis])
    assert len(found.index.cells) == points and not found.left_out
    for published in study.known:
        assert set(published.at) <= set(study.axes)
        assert all(value in (*study.axes[axis], "all") for axis, value in published.at.items())


def test_a_suspect_that_the_zoo_lacks_is_left_out_and_said_so():
    given = {"preset": ["badnets", "wanet"], "attack_seed": [0, 99], "seed": [0], "data.clean_fraction": [0.05]}
    found = expand(OURS["clean-share"].grid(given))
    assert {(cell.axes["preset"], cell.axes["attack_seed"]) for cell in found.index.cells} == {
        *(("badnets", 0), ("wanet", 0)),
    }
    assert any("the zoo has no suspect 'wanet-signs-99'" in why for why in found.left_out)


def test_a_field_that_is_not_there_is_no_suspect_that_the_zoo_lacks():
    with pytest.raises(RequestError, match="pp"):
        expand(OURS["paired"].grid(base={"defenses": {"nad": {"distill": {"pp": 3}}}}))


def test_points_that_differ_are_different_runs():
    cells = expand(OURS["augmentation"].grid({**SMALL, "preset": ["badnets"], "defense": ["nad"]})).index.cells
    assert len({cell.id for cell in cells}) == len(cells) == 6
    # NAD's weights do not concern fine-tuning: one run stands beside all of them.
    beta = expand(OURS["beta"].grid({**SMALL, "preset": ["badnets"]})).index.cells
    assert len({cell.id for cell in beta if cell.axes["defense"] == "fine-tuning"}) == 1
    assert len({cell.id for cell in beta if cell.axes["defense"] == "nad"}) == 8


TEACHER = "defenses.nad.teacher.file"


def flat(values: Mapping, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All fields that a layer of configuration sets, by their dotted paths."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@pytest.mark.parametrize("name", [name for name, study in OURS.items() if "nad" in study.axes["defense"]])
def test_its_runs_of_nad_differ_in_what_it_varies_and_in_nothing_else(name):
    study = OURS[name]
    one = {axis: study.axes[axis][:1] for axis in ("preset", "recipe") if axis in study.axes}
    found = expand(study.grid({**SMALL, **one, "defense": ["nad"]})).index
    axes = {axis for axis in study.axes if axis not in NAMED}
    assert len({cell.id for cell in found.cells}) == len(found.cells) == prod(len(study.axes[axis]) for axis in axes)
    varied = {axis for axis in axes if axis not in study.variants}
    varied |= {path for axis in study.variants.values() for layer in axis.values() for path, _ in flat(layer)}
    fields = [dict(flat(shaping(found.config(cell), ALL))) for cell in found.cells]
    # A defense that teaches comes with its settings.
    teachers = {str(each.get(TEACHER)) for each in fields}
    varied |= {f"defenses.{each.removeprefix('defense:')}." for each in teachers if each.startswith("defense:")}
    different = {path for each in fields for path in each if each[path] != fields[0].get(path)}
    assert {path for path in different if not path.startswith(tuple(varied))} == set()
    for axis in axes - set(study.variants):
        assert any(path.startswith(axis) for path in different)


@pytest.mark.parametrize("name", [name for name, study in OURS.items() if "nad" in study.axes["defense"]])
def test_it_is_classical_nad_that_is_studied(name):
    """Whatever the default recipe does: a gentle student that begins as its teacher would show nothing of it."""
    study = OURS[name]
    found = expand(study.grid({**SMALL, "preset": study.axes["preset"][:1], "defense": ["nad"]})).index
    for cell in found.cells:
        nad = found.config(cell).defenses["nad"]
        assert (nad.distill.start, nad.distill.distance.active) == ("suspect", False)
        if name != "paired":  # whose pairs have the recipe's images
            assert nad.distill.objective.decoys.share == 0
        if name == "paired" or cell.axes.get("teacher") in ("d3", "on decoys"):
            continue
        assert (nad.teacher.distance.active, nad.teacher.objective.decoys.share) == (False, 0)
    if study.axes["dataset"] == ["signs"] and name != "paired":
        assert study.axes["recipe"] == ["classic"] and "classical NAD" in study.setting


def test_fine_tuning_is_nad_without_its_attention_in_the_studies_of_both():
    cells = expand(OURS["clean-share"].grid({**SMALL, "preset": ["badnets"], "data.clean_fraction": [0.05]}))
    settings = {
        cell.axes["defense"]: cells.index.config(cell).defenses[cell.axes["defense"]] for cell in cells.index.cells
    }
    assert settings["fine-tuning"].training == settings["nad"].distill.training
    assert settings["fine-tuning"].objective == settings["nad"].distill.objective


def test_a_variant_is_the_layer_it_stands_for():
    asked = {**SMALL, "preset": ["badnets"], "teacher": ["clean", "wrn-10-2", "d3"]}
    found = expand(OURS["teacher"].grid(asked)).index
    clean, other, taught = (found.config(cell).defenses["nad"].teacher for cell in found.cells)
    assert (clean.file, other.model, other.objective.anchor.weight) == ("zoo:clean-signs-0", "wrn-10-2", 0)
    assert (other.training.epochs, taught.distance, taught.objective.hinge) == (60, D3().distance, 0.1)
    assert taught.training == D3().training
    with pytest.raises(
        RequestError, match="study teacher: teacher = 'x'; allowed: fine-tuned, on decoys, d3, wrn-10-1"
    ):
        OURS["teacher"].grid({"teacher": ["x"]})


def test_the_pairs_differ_in_the_rate_alone():
    found = expand(OURS["paired"].grid({**SMALL, "preset": ["badnets"], "rate": ["0.05"]})).index
    settings = {cell.axes["defense"]: found.config(cell).defenses[cell.axes["defense"]] for cell in found.cells}
    assert settings["nad"].distill.training == settings["fine-tuning"].training
    assert settings["nad"].distill.objective == settings["fine-tuning"].objective
    assert settings["nad"].distill.training.lr == 0.05


MINE = "title: x\nquestion: y\naxes: {preset: [sig]}\n"


def own(folder: Path, text: str) -> None:
    (folder / "studies").mkdir(parents=True, exist_ok=True)
    (folder / "studies" / "mine.yaml").write_text(text)


def test_a_persons_own_study_is_listed_beside_ours(tmp_path, monkeypatch):
    monkeypatch.setenv("NADTUI_PRESETS", str(tmp_path))
    own(tmp_path, "title: Mine\nquestion: What if?\naxes: {preset: [badnets], data.stratified: [true, false]}\n")
    study = load_study("mine")
    assert study.origin.endswith("mine.yaml") and "mine" in [each.name for each in list_studies()]
    cells = expand(study.grid()).index.cells
    assert [cell.axes["data.stratified"] for cell in cells] == [True, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title: x\nquestion: y\naxes: {}", "axes = {}: one axis or more is wanted"),
        ("title: x\nquestion: y\naxes: {preset: []}", "axis preset has no values"),
        ("title: x\naxes: {preset: [sig]}", "'question' is missing"),
        ("title: x\nquestion: y\naxis: {preset: [sig]}\naxes: {seed: [0]}", "unknown field 'axis': did you mean axes"),
        ("title: x\nquestion: y\naxes: {preset: [sig]}\nladder: rate", "no axis of it; allowed: preset"),
        ("title: [", "study mine: not valid YAML"),
        (f"{MINE}base: {{defenses: [nad]}}", "defenses = ['nad']: a table of defenses and their fields is wanted"),
        (f"{MINE}base: {{seed: 3}}", "seed: in a sweep it is --seeds, or the axis seed"),
        (f"{MINE}base: {{preset: sig}}", "preset: in a sweep it is --preset, or the axis preset"),
        (
            f"{MINE}base: {{attack: {{seed: 4}}}}",
            "attack.seed: in a sweep it is --attack-seeds, or the axis attack_seed",
        ),
        (f"{MINE}base: {{threads: 4}}", "threads: in a sweep it is --threads"),
        (f"{MINE}variants: {{v: {{a: {{defenses: [x]}}}}}}", "defenses = ['x']: a table of defenses"),
        (f"{MINE}variants: {{v: {{a: {{seed: 3}}}}}}", "seed: in a sweep it is --seeds"),
        ("title: x\nquestion: y\naxes: {v: [b]}\nvariants: {v: {a: {}}}", "v = 'b'; allowed: a"),
    ],
)
def test_what_is_wrong_with_one_is_said_in_a_line(tmp_path, monkeypatch, text, said):
    monkeypatch.setenv("NADTUI_PRESETS", str(tmp_path))
    own(tmp_path, text)
    with pytest.raises(RequestError) as caught:
        load_study("mine")
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["title: [", f"{MINE}base: {{defenses: [nad]}}"])
def test_a_file_with_a_mistake_does_not_hide_the_others(tmp_path, monkeypatch, text):
    monkeypatch.setenv("NADTUI_PRESETS", str(tmp_path))
    own(tmp_path, text)
    assert {study.name for study in list_studies()} == set(OURS)


def test_an_unknown_study_is_refused():
    with pytest.raises(RequestError, match="unknown study 'clean-shares': did you mean 'clean-share'"):
        load_study("clean-shares")
