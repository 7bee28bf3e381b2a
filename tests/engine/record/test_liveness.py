"""Whether somebody writes a run: the lock decides, and where it cannot, the heartbeat."""

import json
import os
import signal
import threading
import time
from types import SimpleNamespace

import pytest

from engine.record import liveness
from engine.record.folder import RunFolder
from engine.record.listing import status
from engine.record.liveness import is_running, read_heartbeat
from tests.engine.record.made import create, python, refusal, started, step


def test_a_run_is_running_while_its_writer_lives_and_no_longer(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from engine.record.folder import RunFolder\n"
        "run = RunFolder.open_for_resume(Path(sys.argv[1]))\n"
        "print('open', flush=True)\n"
        "time.sleep(60)\n"
    )
    with create(tmp_path) as run:
        run.append(started())
    writer = python(script, run.path)
    try:
        assert writer.stdout.readline() == "open\n"
        assert is_running(run.path)
        assert status(run.path) == "running"
        heartbeat = read_heartbeat(run.path)
        assert heartbeat.pid == writer.pid
        message = refusal(RunFolder.open_for_resume, run.path)
        assert "is running" in message
        assert f"process {writer.pid}" in message
        os.kill(writer.pid, signal.SIGSTOP)  # a writer that stands still is no dead one
        long_ago = time.time() - 100
        os.utime(run.path / "heartbeat.json", (long_ago, long_ago))
        assert is_running(run.path)
    finally:
        writer.kill()
        writer.wait()
    assert not is_running(run.path)
    assert status(run.path) == "crashed"
    with RunFolder.open_for_resume(run.path) as again:
        assert again.append(step()).seq == 2
        assert read_heartbeat(run.path).pid == os.getpid()
        assert "is running" in refusal(RunFolder.open_for_resume, run.path)


def test_readers_who_look_all_the_time_disturb_neither_each_other_nor_a_writer(tmp_path):
    with create(tmp_path) as run:
        run.append(started())
    enough, seen = threading.Event(), []

    def look():
        while not enough.is_set():
            seen.append(is_running(run.path))

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        while len(seen) < 1_000:
            time.sleep(0.001)
        assert not any(seen)  # nobody writes: no reader takes another one for the writer
        for _ in range(20):
            RunFolder.open_for_resume(run.path).close()
    finally:
        enough.set()
        for reader in readers:
            reader.join()


def test_the_heartbeat_goes_on_beating(tmp_path, monkeypatch):
    monkeypatch.setattr(liveness, "BEAT_S", 0.02)
    with create(tmp_path) as run:
        long_ago = time.time() - 100
        os.utime(run.path / "heartbeat.json", (long_ago, long_ago))
        deadline = time.time() + 10
        while read_heartbeat(run.path).beat < long_ago + 50 and time.time() < deadline:
            time.sleep(0.01)
        assert abs(read_heartbeat(run.path).beat - time.time()) < 5


@pytest.mark.parametrize(("age", "host", "expected"), [(1, "elsewhere", True), (100, "elsewhere", False)])
def test_a_writer_on_another_host_is_known_by_its_heartbeat(tmp_path, age, host, expected):
    run = create(tmp_path)
    run.close()
    heartbeat = run.path / "heartbeat.json"
    heartbeat.write_text(json.dumps({"pid": 1, "host": host, "time": 0}))
    os.utime(heartbeat, (time.time() - age, time.time() - age))
    assert is_running(run.path) is expected


HOURS = 3_600.0


def of_another_host(root, age=1.0):
    """The folder of a run that another host writes, whose last beat is so old."""
    run = create(root)
    run.close()
    heartbeat = run.path / "heartbeat.json"
    heartbeat.write_text(json.dumps({"pid": 1, "host": "elsewhere", "time": 0}))
    beat = time.time() - age
    os.utime(heartbeat, (beat, beat))
    return run.path


@pytest.fixture
def clock(monkeypatch):
    """This host's clocks, as `is_running` sees them: `skew` sets the one on the wall, `passed` both."""
    own = SimpleNamespace(skew=0.0, passed=0.0)
    own.time = lambda: time.time() + own.skew + own.passed
    own.monotonic = lambda: time.monotonic() + own.passed
    monkeypatch.setattr(liveness, "time", own)
    monkeypatch.setattr(liveness, "_offsets", {})
    monkeypatch.setattr(liveness, "_watched", {})
    return own


SKEWS = pytest.mark.parametrize("skew", [-5 * HOURS, 0.0, 5 * HOURS])


@SKEWS
def test_a_host_whose_clock_is_hours_off_tells_the_living_from_the_dead(tmp_path, clock, skew):
    living, dead = of_another_host(tmp_path, age=1), of_another_host(tmp_path, age=30)
    clock.skew = skew
    assert is_running(living)
    assert not is_running(dead)
    os.utime(dead / "heartbeat.json", (clock.time(), clock.time()))  # now, as this host has it
    assert is_running(dead) is (skew == 0)


def test_looking_leaves_nothing_behind(tmp_path, clock):
    path = of_another_host(tmp_path)
    before = sorted(each.name for each in path.iterdir())
    assert is_running(path)
    assert sorted(each.name for each in path.iterdir()) == before


@SKEWS
def test_a_run_of_another_host_is_not_gone_on_with_while_its_heart_beats(tmp_path, clock, skew):
    clock.skew = skew
    path = of_another_host(tmp_path)
    assert "is running (process 1 on elsewhere)" in refusal(RunFolder.open_for_resume, path)
    assert read_heartbeat(path).host == "elsewhere"
    os.utime(path / "heartbeat.json", (time.time() - 30, time.time() - 30))
    with RunFolder.open_for_resume(path):
        assert read_heartbeat(path).pid == os.getpid()


@SKEWS
def test_who_may_not_write_there_goes_by_what_he_sees_beat(tmp_path, clock, monkeypatch, skew):
    monkeypatch.setattr(liveness, "_stamp", lambda folder: None)
    path = of_another_host(tmp_path)
    clock.skew = skew
    is_running(path)  # a first look can but trust this host's clock
    for _ in range(3):
        clock.passed += 2
        beat = time.time() + clock.passed
        os.utime(path / "heartbeat.json", (beat, beat))
        assert is_running(path)
    clock.passed += 9
    assert is_running(path)
    clock.passed += 2  # the heart has not beaten for 11 s
    assert not is_running(path)
    clock.passed += 100
    assert not is_running(path)


def test_who_may_not_write_there_knows_the_dead_at_once_where_the_clocks_agree(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(liveness, "_stamp", lambda folder: None)
    dead = of_another_host(tmp_path, age=30)
    for _ in range(3):
        assert not is_running(dead)
        clock.passed += 1
    assert is_running(of_another_host(tmp_path, age=1))


def test_a_file_system_is_asked_for_its_time_once_a_minute_however_many_runs_there_are(tmp_path, clock, monkeypatch):
    asked, stamp = [], liveness._stamp
    monkeypatch.setattr(liveness, "_stamp", lambda folder: asked.append(folder) or stamp(folder))
    runs = [of_another_host(tmp_path) for _ in range(5)]
    assert all(is_running(run) for run in runs)
    assert len(asked) == 1
    clock.passed += 2 * liveness.CLOCK_S
    assert all(is_running(run) for run in runs)
    assert len(asked) == 2


@pytest.mark.parametrize("obstacle", ["a system without flock", "a lock file that cannot be opened"])
def test_where_no_lock_can_be_tried_the_heartbeat_decides(tmp_path, monkeypatch, obstacle):
    with create(tmp_path) as run:
        if obstacle == "a system without flock":
            monkeypatch.setattr(liveness, "fcntl", None)
        else:
            (run.path / "run.lock").unlink()
            (run.path / "run.lock").mkdir()
        assert is_running(run.path)
        os.utime(run.path / "heartbeat.json", (0, 0))
        assert not is_running(run.path)
