"""What became of a sweep's cells, as its folder tells it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.errors import RequestError
from engine.record.layout import CONFIG, SUMMARY
from engine.sweeps import results, tries
from engine.sweeps.keeping import settle
from engine.sweeps.layout import RESULTS, RUNS, TRIES, append_lines
from engine.sweeps.results import of_run
from engine.sweeps.rows import JSON, rows
from tests.sweep_folders import write_made_up


def test_finished_cells_have_their_figures_and_those_of_their_suspect(tmp_path: Path):
    write_made_up(tmp_path / "s", 12)
    found = rows(tmp_path / "s")
    assert len({row.cell for row in found}) == 12
    first = found[0]
    assert (first.acc, first.asr, first.suspect_acc, first.suspect_asr) == (93.0, 4.0, 94.0, 97.0)
    assert first.finished and list(first.to_dict()) == [*JSON, "axes"]
    assert {row.axes["preset"] for row in found} == {row.preset for row in found}


def test_a_cell_costs_what_its_defense_does_and_what_that_stands_on_does():
    def stage(name: str, role: str, steps: int | None, defense: str | None = None) -> dict[str, Any]:
        return {"stage": name, "role": role, "defense": defense, "image_steps": steps, "acc": 90.0}

    stages = [stage("attack", "suspect", 90_000), stage("fst", "purified", 10_000, "fst")]
    stages += [stage("teacher", "reference", 0, "nad"), stage("nad", "purified", 2_000, "nad")]
    assert of_run("a", {"stages": stages})["image_steps"] == 12_000
    old = [{key: value for key, value in each.items() if key != "image_steps"} for each in stages]
    assert of_run("a", {"stages": old})["image_steps"] is None


def test_what_only_some_cells_are_asked_comes_along_and_a_line_that_tells_nonsense_of_it_is_none(tmp_path: Path):
    verified = {"retuning": {"figures": {"asr_after": 40.0}, "seconds": 1.0}, "linear-path": {"figures": {"t50": None}}}
    stages = [{"stage": "attack", "role": "suspect"}, {"stage": "nad", "role": "purified", "acc": 90.0, "asr": 1.0}]
    line = of_run("a", {"stages": [stages[0], {**stages[1], "shadow": {"mask": 7.0}, "verified": verified}]})
    assert line["shadow"] == {"mask": 7.0}
    assert line["verified"] == {"retuning": {"asr_after": 40.0}, "linear-path": {"t50": None}}
    assert "verified" not in of_run("a", {"stages": stages}) and "shadow" not in of_run("a", {"stages": stages})
    cell, *_ = write_made_up(tmp_path / "s", 3)
    (tmp_path / "s" / RUNS / cell.id / SUMMARY).write_text(json.dumps({"schema": 2, "stages": stages}))
    for nonsense in ({"shadow": 5}, {"verified": {"retuning": 5}}, {"verified": {"retuning": {"asr_after": "all"}}}):
        file = tmp_path / "s" / RESULTS
        file.write_text("")
        append_lines(file, [{**line, "cell": cell.id, **nonsense}])
        assert rows(tmp_path / "s")[0].verified == {}
        append_lines(file, [{**line, "cell": cell.id}])
        found = rows(tmp_path / "s")[0]
        assert (found.verified, found.to_dict()["shadow"]) == (line["verified"], {"mask": 7.0})


def test_of_a_line_of_an_older_version_the_run_is_read_again(tmp_path: Path):
    cell, *_ = write_made_up(tmp_path / "s", 3)
    stages = [{"stage": "attack", "role": "suspect", "cached": False, "seconds": 50.0, "acc": 94.0}]
    stages += [{"stage": "nad", "role": "purified", "defense": "nad", "acc": 90.0, "image_steps": 2_337}]
    (tmp_path / "s" / RUNS / cell.id / SUMMARY).write_text(json.dumps({"schema": 2, "stages": stages}))
    file = tmp_path / "s" / RESULTS
    line = json.loads(file.read_text().splitlines()[0])
    for lacking in ("image_steps", "training_seconds"):
        file.write_text(json.dumps({name: value for name, value in line.items() if name != lacking}) + "\n")
        assert rows(tmp_path / "s")[0].image_steps == 2_337
    append_lines(file, [{**line, "image_steps": "many"}])
    assert rows(tmp_path / "s")[0].image_steps == 2_337
    assert of_run("a", {"stages": stages})["training_seconds"] == 50.0
    assert of_run("a", {"stages": [{**stages[0], "cached": True}]})["training_seconds"] is None


def test_a_row_goes_with_its_run_and_a_torn_line_takes_nothing_else_along(tmp_path: Path):
    cells = write_made_up(tmp_path / "s", 3)
    shutil.rmtree(tmp_path / "s" / RUNS / cells[0].id)
    with (tmp_path / "s" / RESULTS).open("a") as file:
        file.write('{"cell": "half a li')
    assert [row.status for row in rows(tmp_path / "s")] == ["new", "finished", "finished"]


def test_a_run_that_finished_without_its_line_is_found_by_its_summary(tmp_path: Path):
    cells = write_made_up(tmp_path / "s", 2)
    (tmp_path / "s" / RESULTS).unlink()
    run = tmp_path / "s" / RUNS / cells[1].id
    stages = [{"role": "suspect", "acc": 90.0, "asr": 99.0}, {"role": "purified", "acc": 89.0, "asr": 3.0}]
    (run / SUMMARY).write_text(json.dumps({"schema": 2, "stages": stages, "seconds": 7.0}))
    (run / CONFIG).write_text("{}")
    row = rows(tmp_path / "s")[1]
    assert (row.status, row.acc, row.asr, row.suspect_asr, row.ra, row.seconds) == ("finished", 89, 3, 99, None, 7)


@pytest.mark.parametrize(
    "summary",
    [{"schema": 2, "stages": 5}, {"schema": 2, "stages": [5]}, {"schema": 2}, [], {"schema": 1, "stages": None}],
)
def test_a_run_whose_summary_is_damaged_has_no_result_and_spoils_no_other(tmp_path: Path, summary: object):
    cells = write_made_up(tmp_path / "s", 3)
    forgotten = (tmp_path / "s" / RESULTS).read_text().splitlines(keepends=True)[1:]
    (tmp_path / "s" / RESULTS).write_text("".join(forgotten))
    (tmp_path / "s" / RUNS / cells[0].id / SUMMARY).write_text(json.dumps(summary))
    assert [row.status for row in rows(tmp_path / "s")] == ["damaged", "finished", "finished"]
    with pytest.raises(RequestError, match=r"summary\.json cannot be read: "):
        settle(tmp_path / "s", cells[0].id, "last")


@pytest.mark.parametrize(
    "line", ['{"cell": 5}', '{"cell": []}', '{"cell": "%s"}', '{"cell": "%s", "suspect": 5}', "[" * 9999, "5", "\ud800"]
)
def test_of_a_line_that_is_no_result_the_run_is_read_again(tmp_path: Path, line: str):
    cells = write_made_up(tmp_path / "s", 2)
    lines = (tmp_path / "s" / RESULTS).read_text().splitlines()
    (tmp_path / "s" / RESULTS).write_bytes(
        "\n".join([line.replace("%s", cells[0].id), lines[1]]).encode("utf-8", "replace")
    )
    stages = [{"role": "suspect", "acc": 10**400, "asr": 99.0}, {"role": "purified", "acc": 89.0, "asr": "x"}]
    (tmp_path / "s" / RUNS / cells[0].id / SUMMARY).write_text(json.dumps({"schema": 2, "stages": stages}))
    found = rows(tmp_path / "s")
    assert [row.status for row in found] == ["finished", "finished"]
    assert (found[0].acc, found[0].asr, found[0].suspect_acc, found[0].suspect_asr) == (89, None, None, 99)


def test_a_damaged_line_of_tries_is_passed_over_as_a_torn_one_is(tmp_path: Path):
    write_made_up(tmp_path / "s", 1)
    tries.ended(tmp_path / "s", "cell", 1, "it diverged")
    for ended in (None, [], "1", 1.5):
        append_lines(tmp_path / "s" / TRIES / "cell", [{"ended": ended}])
    assert tries.of(tmp_path / "s", "cell") == tries.Tried(code=1, error="it diverged")


def test_deaths_are_those_that_a_sweep_saw_and_not_its_own(tmp_path: Path):
    for _ in range(5):
        tries.began(tmp_path, "cell")  # the sweep was killed, its worker with it
    assert (tries.of(tmp_path, "cell").deaths, tries.of(tmp_path, "cell").silent) == (0, True)
    for _ in range(2):
        tries.died(tmp_path, "cell")
        tries.began(tmp_path, "cell")
    tries.ended(tmp_path, "cell", 130)
    assert tries.of(tmp_path, "cell") == tries.Tried(2, 130)
    assert tries.died(tmp_path, "cell").given_up
    tries.ended(tmp_path, "cell", 0)
    assert tries.of(tmp_path, "cell") == tries.Tried()


def test_a_failed_cell_says_why(tmp_path: Path):
    cells = write_made_up(tmp_path / "s", 2)
    shutil.rmtree(tmp_path / "s" / RUNS / cells[0].id)
    tries.began(tmp_path / "s", cells[0].id)
    tries.ended(tmp_path / "s", cells[0].id, 1, "loss is not finite")
    row = rows(tmp_path / "s")[0]
    assert (row.status, row.error) == ("failed", "loss is not finite")


def test_a_folder_that_is_no_sweep_is_refused(tmp_path: Path):
    with pytest.raises(RequestError, match=r"is not a sweep's folder: it has no sweep\.yaml"):
        rows(tmp_path)
    with pytest.raises(RequestError, match="no such folder"):
        rows(tmp_path / "none")


def test_a_line_is_noted_once_and_that_of_a_run_begun_anew_takes_its_place(tmp_path: Path):
    (cell,) = write_made_up(tmp_path / "s", 1)
    line = results.read(tmp_path / "s")[cell.id]
    results.write(tmp_path / "s", [line])
    assert len((tmp_path / "s" / RESULTS).read_text().splitlines()) == 1
    results.write(tmp_path / "s", [{**line, "acc": 12.0}])
    assert results.read(tmp_path / "s")[cell.id]["acc"] == 12.0
