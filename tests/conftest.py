"""Every test has folders of its own, and torch has one thread."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

LEFTOVER_S = 60.0
"""Seconds that a run is given to come to its end when its test is over."""


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes what belongs to the user; downloaded data (NADTUI_DATA) is shared, being read alone."""
    folder = tmp_path_factory.mktemp("home")  # not tmp_path: many tests' runs are all that lies there
    for name in ("CACHE", "RUNS", "PRESETS", "MACHINE"):
        monkeypatch.setenv(f"NADTUI_{name}", str(folder / name.lower()))


@pytest.fixture(autouse=True)
def _no_job_left_behind() -> Iterator[None]:
    """A run that outlives its test takes processors from later tests' runs, paused for ever if need be."""
    yield
    for thread in threading.enumerate():
        if thread.name == "nadtui-job":
            thread.join(LEFTOVER_S)
            assert not thread.is_alive(), "the test ends, and a run that it began goes on"


@pytest.fixture(scope="module")
def module_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder for one module's tests, in force while its module-scoped fixtures are made."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NADTUI_CACHE", str(folder))
        patch.setenv("NADTUI_MACHINE", str(tmp_path_factory.mktemp("machine")))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def _hanging_up_is_heard() -> None:
    """Who runs the tests under nohup has their processes ignore a terminal's end, which some of them are about."""
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny tensors gain nothing from threads, and sums come out in one order."""
    import torch

    torch.set_num_threads(1)
