"""The writer of a run: what survives full disks, killed writers and deleted folders."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from engine.errors import StageError
from engine.events import Message, RunFailed, RunFinished
from engine.record.folder import LEFTOVER_S, RunFolder
from engine.record.listing import list_runs
from engine.record.liveness import is_running
from engine.record.reading import EventLog, read_config_yaml, read_events, read_summary
from engine.storage import paths
from tests.engine.record.made import CONFIG, REPOSITORY, create, finished, refusal, started, step, summary


def test_a_new_folder_is_whole_and_named_after_its_run(tmp_path):
    with create(tmp_path / "deep" / "runs") as run:
        assert run.id == "20260304-050607-sig-signs-s3"
        assert run.path == tmp_path / "deep" / "runs" / run.id
        assert read_config_yaml(run.path) == CONFIG
        assert (run.path / "checkpoints").is_dir()
        assert [entry.name for entry in run.path.parent.iterdir()] == [run.id]
    assert is_running(run.path) is False
    assert not (run.path / "heartbeat.json").exists()


def test_a_taken_name_gets_a_number_and_nothing_is_overwritten(tmp_path):
    with create(tmp_path) as first, create(tmp_path) as second:
        (tmp_path / f"{first.id}-3").write_text("somebody's file")
        (tmp_path / f"{first.id}-4").mkdir()
        with create(tmp_path) as fifth:
            assert [second.id, fifth.id] == [f"{first.id}-2", f"{first.id}-5"]
    assert (tmp_path / f"{first.id}-3").read_text() == "somebody's file"


def test_processes_that_start_at_the_same_second_get_folders_of_their_own(tmp_path):
    script = (
        "import sys; from datetime import datetime; from pathlib import Path\n"
        "from engine.record.folder import RunFolder\n"
        "sys.stdin.readline()\n"
        "for _ in range(8):\n"
        "    run = RunFolder.create(Path(sys.argv[1]), preset='sig', dataset='signs', seed=3,\n"
        "                           config_yaml='whole', now=datetime(2026, 3, 4, 5, 6, 7))\n"
        "    print(run.id, flush=True)\n"
        "    run.close()\n"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "runs")],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    ids = [line for worker in workers for line in worker.communicate(timeout=30)[0].split()]
    assert len(ids) == len(set(ids)) == 24
    assert sorted(entry.name for entry in (tmp_path / "runs").iterdir()) == sorted(ids)
    assert all((tmp_path / "runs" / name / "config.yaml").read_text() == "whole" for name in ids)


def test_an_out_that_is_a_file_or_under_one_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    for root in (file, file / "runs"):
        assert refusal(create, root).startswith(f"--out {root}: ")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert file.read_text() == "mine"


def test_an_out_nobody_can_write_is_refused():
    assert refusal(create, Path("/proc/runs")).startswith("--out /proc/runs: ")


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(paths.os, "fsync", full)
    root = tmp_path / "a" / "runs"
    message = refusal(create, root)
    assert message == f"--out {root}: cannot make a run folder there: No space left on device"
    assert list(tmp_path.iterdir()) == []


def test_what_killed_creations_left_is_swept_but_not_what_is_under_way(tmp_path):
    old, new = tmp_path / ".new-1-old", tmp_path / ".new-1-new"
    for folder in (old, new):
        (folder / "checkpoints").mkdir(parents=True)
    long_ago = time.time() - 2 * LEFTOVER_S
    os.utime(old, (long_ago, long_ago))
    create(tmp_path).close()
    assert not old.exists()
    assert new.exists()
    assert len(list_runs(tmp_path)) == 1


def test_events_are_numbered_timed_and_read_back(tmp_path):
    before = time.time()
    with create(tmp_path) as run:
        written = [run.append(started()), run.append(step()), run.append(RunFinished(seconds=1.5))]
    assert [event.seq for event in written] == [1, 2, 3]
    assert before <= written[0].time <= written[2].time <= time.time()
    assert read_events(run.path) == EventLog(written, 0)
    with pytest.raises(ValueError, match="not open"):
        run.append(step())


def test_threads_share_one_numbering(tmp_path):
    with create(tmp_path) as run:
        threads = [
            threading.Thread(target=lambda: [run.append(step(number)) for number in range(50)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    log = read_events(run.path)
    assert [event.seq for event in log.events] == list(range(1, 201))
    assert log.damaged == 0


def full_after(monkeypatch, run, bytes_left):
    """Let the disk of this run fill up after so many more bytes."""
    write, left = os.write, [bytes_left]

    def limited(descriptor, content):
        if descriptor != run._record:
            return write(descriptor, content)
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = bytes(content)[: left[0]]
        left[0] -= len(part)
        return write(descriptor, part)

    monkeypatch.setattr(os, "write", limited)


@pytest.mark.parametrize("bytes_left", [0, 1, 40])
def test_a_full_disk_is_told_and_half_a_line_is_taken_back(tmp_path, monkeypatch, bytes_left):
    with create(tmp_path) as run:
        first = run.append(started())
        record = (run.path / "events.jsonl").read_bytes()
        with monkeypatch.context() as patched:
            full_after(patched, run, bytes_left)
            with pytest.raises(StageError, match=r"cannot write the record: .*No space left on device"):
                run.append(step())
        assert (run.path / "events.jsonl").read_bytes() == record
        second = run.append(RunFailed(stage="attack", message="the disk is full"))
    assert second.seq == 2
    assert read_events(run.path) == EventLog([first, second], 0)


def test_half_a_line_that_cannot_be_taken_back_costs_no_other_line(tmp_path, monkeypatch):
    def broken(descriptor, size):
        raise OSError(errno.EIO, "Input/output error")

    with create(tmp_path) as run:
        first = run.append(started())
        with monkeypatch.context() as patched:
            full_after(patched, run, 30)
            patched.setattr(os, "ftruncate", broken)
            with pytest.raises(StageError):
                run.append(step())
        second = run.append(step())
    assert read_events(run.path) == EventLog([first, second], 1)


def test_a_deleted_folder_is_told_to_the_writer(tmp_path):
    with create(tmp_path) as run:
        run.append(started())
        shutil.rmtree(run.path)
        with pytest.raises(StageError, match="deleted"):
            run.append(Message(text="still there?"))
    assert list(tmp_path.iterdir()) == []


def test_decisive_events_reach_the_disk_and_frequent_ones_do_not_wait_for_it(tmp_path, monkeypatch):
    synced = []
    with create(tmp_path) as run:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", synced.append)
            run.append(step())
            assert synced == []
            run.append(finished("attack", 90.0, 99.0))
        assert synced == [run._record]


def test_a_summary_is_strict_json_and_replaced_whole(tmp_path):
    with create(tmp_path) as run:
        assert read_summary(run.path) is None
        run.write_summary({"schema": 1, "asr": float("nan"), "ci": (1.0, 2.0)})
        run.write_summary({"schema": 1, "asr": float("nan"), "ci": (1.0, float("inf"))})
        assert read_summary(run.path) == {"schema": 1, "asr": None, "ci": [1.0, None]}
        assert "NaN" not in (run.path / "summary.json").read_text()


def test_numbers_go_on_after_events_of_unknown_kinds(tmp_path):
    with create(tmp_path) as run:
        run.append(started())
    with (run.path / "events.jsonl").open("a") as record:
        record.write('{"kind":"from-the-future","seq":41,"time":1}\nrubbish\n')
    with RunFolder.open_for_resume(run.path) as again:
        assert again.append(step()).seq == 42


def test_only_an_unfinished_run_can_be_resumed(tmp_path):
    assert "no such run folder" in refusal(RunFolder.open_for_resume, tmp_path / "nothing")
    assert "not a run folder" in refusal(RunFolder.open_for_resume, tmp_path)
    with create(tmp_path) as run:
        run.write_summary(summary())
    assert "finished already" in refusal(RunFolder.open_for_resume, run.path)
    (run.path / "summary.json").write_text(json.dumps(summary(schema=3)))
    assert "newer" in refusal(RunFolder.open_for_resume, run.path)
    (run.path / "summary.json").write_text("{")
    assert "damaged" in refusal(RunFolder.open_for_resume, run.path)
    assert not (run.path / "heartbeat.json").exists()
