"""The columns of the laboratory's book: each reads its own place in a run, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest

from nadtui.runs.columns import COLUMNS, cells, differing, sources


def stage(name: str, role: str, defense: str, first: float, **more: Any) -> dict[str, Any]:
    """A stage's entry in a summary, its four figures and its seconds all different."""
    figures = {figure: first + step / 10 for step, figure in enumerate(("acc", "asr", "ra", "base", "seconds"))}
    return {"stage": name, "role": role, "defense": defense, "cached": False, **figures, **more}


def summary(*stages: dict[str, Any]) -> dict[str, Any]:
    return {
        "config_sha256": "a hash",
        "run": "20260101-120000-a-b-s3",
        "preset": "a preset",
        "recipe": "a recipe",
        "dataset": {"name": "a data set", "classes": 901, "train": 902, "test": 903, "clean": 904},
        "model": {"name": "a network", "parameters": 905},
        "seed": 906,
        "device": "a device",
        "seconds": 907.0,
        "environment": {
            "nadtui": "0.9.1",
            "python": "3.99",
            "torch": "2.99",
            "cpu": "a processor",
            "cores": 908,
            "threads": 909,
            "precision": "fp32",
        },
        "stages": list(stages),
    }


CONFIG = {"seed": 3, "attack": {"name": "an attack", "seed": 7}, "training": {"epochs": 12}}
VERIFIED = {
    "retuning": {"figures": {"asr_before": 60.1, "asr_after": 60.2}, "control": {"asr_after": 60.3}},
    "linear-path": {"figures": {"t50": 0.61}, "control": {"t50": 0.65}},
    "existence": {"figures": {"similarity": 0.62, "coefficient": 0.63}, "control": {"similarity": 0.64}},
    "perturbation": {"figures": {"asr": 60.5, "alone": 60.6}, "control": {"asr": 60.7}},
}
SUSPECT = stage("suspect's", "suspect", "", 10, image_steps=70_000, shadow={"mask": 71.0})
REFERENCE = stage("reference's", "reference", "one", 20, image_steps=7_000)
TRIED = {"mask": 72.0, "perturbation": 73.0}
TRIAL = stage("trial's", "reference", "one", 40, image_steps=7, chosen=[{"what": "reach", "choice": "0.7"}])
PURIFIED = stage("purified's", "purified", "one", 30, image_steps=700, shadow=TRIED, verified=VERIFIED)


TAUGHT = {"defenses": {"nad": {"teacher": {"file": "defense:fst"}}, "fst": {"reg": 0.5}, "clp": {"u": 3}}}
"""What is said of a defense, of the one that makes its teacher, and of another."""


def test_the_seed_of_a_suspect_of_the_zoo_is_its_own():
    told = {**summary(SUSPECT, PURIFIED), "suspect": {"source": "zoo", "name": "sig-signs-plain-11"}}
    [source] = sources(told, {**CONFIG, "suspect": "zoo"}, CONFIG)
    row = cells(source)
    assert (row["attack.seed"], row["suspect"]) == (11, "sig-signs-plain-11")
    assert "differs" not in row  # where the suspect is from has a column of its own
    [source] = sources(summary(SUSPECT, PURIFIED), {**CONFIG, "suspect": "mine.pt"}, CONFIG)
    assert cells(source)["differs"] == ['suspect="mine.pt"']


def test_no_column_reads_its_neighbors_place():
    """In this record no two values are equal, so that each cell tells where it was read."""
    [source] = sources(summary(SUSPECT, TRIAL, REFERENCE, PURIFIED), CONFIG, {})
    found = cells(source)
    assert found == {
        "config": "a hash",
        "run": "20260101-120000-a-b-s3",
        "data": "a data set",
        "preset": "a preset",
        "network": "a network",
        "defense": "one",
        "recipe": "a recipe",
        "differs": ['attack.name="an attack"', "training.epochs=12"],
        "attack.seed": 7,
        "seeds": [3],
        "acc.before": 10.0,
        "acc.teacher": 20.0,
        "acc.after": 30.0,
        "asr.before": 10.1,
        "asr.teacher": 20.1,
        "asr.after": 30.1,
        "ra.before": 10.2,
        "ra.teacher": 20.2,
        "ra.after": 30.2,
        "base.before": 10.3,
        "base.teacher": 20.3,
        "base.after": 30.3,
        "shadow": 72.0,
        "retuned": 60.2,
        "retuned.clean": 60.3,
        "t50": 0.61,
        "t50.clean": 0.65,
        "existence": 0.63,
        "woken": 60.5,
        "woken.clean": 60.7,
        "chosen": "reach 0.7",
        "image_steps": 7_707,
        "seconds": 101.6,
        "seconds.attack": 10.4,
        "seconds.defense": 91.2,
        "machine": "a processor",
        "precision": "fp32",
        "threads": 909,
        "version": "0.9.1",
    }
    assert len({str(value) for value in found.values()}) == len(found)
    assert list(found) == [name for name in COLUMNS if name in found]


def test_every_column_that_a_run_knows_is_found_in_one():
    told = {**summary(SUSPECT, TRIAL, REFERENCE, PURIFIED), "suspect": {"source": "zoo", "name": "a-b-7"}}
    [source] = sources(told, CONFIG, {})
    assert {name for name, column in COLUMNS.items() if column.source} == set(cells(source))


def test_every_cell_is_of_its_columns_kind():
    [source] = sources(summary(SUSPECT, REFERENCE, PURIFIED), CONFIG, {})
    assert all(COLUMNS[name].takes(value) for name, value in cells(source).items())
    assert not COLUMNS["threads"].takes(True) and not COLUMNS["acc.after"].takes("80")


def test_each_purified_model_has_a_row_with_its_own_reference():
    other = stage("other's", "purified", "other", 40)
    measurement = stage("measured", "measurement", "one", 50)
    rows = [cells(s) for s in sources(summary(SUSPECT, REFERENCE, PURIFIED, other, measurement), CONFIG, {})]
    assert [(row["defense"], row.get("acc.teacher"), row["acc.after"]) for row in rows] == [
        ("one", 20.0, 30.0),
        ("other", None, 40.0),
    ]
    assert rows[1]["seconds"] == 50.8


def test_a_defense_costs_what_that_on_which_it_stands_does_too():
    stages = [SUSPECT, stage("fst", "purified", "fst", 50, image_steps=9_000)]
    stages += [stage("nad", "purified", "nad", 60, image_steps=500), stage("clp", "purified", "clp", 70, image_steps=1)]
    rows = {row["defense"]: row for row in (cells(s) for s in sources(summary(*stages), TAUGHT, {}))}
    assert {name: row["image_steps"] for name, row in rows.items()} == {"fst": 9_000, "nad": 9_500, "clp": 1}
    assert rows["nad"]["seconds.defense"] == pytest.approx(50.4 + 60.4)


def test_a_suspect_alone_is_a_row_without_a_defense():
    [source] = sources(summary(SUSPECT), CONFIG, {})
    row = cells(source)
    assert row["acc.before"] == 10.0 and not {"defense", "acc.after", "seconds.defense"} & set(row)


def test_what_a_run_did_not_train_it_did_not_take_time_for():
    [source] = sources(summary({**SUSPECT, "cached": True}, REFERENCE, PURIFIED), CONFIG, {})
    row = cells(source)
    assert "seconds" not in row and "seconds.attack" not in row and row["seconds.defense"] == 50.8


def test_figures_are_kept_to_a_thousandth():
    [source] = sources(summary({**SUSPECT, "acc": 200 / 3}), CONFIG, {})
    assert cells(source)["acc.before"] == 66.667


def test_without_a_trigger_there_is_no_asr():
    [source] = sources(summary({**SUSPECT, "asr": None}), {"seed": 3, "attack": None}, {})
    row = cells(source)
    assert "asr.before" not in row and row["attack.seed"] == 3


@pytest.mark.parametrize(
    ("config", "defense", "wanted"),
    [
        ({"attack": {"share": [0.3, 0.45]}}, "nad", ["attack.share=[0.3,0.45]"]),
        ({"attack": {"seed": 5}, "seed": 9, "threads": 1, "device": "cpu"}, "nad", []),
        ({"evaluation": {"every": 5}, "data": {"name": "elsewhere", "size": 64}}, "nad", ["data.size=64"]),
        ({"defenses": {"nad": {"beta": None}, "prune": {"share": 0.9}}}, "prune", ["defenses.prune.share=0.9"]),
        ({"training": {"epochs": 8}}, "nad", []),
        (TAUGHT, "nad", ['defenses.nad.teacher.file="defense:fst"', "defenses.fst.reg=0.5"]),
        (TAUGHT, "fst", ["defenses.fst.reg=0.5"]),
    ],
)
def test_differs_is_what_shaped_the_figures_and_is_not_as_shipped(
    config: dict[str, Any], defense: str, wanted: list[str]
):
    shipped = {"attack": {"share": [0.2, 0.45], "seed": None}, "training": {"epochs": 8}}
    assert differing(config, shipped, defense) == wanted
