"""The laboratory's book: what ships is true to the presets, what a person adds is read, what is no row is refused."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

from engine import data
from engine.config.layers import merge, parse_override
from engine.config.presets import list_presets, list_recipes, resolve
from engine.errors import RequestError
from nadtui.runs import book
from nadtui.runs.digest import flatten
from nadtui.runs.result_rows import Row, groups, merged

SHIPPED = book.shipped()


def row(**cells) -> Row:
    named = {name.replace("_", "."): value for name, value in cells.items()}
    return Row({"data": "signs", "preset": "sig", "status": "tried", **named})


# What ships


def test_every_row_is_of_a_preset_a_recipe_and_a_data_set_that_there_are():
    assert len(SHIPPED) > 300
    assert {row["preset"] for row in SHIPPED} <= {preset.name for preset in list_presets()}
    assert {row["recipe"] for row in SHIPPED} <= {*list_recipes(), None}
    assert {row["data"] for row in SHIPPED} == set(data.SOURCES)


def _defense(path: str) -> str:
    """`fst` of `defenses.fst.alpha`."""
    return path.split(".")[1] if path.startswith("defenses.") else ""


def test_every_override_is_a_field_and_changes_something():
    """A row that says what the preset says anyway, or a field that is none, is a slip of the pen. A defense that is to
    teach comes along with all that it is set to."""
    for each in SHIPPED:
        texts = each["differs"] or ()
        names = {"dataset": each["data"], "recipe": each["recipe"] or "default", "defenses": [each["defense"] or "nad"]}
        base = dict(flatten(resolve(each["preset"], **names).to_dict()))
        given: dict = {}
        for text in texts:
            given = merge(given, parse_override(text))
        changed = dict(flatten(resolve(each["preset"], **names, overrides=[given]).to_dict()))
        other = {path for path in changed if path not in base or changed[path] != base[path]}
        other -= {path for path in other if path.startswith("defenses.") and _defense(path) not in map(_defense, base)}
        assert other == {text.split("=")[0] for text in texts}


def test_figures_are_percentages_and_a_spread_has_a_mean_over_several_subsets():
    for each in SHIPPED:
        for name, value in each.cells.items():
            if name.endswith(".std"):
                assert each[name.removesuffix(".std")] is not None and each.n > 1
            elif name.partition(".")[0] in ("acc", "asr", "ra", "base"):
                assert 0 <= value <= 100
        assert each["defense"] or each["acc.after"] is each["asr.after"] is None
        assert each["seconds.attack"] is None or each["seconds"] is None or each["seconds"] > each["seconds.attack"]


def test_what_is_no_setting_is_told_in_a_note():
    assert all(each["note"] for each in SHIPPED if each["status"] == "prototype")
    assert not [each for each in SHIPPED if each["status"] == "default" and each["differs"]]


# Filters


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("sig", [0]),  # a preset's whole name: not every data set of signs
        ("signs", [0, 1]),
        ("signs asr<10", [1]),
        ("asr<98", [1]),
        ("acc=95", [2]),  # what is not purified is looked at before
        ("refool -cifar10", [1]),
        ("seeds=11", [1, 2]),
        ("n=2", [2]),
        ("teacher.training.lr=0.2", [1]),
        ("lr>0.1", [1]),
        ("attack.share:0.45", [2]),
        ("crop", [1]),
        ("refoo", []),  # a word is a whole one
        ("refoo*", [1, 2]),
        ("prototype", [2]),
    ],
)
def test_filters(text: str, wanted: list[int]):
    overrides = ["defenses.nad.teacher.training.lr=0.2", "defenses.nad.teacher.training.augment.crop=2"]
    rows = [
        row(asr_after=99.0),
        row(preset="refool", asr_before=99.0, asr_after=4.0, seeds=[11], differs=overrides),
        Row(
            {
                **{"data": "cifar10", "preset": "refool", "status": "prototype", "acc.before": 95, "asr.before": 100},
                **{"seeds": [11, 12], "differs": ["attack.share=[0.3,0.45]"]},
            }
        ),
    ]
    found = book.found(rows, text)
    assert [place for place, each in enumerate(rows) if each in found] == wanted


def test_a_term_that_cannot_be_understood_is_refused():
    with pytest.raises(RequestError, match="a number is wanted"):
        book.found(SHIPPED, "asr<few")


# A person's own


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NADTUI_PRESETS", str(tmp_path))
    return tmp_path


def test_rows_written_down_are_read_after_those_that_ship(own: Path):
    rows = [
        {"status": "tried", "note": "grüße", "data": "My Images.npz", "acc.after": 81.25, "seeds": [4]},
        {"status": "tried", "data": "signs", "threads": 2},
    ]
    files = book.append(rows, own)
    assert files == [own / "results" / "my-images-npz.jsonl", own / "results" / "signs.jsonl"]
    book.append([{"status": "tried", "data": "signs", "threads": 3}], own)
    assert book.read()[: len(SHIPPED)] == SHIPPED
    assert [dict(each.cells) for each in book.read()[len(SHIPPED) :]] == [
        rows[1],
        {**rows[1], "threads": 3},
        rows[0],
    ]


def test_the_shipped_folder_named_as_ones_own_is_read_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NADTUI_PRESETS", str(resources.files("presets")))
    assert book.read() == SHIPPED


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "one JSON object is wanted"),
        ("[1]", "one JSON object is wanted"),
        ('{"status": "tried", "acd.after": 1}', "unknown column 'acd.after'"),
        ('{"status": "tried", "acc.after": "high"}', "a number is wanted"),
        ('{"status": "tried", "threads": true}', "a whole number is wanted"),
        ('{"status": "tried", "seeds": 1}', "a list is wanted"),
        ('{"status": "tried", "note": 1}', "text is wanted"),
        ('{"status": "best"}', "status must be one of default, tried, prototype"),
        ("{}", "status must be one of"),
    ],
)
def test_what_is_no_row_is_refused_with_its_line(own: Path, line: str, said: str):
    (own / "results").mkdir()
    (own / "results" / "signs.jsonl").write_text(json.dumps({"status": "tried"}) + f"\n\n{line}\n")
    with pytest.raises(RequestError, match=r"signs\.jsonl, line 3: ") as caught:
        book.read()
    assert said in str(caught.value)


def test_a_file_that_is_no_text_is_refused(own: Path):
    (own / "results").mkdir()
    (own / "results" / "signs.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(RequestError, match="cannot be read"):
        book.read()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path):
    (tmp_path / "results").write_text("a file")
    with pytest.raises(RequestError, match="cannot write"):
        book.append([{"status": "tried", "data": "signs"}], tmp_path)


# Groups


def test_runs_on_several_clean_subsets_become_mean_and_spread():
    rows = [
        row(**{"seeds": [seed], "acc.before": 95.0, "acc.after": acc, "asr.after": asr, "ra.after": ra})
        for seed, acc, asr, ra in ((2, 81.1, 7.5, 1.0), (0, 81.8, 6.0, None), (1, 82.0, 6.3, 2.0))
    ]
    [group] = groups(rows)
    one = merged(group)
    assert one["seeds"] == [0, 1, 2] and one.n == 3
    assert (one.figures("before"), one.figures("after")) == ("95.0", "81.6 ± 0.5 / 6.6 ± 0.8")
    assert one["ra.after"] is None  # not known of every subset


def test_a_repeated_run_is_no_further_subset():
    first, again = row(seeds=[0], acc_after=81.0, seconds=96), row(seeds=[0], acc_after=81.0, seconds=117)
    assert merged([first, again]).figures("after") == "81.0"


def test_a_row_of_a_mean_stands_for_its_group():
    mean = row(**{"seeds": [0, 1], "acc.after": 81.0, "acc.after.std": 0.5})
    assert merged([row(seeds=[0], acc_after=80.0), mean]) == mean


def test_other_suspects_settings_and_defenses_are_other_groups():
    rows = [row(), row(), row(attack_seed=1), row(differs=["training.epochs=3"]), row(defense="prune")]
    assert [len(group) for group in groups(rows)] == [2, 1, 1, 1]


# How a row is shown


def test_figures_of_a_stage():
    one = row(**{"acc.before": 95.84, "asr.before": 100.0, "asr.teacher": 3.0, "acc.after": 86.7, "base.after": 1.7})
    shown = [one.figures(name) for name in ("before", "teacher", "after")]
    assert shown == ["95.8 / 100.0", "– / 3.0", "86.7 (base 1.7)"]
    assert row().figures("before") == ""


def test_changes_are_gathered_by_section():
    texts = [
        *("attack.selection.rounds=2", "defenses.nad.teacher.training.augment.crop=4", "suspect=RUN/a.safetensors"),
        *("defenses.nad.teacher.objective.anchor.weight=0", "training.epochs=12"),
    ]
    one = row(defense="nad", differs=texts)
    assert one.changes() == (
        "attack: selection.rounds=2; teacher: crop=4 anchor.weight=0; suspect: RUN/a.safetensors; training: epochs=12"
    )


def test_every_column_is_there_in_plain_types():
    plain = row(seeds=[1]).to_dict()
    assert plain["n"] == 1 and plain["acc.after"] is None and json.loads(json.dumps(plain)) == plain
