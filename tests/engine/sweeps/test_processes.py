"""Sweeps that are carried out for real: workers that die, and sweeps that are killed, by SIGKILL in mid-cell."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.errors import RequestError
from engine.record.layout import checkpoint_file
from engine.sweeps import index, tries, working
from engine.sweeps.conducting import Conductor
from engine.sweeps.crews import Here, Processes
from engine.sweeps.grid import expand
from engine.sweeps.layout import IMAGES, RUNS, SHARED
from engine.sweeps.rows import rows
from tests import tiny_sweep
from tests.tiny_sweep import grid, kill_writer, options, saved, table, trained_twice, until

LONG = {"training": {"epochs": 4}}


def begun(folder: Path, base: dict | None = None, **axes: object) -> index.Index:
    made = grid(base, **axes)
    return index.extend(folder, expand(made).index, made.to_dict())


def test_a_sweep_killed_in_mid_cell_goes_on_where_it_was_and_comes_to_the_same(tmp_path: Path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    list(Conductor(whole, begun(whole, LONG), here := Here(1)).run())
    here.close()
    command = [sys.executable, "-m", "nadtui", "sweep", "--preset", "badnets", "--defense", "fine-tuning"]
    command += ["--threads", "1", "--out", str(killed)]
    given = options(tiny_sweep.BASE | {"training": tiny_sweep.BASE["training"] | LONG["training"]})
    process = subprocess.Popen([*command, *given], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run = until(lambda: saved(killed))
    assert kill_writer(run) == process.pid
    process.wait()
    list(Conductor(killed, index.read(killed), here := Here(1)).run())
    here.close()
    assert table(killed) == table(whole)
    assert trained_twice(killed) == [] and tries.all_of(killed) == {}
    suspect = checkpoint_file(killed / RUNS / rows(killed)[0].cell, "attack")
    assert suspect.samefile(next((killed / SHARED).iterdir()))


def test_a_dead_workers_cell_goes_on_in_another_and_a_preempted_one_costs_nothing(tmp_path: Path):
    folder = tmp_path / "s"
    crew = Processes(1)
    conductor = Conductor(folder, begun(folder, LONG), crew)
    index.keep_from_now(folder, "none")
    pids: list[int] = []

    def hunt() -> None:
        run = until(lambda: saved(folder))
        pids.append(kill_writer(run))
        until(lambda: (beat := tiny_sweep.read_heartbeat(run)) and beat.pid != pids[0])
        pids.append(tiny_sweep.read_heartbeat(run).pid)  # type: ignore[union-attr]
        os.kill(pids[1], signal.SIGTERM)

    hunter = threading.Thread(target=hunt)
    hunter.start()
    steps = [step.what for step in conductor.run() if step.what != "began"]
    hunter.join()
    crew.close()
    assert steps == ["died", "stopped", "finished"]
    assert trained_twice(folder) == []
    assert not list((folder / RUNS).glob("*/checkpoints/*"))


def test_what_a_worker_prints_is_no_result(capfd: pytest.CaptureFixture[str]):
    crew = Processes(1)
    crew.executor.submit(print, "a stranger's", flush=True).result()
    crew.close()
    assert capfd.readouterr() == ("", "a stranger's\n")


def test_a_signal_to_all_processes_does_not_end_a_worker_that_is_being_made():
    crew = Processes(1)
    future = crew.executor.submit(os.getpid)
    (child,) = multiprocessing.active_children()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(child.pid, number)
    assert future.result() == child.pid
    crew.close()
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_after_a_failed_cell_a_worker_begins_anew():
    crew = Processes(1)

    def pid() -> int:
        return crew.executor.submit(os.getpid).result()

    first = pid()
    assert pid() == first
    crew.executor.submit(dict, code=working.STOPPED).result()
    assert pid() == first
    crew.executor.submit(dict, code=working.FAILED).result()
    assert pid() != first
    crew.close()


def test_a_worker_whose_images_are_others_runs_nothing(tmp_path: Path):
    folder = tmp_path / "s"
    list(Conductor(folder, begun(folder), here := Here(1)).run())
    known = json.loads((folder / IMAGES).read_text())
    every, clean = known
    grown = begun(folder, seed=[0], base={"defenses": {"fine-tuning": {"training": {"epochs": 1}}}})
    (other,) = {cell.id for cell in grown.cells} - {row.cell for row in rows(folder) if row.acc}
    for key, what in ((every, "images of signs"), (clean, "clean images")):
        (folder / IMAGES).write_text(json.dumps({**known, key: "f" * 64}))
        with pytest.raises(RequestError, match=rf"cell {other}: its {what} are others .*, not ffffffffffff…\)$"):
            list(Conductor(folder, grown, here).run())
        assert not (folder / RUNS / other).exists() and not tries.of(folder, other).failed
    (folder / IMAGES).write_text(json.dumps(known))
    conductor = Conductor(folder, grown, here)
    list(conductor.run())
    assert conductor.complete and not conductor.failed
    here.close()
