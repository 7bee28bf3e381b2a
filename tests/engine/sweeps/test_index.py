"""A sweep's folder that is damaged: said in a line, and never written over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import RequestError
from engine.sweeps import index
from engine.sweeps.grid import Grid, expand
from engine.sweeps.layout import CELLS, GRID, TEMPLATES
from engine.sweeps.rows import rows

AXES = {"preset": ["badnets", "sig"], "seed": [0, 1]}


def put(folder: Path, **axes: Any) -> index.Index:
    grid = Grid({**AXES, **axes})
    return index.extend(folder, expand(grid).index, grid.to_dict())


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in (GRID, CELLS, TEMPLATES) if (folder / name).is_file()}


def refused(folder: Path) -> str:
    """What is said of a sweep by whoever reads it and whoever adds to it; it stays as it is."""
    before = content(folder)
    for asked in (rows, lambda folder: put(folder, preset=["blend"])):
        with pytest.raises(RequestError) as caught:
            asked(folder)
        said = str(caught.value)
        assert str(folder) in said and len(said.splitlines()) == 1
    assert content(folder) == before
    return said.removeprefix(f"{folder}/")


@pytest.mark.parametrize("name", [CELLS, TEMPLATES])
@pytest.mark.parametrize(
    ("line", "damaged"),
    [(1, b"{torn"), (2, b""), (1, b"\xff\xfe"), (2, b"5"), (1, b"[" * 9999), (2, b"{}"), (1, b"\0\0\0")],
)
def test_a_line_that_cannot_be_read_is_named_and_lost_by_nobody(tmp_path: Path, name: str, line: int, damaged: bytes):
    put(tmp_path / "s")
    lines = (tmp_path / "s" / name).read_bytes().splitlines()
    lines[line - 1] = damaged
    (tmp_path / "s" / name).write_bytes(b"".join(each + b"\n" for each in lines))
    assert refused(tmp_path / "s").startswith(f"{name}, line {line}: damaged")


@pytest.mark.parametrize("name", [CELLS, TEMPLATES])
def test_the_last_line_is_no_exception_as_the_files_are_written_whole(tmp_path: Path, name: str):
    put(tmp_path / "s")
    file = tmp_path / "s" / name
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    assert refused(tmp_path / "s").startswith(f"{name}, line {len(whole.splitlines())}: damaged")
    file.write_bytes(whole[:-1])  # an editor's: nothing is lost
    assert len(rows(tmp_path / "s")) == 4


@pytest.mark.parametrize("name", [CELLS, TEMPLATES])
def test_a_file_that_cannot_be_read_is_not_empty(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    put(tmp_path / "s")
    read = Path.read_bytes

    def fails(file: Path) -> bytes:
        if file.name == name:
            raise OSError(5, "Input/output error")
        return read(file)

    with monkeypatch.context() as patched:
        patched.setattr(index.Path, "read_bytes", fails)
        for asked in (rows, put):
            with pytest.raises(RequestError, match=f"{name}: cannot be read .Input/output error"):
                asked(tmp_path / "s")
    assert len(rows(tmp_path / "s")) == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda cell: cell.pop("cell"), "its cell is missing or makes no sense"),
        (lambda cell: cell.update(cell="../../x"), "its cell is missing or makes no sense"),
        (lambda cell: cell.pop("suspect"), "its suspect is missing"),
        (lambda cell: cell.update(template="0"), "its template is missing"),
        (lambda cell: cell.update(axes=[]), "its axes is missing"),
        (lambda cell: cell["axes"].pop("seed"), "its axes is missing"),
        (lambda cell: cell["axes"].update(preset={}), "its axes is missing"),
        (lambda cell: cell.update(template=2), f"its configuration is missing: {TEMPLATES} has no line 3"),
        (lambda cell: cell.update(template=-1), f"its configuration is missing: {TEMPLATES} has no line 0"),
        (lambda cell: cell.update(template=1), f"line 2 of {TEMPLATES} is of another cell"),
    ],
)
def test_a_cell_that_is_none_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str):
    put(tmp_path / "s")
    cells = [json.loads(line) for line in (tmp_path / "s" / CELLS).read_text().splitlines()]
    change(cells[0])
    (tmp_path / "s" / CELLS).write_text("".join(f"{json.dumps(cell)}\n" for cell in cells))
    assert said in refused(tmp_path / "s")


def test_a_cell_never_gets_the_configuration_of_another(tmp_path: Path):
    put(tmp_path / "s")
    file = tmp_path / "s" / TEMPLATES
    first, second = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(second)
    assert f"line 1 of {TEMPLATES} is of another cell" in refused(tmp_path / "s")
    file.write_bytes(second + first)
    assert f"line 1 of {TEMPLATES} is of another cell" in refused(tmp_path / "s")
    file.unlink()
    assert f"{TEMPLATES} has no line 1" in refused(tmp_path / "s")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1", "keep = None: one of all, last, none is wanted"),
        ("version: 1\nkeep: last", "grids = None: a list of grids, each a table, is wanted"),
        ("version: 1\nkeep: some\ngrids: []", "keep = 'some': one of all, last, none"),
        ("version: 1\nkeep: last\ngrids: 5", "grids = 5: a list of grids"),
        ("version: 1\nkeep: last\ngrids: [5]", "grids = [5]: a list of grids"),
        ("version: 1\nkeep: last\ngrids: [{study: []}]", "a list of grids"),
        ("version: x\nkeep: last\ngrids: []", "version = 'x': a whole number is wanted"),
        ("a:\n  - [1\nb: {", "not valid YAML, line 3"),
        ("5", "a table of fields is wanted"),
    ],
)
def test_a_head_that_is_none_is_refused_in_a_line(tmp_path: Path, text: str, said: str):
    put(tmp_path / "s")
    (tmp_path / "s" / GRID).write_text(text)
    assert said in refused(tmp_path / "s")


def test_cells_whose_grid_is_gone_stay(tmp_path: Path):
    put(tmp_path / "s")
    (tmp_path / "s" / GRID).unlink()
    assert [cell.axes["preset"] for cell in put(tmp_path / "s", preset=["blend"], seed=[0]).cells] == [
        *("badnets", "badnets", "sig", "sig", "blend"),
    ]


def test_points_of_one_run_stay_when_another_grid_has_some_of_them(tmp_path: Path):
    """Fine-tuning has no beta: the same run answers for each."""
    axes = {"defense": ["fine-tuning", "nad"], "seed": [0]}
    put(tmp_path, **axes, **{"defenses.nad.distill.beta": [500, 1000]})
    for beta in ([500], [2000]):
        put(tmp_path, **axes, **{"defenses.nad.distill.beta": beta})
    found = [(cell.axes["defense"], cell.axes["defenses.nad.distill.beta"]) for cell in index.read(tmp_path).cells]
    assert sorted(found) == sorted([(name, beta) for name in axes["defense"] for beta in (500, 1000, 2000)] * 2)
    assert len({cell.id for cell in index.read(tmp_path).cells}) == 2 * (1 + 3)
    put(tmp_path, **axes)
    left = [cell.axes for cell in index.read(tmp_path).cells if cell.axes["defense"] == "fine-tuning"]
    assert [list(each) for each in left] == [[*index.NAMED]] * 2, "a run that is called by other axes is meant anew"
