"""A cache, a home or a queue that cannot be had: a run goes on without, and says so once."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from engine import events as ev
from engine.config.presets import list_presets
from engine.control import Control
from engine.errors import RequestError
from engine.running import attack_files, conveniences
from engine.running.conveniences import wait_for
from engine.running.processor_queue import Claim, queue
from engine.storage import paths
from engine.storage.artifacts import ArtifactCache
from tests.headless import FEW
from tests.tiny import run_all, runs_in, tiny_config

ROOT = Path(__file__).parents[3]
TINY = ("training.epochs=1", "evaluation.samples=1", "data.train_images=200", "data.size=16")


def warnings(events: list[ev.Event]) -> list[str]:
    """Its warnings, less those that a model so hastily trained is no good."""
    said = [event.text for event in events if isinstance(event, ev.Message) and event.level == "warning"]
    return [text for text in said if "no better than chance" not in text]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file where a folder is wanted."""
    made = tmp_path / "file"
    made.write_text("")
    return made


@pytest.mark.parametrize("preset", ["badnets", "trojan"])
def test_a_cache_that_is_a_file_costs_one_warning(preset, file, tmp_path, monkeypatch):
    monkeypatch.setenv("NADTUI_CACHE", str(file))
    more = ("attack.surrogate_epochs=1", "attack.steps=2") if preset == "trojan" else ()
    events = run_all(tiny_config(preset, *TINY, *more), tmp_path / "runs")
    assert isinstance(events[-1], ev.RunFinished)
    (said,) = warnings(events)
    assert said.startswith(f"nothing is kept in the cache {file} (")
    assert "NADTUI_CACHE can name" in said
    assert file.read_text() == ""


def test_a_queue_that_cannot_be_shared_costs_one_warning(file, tmp_path, monkeypatch):
    monkeypatch.setenv("NADTUI_MACHINE", str(file))
    events = run_all(tiny_config("badnets", *TINY), tmp_path / "runs")
    assert isinstance(events[-1], ev.RunFinished)
    (said,) = warnings(events)
    assert "runs do not wait for each other" in said and "NADTUI_MACHINE can name" in said


def test_without_either_there_is_one_warning_all_the_same(file, tmp_path, monkeypatch):
    monkeypatch.setenv("NADTUI_CACHE", str(file / "below"))
    monkeypatch.setenv("NADTUI_MACHINE", str(file / "below"))
    events = run_all(tiny_config("badnets", *TINY), tmp_path / "runs")
    assert isinstance(events[-1], ev.RunFinished)
    (said,) = warnings(events)
    assert "NADTUI_CACHE and NADTUI_MACHINE can name other folders" in said


def test_a_cache_without_room_is_told_once(tmp_path, monkeypatch):
    source = tmp_path / "weights"
    source.write_bytes(b"weights")
    cache = ArtifactCache(tmp_path / "cache")
    calls = []

    def full(path: Path, content: bytes, **more: object) -> None:
        calls.append(path)
        raise RequestError(f"cannot write {path}: {os.strerror(errno.ENOSPC)}")

    monkeypatch.setattr("engine.storage.artifacts.write_atomically", full)
    assert "No space left on device" in cache.offer("attack", "a" * 64, source)
    assert cache.offer("attack", "b" * 64, source) == ""
    assert len(calls) == 1


def test_a_cache_that_keeps_nothing_can_be_read(tmp_path):
    source = tmp_path / "weights"
    source.write_bytes(b"weights")
    assert ArtifactCache(tmp_path / "cache").offer("attack", "a" * 64, source) == ""
    readable = ArtifactCache(tmp_path / "cache", keeps=False)
    assert readable.get("attack", "a" * 64).path.read_bytes() == b"weights"
    assert readable.offer("attack", "b" * 64, source) == ""
    assert readable.get("attack", "b" * 64) is None


def test_a_queue_that_breaks_while_a_run_waits_does_not_end_it(tmp_path, monkeypatch):
    def broken(self: Claim) -> None:
        raise RequestError("cannot share this machine through /x: Input/output error")

    monkeypatch.setattr(Claim, "poll", broken)
    with Claim(1, "a run") as claim:
        (said,) = warnings(list(wait_for(claim, Control())))
    assert "Input/output error; this run waits for no other" in said


def test_an_attack_alone_does_without_too(file, tmp_path, monkeypatch):
    for name in ("CACHE", "MACHINE"):
        monkeypatch.setenv(f"NADTUI_{name}", str(file))
    events = []
    made = ev.outcome(attack_files.make(tiny_config("badnets", *TINY)), events.append)
    assert len(warnings(events)) == 1
    assert len(made.data.x_train) == 200


@pytest.mark.parametrize("variable", ["CACHE", "MACHINE", "PRESETS"])
def test_listings_do_without(variable, file, monkeypatch):
    monkeypatch.setenv(f"NADTUI_{variable}", str(file))
    assert "badnets" in [preset.name for preset in list_presets()]
    if variable != "MACHINE":
        assert queue() == []


def unexpanded(name: str) -> str:
    return f"~/.{name}"


def undetermined(name: str) -> str:
    raise RuntimeError("could not determine the home directory")


@pytest.mark.parametrize("named", [unexpanded, undetermined])
def test_who_has_no_home_has_no_folders_and_none_called_tilde_is_made(named, tmp_path, monkeypatch):
    """A number without a name, as in a container."""
    monkeypatch.chdir(tmp_path)
    for name in ("CACHE", "MACHINE", "PRESETS"):
        monkeypatch.delenv(f"NADTUI_{name}")
    for kind in ("cache", "config", "state"):
        monkeypatch.setattr(f"platformdirs.user_{kind}_dir", named)
    assert "no home folder" in str(paths.cache_dir())
    found = conveniences.found()
    assert not found.queues and "no home folder" in found.warning
    assert [preset.name for preset in list_presets()]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("home", ["/dev/null", None])
def test_a_home_that_cannot_be_used_does_not_stop_a_run(home, tmp_path):
    """In a process of its own, with nothing of a home's but the variable."""
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(FEW))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NADTUI_", "XDG_", "HOME"))}
    given = {**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **({"HOME": home} if home else {})}
    if home is None:  # the one that the system knows must be left alone
        given |= {f"XDG_{kind}_HOME": str(tmp_path / "config.yaml") for kind in ("CACHE", "STATE", "CONFIG")}
    command = [sys.executable, "-m", "nadtui", "run", "--headless", "--config", str(tmp_path / "config.yaml")]
    command += ["--epochs", "teacher=1", "--epochs", "nad=1"]
    done = subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if "warning: " in line and "no better than chance" not in line]
    assert len(said) == 1 and "Traceback" not in done.stderr
    assert len(runs_in(tmp_path / "runs")) == 1


def test_where_runs_are_to_be_kept_is_no_convenience(file, tmp_path):
    with pytest.raises(RequestError, match=r"--out .*: cannot make a run folder there: it, or a folder above it"):
        run_all(tiny_config("badnets", *TINY), file / "runs")
