"""Cells on the workers of a Dask scheduler: seen or unseen folders, workers that are others, none that answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import RequestError
from engine.record.layout import checkpoint_file
from engine.sweeps import away, cluster, dask_crew, index, sameness, tries
from engine.sweeps.conducting import Conductor
from engine.sweeps.crews import Here, LostError
from engine.sweeps.dask_crew import DaskCrew
from engine.sweeps.grid import expand
from engine.sweeps.layout import RUNS
from engine.sweeps.rows import rows
from tests.tiny_sweep import grid, table

distributed = pytest.importorskip("distributed")
Status = distributed.core.Status

QUICK = {"training": {"epochs": 1}, "defenses": {"fine-tuning": {"training": {"epochs": 1}}}}


@pytest.fixture(scope="module")
def scheduler() -> Iterator[Any]:
    """A scheduler and a worker of one thread, in this process."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, protocol="tcp://"
    ) as made:
        yield made


@pytest.fixture
def crew(scheduler: Any) -> Iterator[DaskCrew]:
    made = cluster.of_scheduler(scheduler.scheduler_address)
    yield made
    made.close()


def begun(folder: Path) -> index.Index:
    made = grid(QUICK)
    return index.extend(folder, expand(made).index, made.to_dict())


def test_a_run_is_the_same_on_a_worker_and_comes_back_whole_where_no_folder_is_shared(
    tmp_path: Path, crew: DaskCrew, monkeypatch: pytest.MonkeyPatch
):
    here, seen, unseen = tmp_path / "here", tmp_path / "seen", tmp_path / "unseen"
    list(Conductor(here, begun(here), Here(1)).run())
    list(Conductor(seen, begun(seen), crew).run())
    assert crew.shares
    crew._sees = dict.fromkeys(crew._sees, False)
    monkeypatch.setattr(crew, "check", lambda texts, folder: None)
    list(Conductor(unseen, begun(unseen), crew).run())
    assert table(here) == table(seen) == table(unseen)
    run = unseen / RUNS / rows(unseen)[0].cell
    assert checkpoint_file(run, "fine-tuning").is_file() and tries.all_of(unseen) == {}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"program": "0" * 64}, "it has another version of nadtui"),
        ({"images": {"signs": "0" * 64}}, "its images of signs are others"),
        ({"error": "data.name = 'signs': not here"}, "data.name = 'signs': not here"),
    ],
)
def test_a_worker_with_another_program_or_other_images_is_refused_before_anything_is_run(
    changed: dict[str, Any], said: str, tmp_path: Path, crew: DaskCrew, monkeypatch: pytest.MonkeyPatch
):
    there = sameness.identity([])
    monkeypatch.setattr(dask_crew, "identity", lambda texts, token="": {**there, "images": {"signs": "1" * 64}})
    monkeypatch.setattr(dask_crew, "_asked", lambda *_: {**there, "images": {"signs": "1" * 64}, **changed})
    with pytest.raises(RequestError, match=said):
        list(Conductor(tmp_path / "s", begun(tmp_path / "s"), crew).run())
    assert list((tmp_path / "s" / RUNS).iterdir()) == []


def test_a_worker_of_several_threads_is_refused(tmp_path: Path, crew: DaskCrew, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(crew, "_there", lambda: {"tcp://1.2.3.4:5": 4})
    with pytest.raises(RequestError, match=r"worker tcp://1\.2\.3\.4:5: it has 4 threads; one each is wanted"):
        crew.check([], tmp_path)


def test_a_worker_begins_what_it_is_given_however_much_memory_it_uses(tmp_path: Path, scheduler: Any, crew: DaskCrew):
    worker = scheduler.workers[0]
    worker.memory_manager.memory_pause_fraction = 1e-9
    worker.status = Status.paused
    crew.check([], tmp_path)
    assert worker.status == Status.running and worker.memory_manager.memory_pause_fraction is False


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "127.0.0.1:1", "tcp://", "udp://x:1", ""])
def test_a_scheduler_that_does_not_answer_is_refused(address: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 0.2)
    with pytest.raises(RequestError, match=f"--scheduler {address}: the scheduler does not answer"):
        cluster.of_scheduler(address)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: slurm", "a table is wanted with kind, jobs"),
        ("[", "a table is wanted with kind, jobs"),
        ("{kind: local, jobs: 0}", "jobs = 0: a whole number from 1 on is wanted"),
        ("{kind: local, jobs: -3}", "jobs = -3: a whole number from 1 on"),
        ("{kind: slurm, jobs: 0, cores: 1, memory: 1GB}", "jobs = 0: a whole number from 1 on"),
        ("{kind: slurm, jobs: 1.5}", r"jobs = 1\.5: a whole number from 1 on"),
        ("{kind: local, jobs: 1, cores: 2, memory: 1GB}", "cores, memory: kind local takes jobs alone"),
        ("{kind: lsff, jobs: 2}", "kind = 'lsff': one of slurm, pbs"),
        ("{kind: slurm, jobs: 2, cores: 1, memory: 1GB, colour: red}", "colour"),
        (
            "{kind: slurm, jobs: 2, cores: 1, memory: 1GB, job_script_prologue: module load}",
            "a list of lines is wanted",
        ),
        ("{kind: slurm, jobs: 2, cores: 1, memory: 1GB}", "sbatch, which hands jobs in, is not found here"),
    ],
)
def test_a_file_that_makes_no_cluster_is_refused(text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    pytest.importorskip("dask_jobqueue")
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(RequestError, match=said):
        cluster.of_file(tmp_path / "c.yaml")


def test_without_dask_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(RequestError, match=r"distributed is not installed: pip install 'nadtui\[cluster\]'"):
        cluster.of_scheduler("tcp://127.0.0.1:1")


def test_a_packed_run_takes_the_place_of_what_was_there(tmp_path: Path):
    (tmp_path / "a" / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "a" / "run" / "checkpoints" / "x").write_text("new")
    (tmp_path / "b" / "run").mkdir(parents=True)
    (tmp_path / "b" / "run" / "old").touch()
    away.unpack(away.pack(tmp_path / "a" / "run"), tmp_path / "b")
    assert [path.name for path in (tmp_path / "b").rglob("*") if path.is_file()] == ["x"]


def test_the_program_is_known_by_its_sources_and_images_by_what_they_are():
    text = expand(grid(QUICK)).index
    known = sameness.identity([text.config(text.cells[0]).to_yaml()])
    assert len(known["program"]) == len(known["images"]["signs"]) == 64 and not known["error"]
    assert sameness.difference(known, known) == ""


def test_a_cell_for_which_no_worker_is_left_is_lost_and_not_counted_as_a_death(
    tmp_path: Path, crew: DaskCrew, monkeypatch: pytest.MonkeyPatch
):
    """All of them may leave between being counted and being given a cell."""
    crew._sees = {}
    with pytest.raises(LostError):
        crew.submit("", tmp_path, "cell").result(timeout=5.0)
    assert not crew.is_gone("cell")


def test_a_worker_that_lacks_something_for_a_cell_is_not_given_its_like():
    crew = DaskCrew(object)
    crew._sees, crew._last = {"a": True, "b": True}, {"x": "a"}
    assert (
        crew.spare("x", ["x", "y"]) and list(crew._free_for("y")) == ["b"] and list(crew._free_for("z")) == ["a", "b"]
    )
    crew._last["x"] = "b"
    assert not crew.spare("x", ["x", "y"])
    assert not crew.can_take("y") and crew.can_take("z")
