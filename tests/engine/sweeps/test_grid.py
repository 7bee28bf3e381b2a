"""The cells that a grid comes to, and by what they are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.config.layers import nested
from engine.errors import RequestError
from engine.sweeps import axes, index
from engine.sweeps.grid import Grid, expand
from engine.sweeps.layout import CELLS, write_lines


def ids(base: dict[str, Any] | None = None, **more: Any) -> list[str]:
    return [cell.id for cell in expand(Grid({"preset": ["badnets"], **more}, base or {})).index.cells]


def test_axes_are_multiplied_and_a_cell_has_a_value_of_each():
    found = expand(Grid({"preset": ["badnets", "sig"], "defense": ["nad", "fine-tuning"], "seed": [0, 1, 2]})).index
    assert len({cell.id for cell in found.cells}) == 12
    assert {tuple(cell.axes) for cell in found.cells} == {
        ("preset", "dataset", "model", "defense", "recipe", "seed", "attack_seed")
    }
    for cell in found.cells:
        config = found.config(cell)
        assert (config.preset, config.seed) == (cell.axes["preset"], cell.axes["seed"])
        assert list(config.defenses) == [cell.axes["defense"]]
        assert config.attack_seed == cell.axes["attack_seed"] == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("training.lr", 0.123),
        ("data.clean_fraction", 0.07),
        ("evaluation.images", 77),
        ("defenses.nad.distill.p", 3),
        ("precision", "fp32"),
        ("attack.poisoning_rate", 0.03),
    ],
)
def test_what_shapes_a_result_is_another_cell(field: str, value: Any):
    assert ids(nested(field, value)) != ids()


def test_what_shapes_nothing_is_not():
    own = ids()
    assert ids({"threads": 2}) == own
    assert ids(seed=[0], attack_seed=[0]) == own
    assert ids(attack_seed=[1]) != own


def test_the_suspect_is_the_same_for_all_defenses_and_subsets_and_no_other():
    cells = expand(
        Grid({"preset": ["badnets", "sig"], "defense": ["nad", "fine-tuning"], "seed": [0, 1], "attack_seed": [0, 1]})
    ).index.cells
    by_suspect = {
        cell.suspect: {
            (each.axes["preset"], each.axes["attack_seed"]) for each in cells if each.suspect == cell.suspect
        }
        for cell in cells
    }
    assert len(by_suspect) == 4
    assert all(len(points) == 1 for points in by_suspect.values())


def test_points_that_come_to_the_same_run_share_it():
    found = expand(
        Grid({"preset": ["badnets"], "defense": ["nad", "fine-tuning"], "defenses.nad.distill.p": [1, 2]})
    ).index.cells
    tuned = [cell for cell in found if cell.axes["defense"] == "fine-tuning"]
    assert len(found) == 4 and len({cell.id for cell in found}) == 3
    assert len({cell.id for cell in tuned}) == 1


def test_of_all_presets_what_the_zoo_lacks_is_left_out_and_of_named_ones_refused():
    grid = Grid({"preset": ["badnets", "wanet"], "attack_seed": [0, 99]}, {"suspect": "zoo"}, ["preset"])
    found = expand(grid)
    assert [(cell.axes["preset"], cell.axes["attack_seed"]) for cell in found.index.cells] == [
        *(("badnets", 0), ("wanet", 0))
    ]
    assert sum(found.left_out.values()) == 2
    with pytest.raises(RequestError, match="the zoo has no suspect 'badnets-signs-99'"):
        expand(Grid(grid.axes, grid.base))


@pytest.mark.parametrize(
    ("axes", "base", "said"),
    [
        ({"defense": ["nad", "ndad"]}, {}, "ndad"),
        ({"dataset": ["signs", "sgns"]}, {}, "sgns"),
        ({"attack.poisoning_rate": [0.1, 7]}, {}, "poisoning_rate"),
        ({"defense": ["nad"]}, {"suspect": "zoo", "defenses": {"nad": {"distill": {"pp": 3}}}}, "pp"),
    ],
)
def test_of_all_presets_a_value_that_fits_none_is_a_typo(axes, base, said):
    with pytest.raises(RequestError, match=said):
        expand(Grid({"preset": ["badnets", "sig"], "attack_seed": [0], **axes}, base, ["preset"]))


def test_a_defense_whose_needs_the_suspect_does_not_meet_is_left_out_or_refused():
    axes = {"preset": ["dynamic", "badnets"], "defense": ["abl"]}
    assert [cell.axes["preset"] for cell in expand(Grid(axes, lenient=["preset"])).index.cells] == ["badnets"]
    with pytest.raises(RequestError, match="defense abl: it needs the poisoned set, which is not at hand of"):
        expand(Grid(axes))


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        (Grid({"preset": []}), "the grid is empty: its axis preset has no values"),
        (Grid({"preset": ["badnets"], "seed": range(1000), "attack_seed": range(1001)}), "has 1,001,000 cells"),
        (Grid({"preset": ["badnets"]}, {"defenses": {"fine-tuning": {}}}), r"not among this sweep's defenses \(nad\)"),
        (Grid({"preset": ["badnets"], "defenses.fine-tuning.training.lr": [1]}), "not among this sweep's defenses"),
        (Grid({"preset": ["badnest"]}), "did you mean 'badnets'"),
        (Grid({"preset": ["badnets"], "seed": ["foo"]}), "axis seed: 'foo' is none; whole numbers from 0 on"),
        (Grid({"preset": ["badnets"], "seed": [-1]}), "axis seed: -1 is none"),
        (Grid({"preset": ["badnets"], "seed": [True]}), "axis seed: True is none"),
        (Grid({"preset": ["badnets"], "attack_seed": ["0-2"]}), "axis attack_seed: '0-2' is none"),
        (Grid({"preset": ["badnets"], "attack.seed": [0, 1]}), r"axis attack\.seed: .* called attack_seed"),
        (Grid({"preset": ["badnets"], "data.name": ["signs"]}), r"axis data\.name: .* called dataset"),
        (Grid({"preset": ["badnets"], "threads": [1, 2]}), "axis threads: it shapes no figure"),
        (Grid({"preset": ["badnets"], "defenses.fst": [{}]}), r"axis defenses\.fst: a field of a defense is wanted"),
        (Grid({"preset": ["badnets"], "defenses": [["nad"]]}), "axis defenses: a field of a defense is wanted"),
        (Grid({"preset": ["badnets"], "defense": [["nad"]]}), r"axis defense: \['nad'\] is no name"),
        (Grid({"preset": ["badnets"], "dataset": [None]}), "axis dataset: None is no name"),
        (Grid({"preset": ["badnets"]}, {"defenses": "nad"}), "defenses = 'nad': a table of defenses"),
        (Grid({"v": ["a"]}, variants={"v": {"a": {"defenses": ["x"]}}}), r"defenses = \['x'\]: a table of defenses"),
        (Grid({"preset": ["badnets"], "training.lr": [-1]}), r"training\.lr"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(grid: Grid, said: str):
    with pytest.raises(RequestError, match=said):
        expand(grid)


def test_axes_as_a_person_writes_them():
    assert axes.names("preset", ["badnets,sig", "blend", "sig"]) == ["badnets", "sig", "blend"]
    assert len(axes.names("preset", ["all"])) >= 12
    assert axes.seeds("seeds", ["0-2,7", "2"]) == [0, 1, 2, 7]
    assert axes.field("data.clean_fraction=[0.01, 0.05, 0.01]") == ("data.clean_fraction", [0.01, 0.05])


@pytest.mark.parametrize("text", ["4-2", "x", "-1", "1.5", "", "0-99999999999", "99999999999999999999"])
def test_seeds_that_are_none_are_refused(text: str):
    with pytest.raises(RequestError, match="--seeds"):
        axes.seeds("seeds", [text])


@pytest.mark.parametrize("text", ["seed", "seed=3", "a b=[1]", "data.size=[1", "=[1]"])
def test_an_axis_that_is_none_is_refused(text: str):
    with pytest.raises(RequestError, match="--axis"):
        axes.field(text)


def test_all_is_refused_where_there_is_no_end():
    with pytest.raises(RequestError, match="--model all: name them"):
        axes.names("model", ["all"])


def test_a_changed_grid_extends_the_old_one_and_takes_the_place_of_equal_points(tmp_path: Path):
    def put(seeds: list[int], p: int) -> index.Index:
        grid = Grid({"preset": ["badnets"], "seed": seeds}, nested("defenses.nad.distill.p", p))
        return index.extend(tmp_path / "s", expand(grid).index, grid.to_dict())

    first = put([0, 1], 2)
    assert put([1, 2], 2).cells[1:] == expand(Grid({"preset": ["badnets"], "seed": [1, 2]})).index.cells
    both = index.read(tmp_path / "s")
    assert [cell.axes["seed"] for cell in both.cells] == [0, 1, 2]
    assert (both.cells[0].id, both.cells[1].id) == (first.cells[0].id, first.cells[1].id)
    changed = put([0], 3)
    assert [cell.axes["seed"] for cell in changed.cells] == [1, 2, 0]
    assert changed.config(changed.cells[-1]).defenses["nad"].distill.p == 3
    assert changed.config(changed.cells[0]).defenses["nad"].distill.p == 2
    assert len(index.read_head(tmp_path / "s")["grids"]) == 3
    put([0, 1], 2)
    grids = index.read_head(tmp_path / "s")["grids"]
    assert [each["axes"]["seed"] for each in grids] == [[1, 2], [0], [0, 1]], "asked for again, it is the newest"


def test_whoever_is_cut_off_while_a_grid_is_added_leaves_the_old_cells_what_they_were(tmp_path: Path, monkeypatch):
    def put(presets: list[str]) -> index.Index:
        grid = Grid({"preset": presets})
        return index.extend(tmp_path / "s", expand(grid).index, grid.to_dict())

    before = put(["badnets", "sig"])
    wanted = {cell.id: before.settings(cell) for cell in before.cells}

    def cut_off(file: Path, lines: Any) -> None:
        if file.name == CELLS:
            raise KeyboardInterrupt
        write_lines(file, lines)

    monkeypatch.setattr(index, "write_lines", cut_off)
    with pytest.raises(KeyboardInterrupt):
        put(["blend", "sig"])
    left = index.read(tmp_path / "s")
    assert {cell.id: left.settings(cell) for cell in left.cells} == wanted


def test_a_file_that_holds_something_else_makes_another_cell(tmp_path: Path):
    file = tmp_path / "suspect.safetensors"

    def cell(content: str, teacher: str = "") -> index.Cell:
        file.write_text(content)
        (tmp_path / "teacher.safetensors").write_text(teacher)
        used = nested("defenses.nad.teacher.file", str(tmp_path / "teacher.safetensors")) if teacher else {}
        return expand(Grid({"preset": ["custom"]}, {"suspect": str(file), **used})).index.cells[0]

    first = cell("one")
    assert cell("one") == first
    assert cell("two").id != first.id and cell("two").suspect != first.suspect
    taught = cell("one", "a")
    assert taught.id != first.id and taught.suspect == first.suspect and cell("one", "b").id != taught.id


def test_suspects_of_an_axis_are_the_zoos_by_the_attacks_seed():
    cells = expand(Grid({"preset": ["badnets"], "suspect": ["zoo"], "attack_seed": [0, 1]})).index.cells
    assert len({cell.suspect for cell in cells}) == 2
    with pytest.raises(RequestError, match="the zoo has no suspect"):
        expand(Grid({"preset": ["badnets"], "suspect": ["zoo"], "attack_seed": [77]}))


def test_a_folder_full_of_something_else_is_not_filled_with_a_sweep(tmp_path: Path):
    (tmp_path / "letter.txt").touch()
    grid = Grid({"preset": ["badnets"]})
    with pytest.raises(RequestError, match="full of something else"):
        index.extend(tmp_path, expand(grid).index, grid.to_dict())
