"""What stays of a finished cell's checkpoints: those that runs have in common are stored once. Free of torch."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.errors import RequestError
from engine.record.layout import CHECKPOINTS, LEARNED, PRODUCTS, SUMMARY, checkpoint_file
from engine.registry import warn
from engine.sweeps import results
from engine.sweeps.index import Keep
from engine.sweeps.layout import RUNS, SHARED

LINKLESS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""What a file system says that has no hard links (exFAT, some shares), or no more of them for one file."""


def settle(folder: Path, cell: str, keep: Keep) -> None:
    """Drop the checkpoints that are not to stay, and have the suspect be a link to the one that other runs have, too.

    Calling it again changes nothing. `all` keeps every stage's, `last` the suspect's and the last purified model's.
    What the attack made on the way (8 MB of perturbed images a cell of CL) stays with `all` alone: it is in the sweep's
    own store, or is made again.

    Raises:
        RequestError: the run's summary is damaged, or its folder cannot be written.
    """
    run = Path(folder) / RUNS / cell
    stages = _stages(run)
    if not stages:  # no summary in sight, as on a file system that shows other hosts' files late: nothing is known yet
        return
    shared = {each["stage"]: each["sha256"] for each in stages if each.get("role") == "suspect"}
    staying = {"all": [each["stage"] for each in stages], "last": [*shared, stages[-1]["stage"]], "none": []}[keep]
    try:
        _drop_others(run, staying)
        if keep != "all":
            _drop_products(run)
        for stage in set(shared) & set(staying):
            _share(checkpoint_file(run, stage), Path(folder) / SHARED / f"{shared[stage]}.safetensors")
    except OSError as error:
        raise RequestError(f"{run}: cannot be written: {error.strerror or error}") from error


def _stages(run: Path) -> list[dict[str, Any]]:
    """Its stages by its summary, each with its name, suspects with their weights' digest."""
    stages = (results.summary_of(run) or {"stages": []})["stages"]
    for each in stages:
        for name in ("stage", "sha256") if each.get("role") == "suspect" else ("stage",):
            if not isinstance(each.get(name), str):
                raise RequestError(f"{run / SUMMARY} cannot be read: it does not say the {name} of each of its stages")
    return stages


def _drop_products(run: Path) -> None:
    """What the attack made on the way goes, but for what its trigger is made with."""
    for file in (run / PRODUCTS).glob("*"):
        if file != run / LEARNED and file.is_file():
            file.unlink(missing_ok=True)


def settle_all(folder: Path, keep: Keep) -> None:
    """The same of every cell that is finished by now; weights of which no run has a copy any more go, too.

    Of a run that cannot be settled a warning tells.

    Raises:
        RequestError: the folder of what runs share cannot be written.
    """
    for cell in results.read(folder):
        try:
            settle(folder, cell, keep)
        except RequestError as error:  # the others' can be settled
            warn(str(error))
    try:
        for one in (Path(folder) / SHARED).glob("*.safetensors"):
            with suppress(FileNotFoundError):  # another process does the same
                if one.stat().st_nlink == 1:
                    one.unlink()
    except OSError as error:
        raise RequestError(f"{Path(folder) / SHARED}: cannot be written: {error.strerror or error}") from error


def _drop_others(run: Path, staying: Collection[str]) -> None:
    names = {checkpoint_file(run, stage).name for stage in staying}
    for file in (run / CHECKPOINTS).glob("*.safetensors"):
        if file.name not in names:
            file.unlink(missing_ok=True)


def _share(file: Path, one: Path) -> None:
    """Replace a file by a link to the one of the same weights, which it becomes where there is none.

    A hard link: the run's folder stays whole wherever it is taken, and whichever run is deleted first. Where there can
    be none, each run keeps a file of its own.
    """
    if not file.is_file():
        return
    one.parent.mkdir(exist_ok=True)
    try:
        try:
            if not one.samefile(file):
                _linked(one, file)
        except FileNotFoundError:  # the first run of these weights, or another process has just dropped the one of none
            _linked(file, one)
    except OSError as error:
        if error.errno not in LINKLESS:
            raise


def _linked(source: Path, target: Path) -> None:
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    os.link(source, temporary)
    temporary.replace(target)
