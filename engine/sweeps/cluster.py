"""Where Dask workers come from: a scheduler that is there, or jobs of a batch system. Needs `nadtui[cluster]`."""

from __future__ import annotations

import asyncio
import importlib
import logging
import shutil
import time
from pathlib import Path
from typing import Any

from engine.config.complaints import shown
from engine.config.layers import read_yaml
from engine.errors import RequestError
from engine.places import expanded
from engine.registry import warn
from engine.sweeps.dask_crew import DaskCrew

CONNECT_S = 10.0
"""How long a scheduler is waited for."""
GONE_S = 60.0
"""How long none of a job's workers is there until the job counts as over: its time was up, or somebody ended it."""
AGAIN_S = 30.0
"""Seconds between two tries to hand in a job that the batch system refused."""
UNGUARDED = "export DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE=False"
"""A line of every job: it is the batch system that minds its memory; Dask would end a worker at 95 % of its share."""
KINDS = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
    "htcondor": "HTCondorCluster",
}
"""Batch systems, and the classes of dask_jobqueue."""


def of_scheduler(address: str) -> DaskCrew:
    """The workers of a scheduler that is there.

    Raises:
        RequestError: Dask is not installed, or the scheduler does not answer.
    """
    return DaskCrew(lambda: _client(address, f"--scheduler {address}"))


def of_file(file: Path) -> DaskCrew:
    """Workers that a batch system starts: `kind`, `jobs` (1 or more), and the keywords of dask_jobqueue's class for
    that kind; or as many processes of this machine, which is the kind `local`.

    Raises:
        RequestError: the file cannot be read or understood, or Dask is not installed.
    """
    try:
        given = read_yaml(expanded(str(file)).read_text(encoding="utf-8"))
        values = dict(given)
        kind, jobs = values.pop("kind"), values.pop("jobs")
    except OSError as error:
        raise RequestError(f"--cluster {file}: cannot be read ({error.strerror or error})") from None
    except Exception:  # no YAML, no table, one of them missing
        raise RequestError(f"--cluster {file}: a table is wanted with kind, jobs and what the kind takes") from None
    if kind not in (*KINDS, "local"):
        raise RequestError(f"--cluster {file}: kind = {shown(kind)}: one of {', '.join(KINDS)}, local is wanted")
    if type(jobs) is not int or jobs < 1:  # of none nothing would ever begin
        raise RequestError(f"--cluster {file}: jobs = {shown(jobs)}: a whole number from 1 on is wanted")
    if kind == "local" and values:
        raise RequestError(f"--cluster {file}: {', '.join(map(str, values))}: kind local takes jobs alone")
    try:
        cluster = _local(jobs) if kind == "local" else _queued(KINDS[kind], values)
        renew = None if kind == "local" else _Jobs(cluster, jobs).renew
    except (TypeError, ValueError, OSError, RuntimeError) as error:
        raise RequestError(f"--cluster {file}: {' '.join(str(error).split())}") from None
    return DaskCrew(lambda: _client(cluster, f"--cluster {file}"), cluster, renew)


def _local(jobs: int) -> Any:
    return _imported("distributed").LocalCluster(
        n_workers=jobs, threads_per_worker=1, memory_limit=0, dashboard_address=None
    )


def _queued(name: str, values: dict[str, Any]) -> Any:
    """One thread a worker: a cell's threads are its own business."""
    lines = values.get("job_script_prologue") or []
    if not isinstance(lines, list):
        raise TypeError(f"job_script_prologue = {shown(lines)}: a list of lines is wanted")
    given = {"processes": values.get("cores", 1), **values, "job_script_prologue": [UNGUARDED, *lines]}
    cluster = getattr(_imported("dask_jobqueue"), name)(**given)
    command = str(getattr(cluster.job_cls, "submit_command", "")).partition(" ")[0]
    if command and shutil.which(command) is None:  # it would fail out of sight, and the sweep wait for ever
        cluster.close()
        raise ValueError(f"{command}, which hands jobs in, is not found here")
    return cluster


class _Jobs:
    """As many jobs of a batch system as are wanted. One that is over is handed in anew, which Dask does not do."""

    def __init__(self, cluster: Any, count: int) -> None:
        """Hand the jobs in.

        Raises:
            OSError, RuntimeError: the batch system takes none.
        """
        self._cluster = cluster
        self._count = count
        self._seen: dict[str, float] = {}
        """By name of a job when a worker of it was last there."""
        self._tried = time.monotonic()
        try:
            cluster.sync(self._hand_in)
        except BaseException:
            cluster.close()
            raise

    def renew(self) -> None:
        """Hand in another job for each that is over; one that still waits for its turn is left alone.

        Raises:
            OSError, RuntimeError: the batch system takes none; it is asked again later on.
        """
        now = time.monotonic()
        there = {str(worker["name"]) for worker in self._cluster.scheduler_info["workers"].values()}
        for name, job in list(self._cluster.worker_spec.items()):
            if there & {f"{name}{suffix}" for suffix in job.get("group", [""])}:
                self._seen[name] = now
        over = [name for name, seen in self._seen.items() if now - seen > GONE_S]
        if over:
            self._seen = {name: seen for name, seen in self._seen.items() if name not in over}
            warn(f"of {self._count} jobs {', '.join(over)} ended: as many are handed in anew")
            self._cluster.sync(self._cluster.scale_down, over)
        if self._missing and (over or now - self._tried > AGAIN_S):
            self._tried = now
            self._cluster.sync(self._hand_in)

    @property
    def _missing(self) -> int:
        """Jobs that have yet to be handed in."""
        return self._count - len(self._cluster.worker_spec)

    async def _hand_in(self) -> None:
        """Hand in those that are missing: here, and not out of sight as `scale` does, which nobody hears fail."""
        from distributed.core import Status

        wanted, jobs = self._cluster.worker_spec, self._cluster.workers
        while len(wanted) < self._count:
            wanted.update(self._cluster.new_worker_spec())
        try:
            await self._cluster
        except RuntimeError as error:
            raise RuntimeError(str(error).rpartition("stderr:")[2]) from None
        finally:
            for name, job in list(jobs.items()):
                if job.status == Status.created:  # refused: Dask would keep it, and never try again
                    job.status = Status.closed
                    del jobs[name], wanted[name]


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise RequestError(f"{name} is not installed: pip install 'nadtui[cluster]'") from None


def _client(address: Any, named: str) -> Any:
    distributed = _imported("distributed")
    for name in ("distributed", *logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":  # what becomes of its workers is told here
            logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        if isinstance(address, str):
            asyncio.run(_answers(address))
        return distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        said = " ".join(str(error).split())[:100]
        raise RequestError(f"{named}: the scheduler does not answer ({said})") from None


async def _answers(address: str) -> None:
    """Reach a scheduler before there is a client: one that was never connected, found as garbage while another begins,
    makes the two wait for one lock of Dask's.

    Raises:
        OSError: nobody is there.
        ValueError: it is no address.
    """
    from distributed.comm import connect
    from distributed.security import Security

    connection = await connect(address, timeout=CONNECT_S, **Security().get_connection_args("client"))
    await connection.close()
