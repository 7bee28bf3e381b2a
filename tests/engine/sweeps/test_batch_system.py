"""Cells on jobs of a batch system: Slurm's commands are stand-ins that begin and end jobs on this machine."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import RequestError
from engine.sweeps import cluster, dask_crew, index
from engine.sweeps.conducting import Conductor
from engine.sweeps.dask_crew import DaskCrew
from engine.sweeps.grid import expand
from engine.sweeps.rows import rows
from tests.tiny_sweep import grid, until

pytest.importorskip("dask_jobqueue")

SBATCH = """#!/bin/bash
if [ -f {jobs}.full ]; then echo "sbatch: error: Socket timed out" >&2; exit 1; fi
cp "$1" {jobs}.$$
setsid bash {jobs}.$$ > {jobs}.log 2>&1 < /dev/null &
echo $! >> {jobs}
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/bash
for job in "$@"; do kill -TERM -- -$job; done
"""
JOBS = "{kind: slurm, jobs: 1, cores: 2, memory: 2GB, walltime: '00:10:00'}"


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """The jobs that were handed in so far: the process groups they are."""
    commands, handed_in = tmp_path / "bin", tmp_path / "jobs"
    commands.mkdir()
    for name, script in (("sbatch", SBATCH.format(jobs=handed_in)), ("scancel", SCANCEL)):
        (commands / name).write_text(script)
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    return lambda: [int(line) for line in handed_in.read_text().split()]


def lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_job_whose_time_is_up_is_handed_in_anew_and_its_cells_go_on(
    tmp_path: Path, jobs: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cluster, "GONE_S", 1.0)
    monkeypatch.setattr(cluster, "AGAIN_S", 1.0)
    full, told = tmp_path / "jobs.full", []
    monkeypatch.setattr(dask_crew, "warn", told.append)
    (tmp_path / "cluster.yaml").write_text(JOBS)
    crew: DaskCrew = cluster.of_file(tmp_path / "cluster.yaml")
    made = grid({"training": {"epochs": 1}}, seed=[0, 1, 2])
    folder = tmp_path / "sweep"
    said = []
    try:
        conductor = Conductor(folder, index.extend(folder, expand(made).index, made.to_dict()), crew)
        for step in conductor.run():
            said.append(step.what)
            if said.count("finished") == 1 and step.what == "finished":
                full.touch()  # for a while the batch system takes no job
                threading.Timer(4.0, full.unlink).start()
                os.killpg(jobs()[0], signal.SIGTERM)
    finally:
        crew.close()
    assert {row.status for row in rows(folder)} == {"finished"} and said.count("finished") == 3
    assert len(jobs()) == 2 and "no job can be handed in: sbatch: error: Socket timed out" in told
    assert until(lambda: not any(map(lives, jobs())), 30.0)


def test_a_batch_system_that_takes_no_job_ends_the_sweep_in_a_line(tmp_path: Path, jobs: Callable[[], list[int]]):
    (tmp_path / "cluster.yaml").write_text(JOBS)
    (tmp_path / "jobs.full").touch()
    with pytest.raises(RequestError, match=r"cluster\.yaml: sbatch: error: Socket timed out$"):
        cluster.of_file(tmp_path / "cluster.yaml")
