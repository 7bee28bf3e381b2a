"""Where Dask workers come from: a scheduler that is there, or jobs of a batch system. Needs `nadtui[cluster]`."""

from __future__ import annotations

import importlib
import logging
import shutil
from pathlib import Path
from typing import Any

from engine.config.complaints import shown
from engine.config.layers import read_yaml
from engine.errors import RequestError
from engine.places import expanded
from engine.sweeps.dask_crew import DaskCrew

CONNECT_S = 10.0
"""How long a scheduler is waited for."""
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
        cluster = _local(jobs) if kind == "local" else _queued(KINDS[kind], jobs, values)
    except (TypeError, ValueError, OSError, RuntimeError) as error:
        raise RequestError(f"--cluster {file}: {' '.join(str(error).split())}") from None
    return DaskCrew(lambda: _client(cluster, f"--cluster {file}"), cluster)


def _local(jobs: int) -> Any:
    return _imported("distributed").LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=None)


def _queued(name: str, jobs: int, values: dict[str, Any]) -> Any:
    """One thread a worker: a cell's threads are its own business."""
    cluster = getattr(_imported("dask_jobqueue"), name)(**{"processes": values.get("cores", 1), **values})
    command = str(getattr(cluster.job_cls, "submit_command", "")).partition(" ")[0]
    if command and shutil.which(command) is None:  # it would fail out of sight, and the sweep wait for ever
        cluster.close()
        raise ValueError(f"{command}, which hands jobs in, is not found here")
    cluster.scale(jobs=jobs)
    return cluster


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
        return distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        said = " ".join(str(error).split())[:100]
        raise RequestError(f"{named}: the scheduler does not answer ({said})") from None
