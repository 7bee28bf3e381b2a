"""Run folders: what survives torn lines, full disks, killed writers, and readers at any moment."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest
import yaml

import engine
from engine.errors import RequestError, StageError
from engine.events import (
    AttentionCaptured,
    Evaluation,
    Message,
    Metrics,
    Queued,
    RunFailed,
    RunFinished,
    RunResumed,
    RunStarted,
    RunStopped,
    StageFinished,
    StageStarted,
    Step,
)
from engine.record import store
from engine.record.store import RunFolder, Tail, find_run, is_running, list_runs, read_events, status
from engine.storage import paths
from tests import showcase

REPOSITORY = Path(engine.__file__).parents[1]
NOW = datetime(2026, 3, 4, 5, 6, 7)
CONFIG = yaml.safe_dump({"preset": "sig", "seed": 3, "data": {"name": "signs"}})


def create(root, **changes):
    request = {"preset": "sig", "dataset": "signs", "seed": 3, "config_yaml": CONFIG, "now": NOW}
    return RunFolder.create(root, **(request | changes))


def started(run="r", **changes):
    tables = {"config": {}, "environment": {}, "dataset": {"name": "signs"}, "model": {}}
    return RunStarted(run=run, stages=("attack", "teacher", "nad"), **(tables | changes))


def step(number=1, stage="attack"):
    return Step(
        stage=stage, epoch=1, step=number, loss=0.5, parts={"cross-entropy": 0.5}, lr=0.1, images_per_second=1650.0
    )


def finished(stage, acc, asr):
    metrics = Metrics(
        images=100,
        eligible=90,
        acc=acc,
        asr=asr,
        ra=1.0,
        base=0.4,
        acc_ci=(acc - 1, acc + 1),
        asr_ci=(0.0, 100.0),
        ra_ci=(0.0, 2.0),
        base_ci=(0.0, 1.0),
    )
    return StageFinished(
        stage=stage,
        metrics=metrics,
        checkpoint=f"checkpoints/{stage}.safetensors",
        sha256="0" * 64,
        epochs=1,
        seconds=2.0,
        evaluation_seconds=0.5,
        images_per_second=1000.0,
    )


def summary(name="r", started_at="2026-03-04T05:06:07+00:00", **changes):
    figures = [("attack", 97.1, 99.8), ("teacher", 95.0, 20.0), ("nad", 94.5, 1.5), ("fine-tuning", 90.0, 50.0)]
    stages = [{"stage": stage, "acc": acc, "asr": asr} for stage, acc, asr in figures]
    values = {"schema": 1, "run": name, "status": "finished", "preset": "sig", "seed": 3, "started": started_at}
    return values | {"dataset": {"name": "signs"}, "stages": stages} | changes


def refusal(call, *arguments, **keywords):
    """The message of the RequestError that the call must raise: always one line."""
    with pytest.raises(RequestError) as caught:
        call(*arguments, **keywords)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def python(script, *arguments):
    """A process of its own that runs this script, its standard output a pipe."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )


# --- making a folder ---


def test_a_new_folder_is_whole_and_named_after_its_run(tmp_path):
    with create(tmp_path / "deep" / "runs") as run:
        assert run.id == "20260304-050607-sig-signs-s3"
        assert run.path == tmp_path / "deep" / "runs" / run.id
        assert store.read_config_yaml(run.path) == CONFIG
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


@pytest.mark.parametrize(
    ("dataset", "shown"),
    [("signs", "signs"), ("/data/My Photos (2).npz", "my-photos-2"), ("../..", "data"), ("ein/Bäume", "b-ume")],
)
def test_a_path_as_data_set_becomes_a_plain_name(dataset, shown):
    assert store.run_id("sig", dataset, 0, NOW) == f"20260304-050607-sig-{shown}-s0"


def test_processes_that_start_at_the_same_second_get_folders_of_their_own(tmp_path):
    script = (
        "import sys; from datetime import datetime; from pathlib import Path\n"
        "from engine.record.store import RunFolder\n"
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
    long_ago = time.time() - 2 * store.LEFTOVER_S
    os.utime(old, (long_ago, long_ago))
    create(tmp_path).close()
    assert not old.exists()
    assert new.exists()
    assert len(list_runs(tmp_path)) == 1


def test_checkpoints_have_their_places_and_names_are_checked(tmp_path):
    run = RunFolder(tmp_path)
    assert run.checkpoint("fine-tuning") == tmp_path / "checkpoints" / "fine-tuning.safetensors"
    assert run.state("nad") == tmp_path / "checkpoints" / "nad.state.safetensors"
    for name in ("", "../nad", "nad/..", "/etc/passwd", "nad.state", "Nad", "nad\n", "a" * 65):
        refusal(run.checkpoint, name)
        refusal(run.state, name)


# --- writing the record ---


def test_events_are_numbered_timed_and_read_back(tmp_path):
    before = time.time()
    with create(tmp_path) as run:
        written = [run.append(started()), run.append(step()), run.append(RunFinished(seconds=1.5))]
    assert [event.seq for event in written] == [1, 2, 3]
    assert before <= written[0].time <= written[2].time <= time.time()
    assert read_events(run.path) == store.EventLog(written, 0)
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
    assert read_events(run.path) == store.EventLog([first, second], 0)


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
    assert read_events(run.path) == store.EventLog([first, second], 1)


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
        assert store.read_summary(run.path) is None
        run.write_summary({"schema": 1, "asr": float("nan"), "ci": (1.0, 2.0)})
        run.write_summary({"schema": 1, "asr": float("nan"), "ci": (1.0, float("inf"))})
        assert store.read_summary(run.path) == {"schema": 1, "asr": None, "ci": [1.0, None]}
        assert "NaN" not in (run.path / "summary.json").read_text()


# --- reading a record ---


def test_a_line_torn_at_any_byte_loses_itself_alone(tmp_path):
    with create(tmp_path) as run:
        events = [run.append(each) for each in (started(), step(), Message(text="ASR fällt → 2 %"))]
    record = run.path / "events.jsonl"
    content = record.read_bytes()
    begin = content.rindex(b"\n", 0, -1) + 1
    for end in range(begin, len(content)):
        record.write_bytes(content[:end])
        assert read_events(run.path) == store.EventLog(events[:2], 0)
        assert status(run.path) == "crashed"
        tail = Tail(run.path)
        assert tail.poll() == events[:2]
        with RunFolder.open_for_resume(run.path) as again:
            assert record.read_bytes() == content[:begin]
            fourth = again.append(RunResumed(stage="attack", epoch=0))
        assert fourth.seq == 3
        assert tail.poll() == [fourth]
        assert read_events(run.path) == store.EventLog([*events[:2], fourth], 0)


def test_damage_in_between_is_counted_and_the_rest_read(tmp_path):
    with create(tmp_path) as run:
        events = [run.append(each) for each in (started(), step(1), step(2))]
    record = run.path / "events.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    rubbish = [
        b"not json\n",
        b"\xff\xfe\x00\n",
        b"[1,2]\n",
        b"null\n",
        b"\n",
        lines[1][:50] + b"\n",
        b'{"kind":"step","epoch":{},"loss":[]}\n',
        b'{"kind":"run-finished","seconds":[]}\n',
        b'{"kind":"run-finished","seconds":1' + b"0" * 400 + b"}\n",
        b'{"kind":"attention-health","stage":"nad","epoch":1,"taps":5}\n',
        b'{"kind":"evaluation","stage":"nad","epoch":"x","step":1,"metrics":{}}\n',
        b"[" * 100_000 + b"\n",
        b'{"kind":"from-the-future","seq":9}\n',
    ]
    record.write_bytes(lines[0] + b"".join(rubbish) + lines[1] + lines[2])
    log = read_events(run.path)
    assert log.events == events
    assert log.damaged == len(rubbish) - 2  # an empty line, and a kind that is not known, are no damage
    tail = Tail(run.path)
    assert tail.poll() == events
    assert tail.damaged == log.damaged


def test_a_record_that_is_not_there_is_empty(tmp_path):
    assert read_events(tmp_path / "nothing") == store.EventLog([], 0)
    (tmp_path / "events.jsonl").mkdir()
    assert read_events(tmp_path) == store.EventLog([], 0)


def test_numbers_go_on_after_events_of_unknown_kinds(tmp_path):
    with create(tmp_path) as run:
        run.append(started())
    with (run.path / "events.jsonl").open("a") as record:
        record.write('{"kind":"from-the-future","seq":41,"time":1}\nrubbish\n')
    with RunFolder.open_for_resume(run.path) as again:
        assert again.append(step()).seq == 42


def test_a_tail_gives_every_event_once_however_the_bytes_arrive(tmp_path):
    with create(tmp_path) as run:
        events = [run.append(each) for each in (started(), step(1), Message(text="ASR fällt → 2 %"), step(2))]
    content = (run.path / "events.jsonl").read_bytes()
    copy = tmp_path / "copy"
    copy.mkdir()
    tail, seen = Tail(copy), []
    assert tail.poll() == []
    assert tail.missing
    for begin in range(0, len(content), 7):
        with (copy / "events.jsonl").open("ab") as record:
            record.write(content[begin : begin + 7])
        seen += tail.poll()
        assert not tail.missing
    assert seen == events
    assert tail.damaged == 0


def test_a_tail_survives_deletion_and_begins_again_with_another_record(tmp_path):
    with create(tmp_path) as run:
        events = [run.append(started()), run.append(step())]
    tail = Tail(run.path)
    assert tail.poll() == events
    shutil.rmtree(run.path)
    assert tail.poll() == []
    assert tail.missing
    with create(tmp_path) as run:
        other = run.append(started("another"))
        assert tail.poll() == [other]
        assert not tail.missing
        assert tail.poll() == []


def test_fifty_thousand_events_are_read_at_once(tmp_path):
    with create(tmp_path) as run:
        line = run.append(step()).to_json() + "\n"
    (run.path / "events.jsonl").write_text(line * 50_000)
    begin = time.process_time()
    assert len(read_events(run.path).events) == 50_000
    assert time.process_time() - begin < 5  # 0.4 s on an idle machine; the bound only catches what is not linear


# --- who writes ---


def test_a_run_is_running_while_its_writer_lives_and_no_longer(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from engine.record.store import RunFolder\n"
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
        heartbeat = store.read_heartbeat(run.path)
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
        assert store.read_heartbeat(run.path).pid == os.getpid()
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
    monkeypatch.setattr(store, "BEAT_S", 0.02)
    with create(tmp_path) as run:
        long_ago = time.time() - 100
        os.utime(run.path / "heartbeat.json", (long_ago, long_ago))
        deadline = time.time() + 10
        while store.read_heartbeat(run.path).beat < long_ago + 50 and time.time() < deadline:
            time.sleep(0.01)
        assert abs(store.read_heartbeat(run.path).beat - time.time()) < 5


@pytest.mark.parametrize(("age", "host", "expected"), [(1, "elsewhere", True), (100, "elsewhere", False)])
def test_a_writer_on_another_host_is_known_by_its_heartbeat(tmp_path, age, host, expected):
    run = create(tmp_path)
    run.close()
    heartbeat = run.path / "heartbeat.json"
    heartbeat.write_text(json.dumps({"pid": 1, "host": host, "time": 0}))
    os.utime(heartbeat, (time.time() - age, time.time() - age))
    assert is_running(run.path) is expected


@pytest.mark.parametrize("obstacle", ["a system without flock", "a lock file that cannot be opened"])
def test_where_no_lock_can_be_tried_the_heartbeat_decides(tmp_path, monkeypatch, obstacle):
    with create(tmp_path) as run:
        if obstacle == "a system without flock":
            monkeypatch.setattr(store, "fcntl", None)
        else:
            (run.path / "run.lock").unlink()
            (run.path / "run.lock").mkdir()
        assert is_running(run.path)
        os.utime(run.path / "heartbeat.json", (0, 0))
        assert not is_running(run.path)


# --- what cannot be resumed ---


def test_only_an_unfinished_run_can_be_resumed(tmp_path):
    assert "no such run folder" in refusal(RunFolder.open_for_resume, tmp_path / "nothing")
    assert "not a run folder" in refusal(RunFolder.open_for_resume, tmp_path)
    with create(tmp_path) as run:
        run.write_summary(summary())
    assert "finished already" in refusal(RunFolder.open_for_resume, run.path)
    (run.path / "summary.json").write_text(json.dumps(summary(schema=2)))
    assert "newer" in refusal(RunFolder.open_for_resume, run.path)
    (run.path / "summary.json").write_text("{")
    assert "damaged" in refusal(RunFolder.open_for_resume, run.path)
    assert not (run.path / "heartbeat.json").exists()


# --- lists of runs ---


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], "crashed"),
        ([started()], "crashed"),
        ([started(), RunStopped(stage="attack", epoch=1)], "stopped"),
        ([started(), RunStopped(stage="attack", epoch=1), Message(text="bye")], "stopped"),
        ([started(), RunFailed(stage="nad", message="NaN")], "failed"),
        ([started(), RunStopped(stage="nad", epoch=1), RunResumed(stage="nad", epoch=1), step()], "crashed"),
        ([started(), RunFailed(stage="nad", message="x"), StageStarted(stage="nad", epochs=1, steps=1)], "crashed"),
        ([started(), RunFinished(seconds=1.0)], "crashed"),
        ([started(), Queued(position=1)], "crashed"),
        ([started(schema=2)], "newer"),
    ],
)
def test_the_last_word_of_a_record_decides(tmp_path, events, expected):
    with create(tmp_path) as run:
        for event in events:
            run.append(event)
        waiting = bool(events) and isinstance(events[-1], Queued)
        assert status(run.path) == ("newer" if expected == "newer" else "queued" if waiting else "running")
    assert status(run.path) == expected


def test_damage_newer_schemas_and_deletion_show_as_such(tmp_path):
    run = create(tmp_path)
    run.close()
    file = run.path / "summary.json"
    cases = {
        "{": "damaged",
        "[]": "damaged",
        "{}": "damaged",
        "[" * 100_000: "damaged",
        json.dumps(summary(stages=5)): "damaged",
        json.dumps(summary(started="yesterday")): "damaged",
        json.dumps(summary(status="splendid")): "damaged",
        json.dumps(summary(schema=2)): "newer",
        json.dumps({"schema": 7, "everything": "different"}): "newer",
        json.dumps(summary()): "finished",
    }
    for content, expected in cases.items():
        file.write_text(content)
        assert (content[:40], status(run.path)) == (content[:40], expected)
    (run.path / "config.yaml").unlink()
    assert status(run.path) == "damaged"
    file.unlink()
    for config in ("", "a: [", "- 1", "preset: sig", "preset: sig\nseed: x\ndata: {name: signs}"):
        (run.path / "config.yaml").write_text(config)
        assert (config, status(run.path)) == (config, "damaged")
    (run.path / "config.yaml").write_bytes(b"\xff\xfe")
    assert status(run.path) == "damaged"
    assert [each.status for each in list_runs(tmp_path)] == ["damaged"]
    shutil.rmtree(run.path)
    assert status(run.path) == "deleted"
    assert list_runs(tmp_path) == []
    assert list_runs(tmp_path / "nothing") == []


def test_a_list_shows_what_each_run_reached_newest_first(tmp_path):
    with create(tmp_path, seed=0) as whole:
        whole.append(started())
        whole.write_summary(summary(seed=0, started_at="2020-01-01T00:00:00+00:00"))
    with create(tmp_path, seed=1) as partial:
        first = partial.append(started(dataset={"name": "cifar10"}))
        partial.append(StageStarted(stage="attack", epochs=1, steps=9))
        partial.append(finished("attack", 88.0, 99.5))
        partial.append(StageStarted(stage="nad", epochs=1, steps=9))
        for number in range(2_000):
            partial.append(step(number, "nad"))
        (tmp_path / ".new-7-x" / "checkpoints").mkdir(parents=True)
        (tmp_path / "notes").mkdir()
        (tmp_path / "notes.txt").write_text("no run")
        newest, oldest = list_runs(tmp_path)
    assert (newest.id, newest.path, newest.status) == (partial.id, partial.path, "running")
    assert (newest.preset, newest.dataset, newest.seed) == ("sig", "cifar10", 3)
    assert (newest.started, newest.stage) == (first.time, "nad")
    assert (newest.acc_before, newest.asr_before) == (88.0, 99.5)
    assert (newest.acc_after, newest.asr_after, newest.summary) == (None, None, None)
    assert (oldest.id, oldest.status, oldest.seed) == (whole.id, "finished", 0)
    assert oldest.started == datetime.fromisoformat("2020-01-01T00:00:00+00:00").timestamp()
    assert (oldest.acc_before, oldest.asr_before, oldest.acc_after, oldest.asr_after) == (97.1, 99.8, 94.5, 1.5)
    assert oldest.summary["stages"][3]["stage"] == "fine-tuning"
    assert [each.status for each in list_runs(tmp_path)] == ["crashed", "finished"]


def test_five_hundred_runs_are_listed_at_once(tmp_path):
    for number in range(500):
        folder = tmp_path / f"20260304-050607-sig-signs-s{number}"
        folder.mkdir()
        (folder / "config.yaml").write_text(CONFIG)
        (folder / "summary.json").write_text(json.dumps(summary(seed=number)))
    begin = time.process_time()
    heads = list_runs(tmp_path)
    assert time.process_time() - begin < 2  # 0.1 s on an idle machine; the bound only catches what is not linear
    assert sorted(each.seed for each in heads) == list(range(500))
    begin = time.process_time()
    assert list_runs(tmp_path) == heads
    assert time.process_time() - begin < 1


def test_runs_are_found_by_path_id_beginning_or_latest(tmp_path, monkeypatch):
    assert "no runs" in refusal(find_run, tmp_path, "latest")
    with create(tmp_path, seed=1) as first, create(tmp_path, preset="blend") as second:
        first.append(started())
        second.append(started())
    assert find_run(tmp_path, "latest") == second.path
    assert find_run(tmp_path, first.id) == first.path
    assert find_run(tmp_path, "20260304-050607-s") == first.path
    assert find_run(Path("elsewhere"), str(first.path)) == first.path
    monkeypatch.chdir(tmp_path.parent)
    assert find_run(Path("elsewhere"), f"{tmp_path.name}/{first.id}").resolve() == first.path
    several = refusal(find_run, tmp_path, "2026")
    assert first.id in several
    assert second.id in several
    assert first.id in refusal(find_run, tmp_path, "20260304-050607-sig-signs-s2")
    assert "no run" in refusal(find_run, tmp_path, "../nothing")
    assert "not a run folder" in refusal(find_run, tmp_path, "../..")
    assert "not a run folder" in refusal(find_run, tmp_path, str(tmp_path))
    refusal(find_run, tmp_path, "")


def test_an_id_that_begins_another_is_found_by_its_full_name(tmp_path):
    with create(tmp_path) as first, create(tmp_path) as second:
        assert second.id.startswith(first.id)
        assert find_run(tmp_path, first.id) == first.path


def test_attention_and_evaluation_keep_their_bytes_and_gaps(tmp_path):
    """What the maps and curves are made of comes back from the record bit for bit."""
    metrics = finished("nad", 90.0, float("nan")).metrics
    maps = AttentionCaptured(
        stage="nad",
        epoch=2,
        sample=0,
        tap="group 1",
        height=2,
        width=2,
        peak=3.5,
        clean=bytes([0, 255, 10, 13]),
        triggered=bytes(4),
    )
    with create(tmp_path) as run:
        run.append(maps)
        run.append(Evaluation(stage="nad", epoch=2, step=9, metrics=metrics))
    shown, measured = read_events(run.path).events
    assert (shown.clean, shown.triggered, shown.peak) == (maps.clean, maps.triggered, 3.5)
    assert measured.metrics.acc == 90.0
    assert measured.metrics.asr != measured.metrics.asr
    assert isinstance(measured.metrics.acc_ci, tuple)


def test_a_tail_that_wants_maps_of_few_epochs_gets_everything_else(tmp_path):
    folder = showcase.write(tmp_path, showcase.record(epochs=(40, 7, 8)))
    every = Tail(folder).poll()
    some = Tail(folder, maps_of=8).poll()
    maps = {stage: sorted({e.epoch for e in every if captured(e, stage)}) for stage in ("attack", "teacher", "nad")}
    kept = {stage: sorted({e.epoch for e in some if captured(e, stage)}) for stage in maps}
    assert len(kept["attack"]) <= 8 < len(maps["attack"])
    assert kept["attack"][-1] == maps["attack"][-1]
    assert kept["teacher"] == maps["teacher"]
    gone = [event for event in every if event not in some]
    assert gone == [e for e in every if captured(e, "attack") and e.epoch not in kept["attack"]]
    assert [event for event in every if event in some] == some


def captured(event, stage: str) -> bool:
    return isinstance(event, AttentionCaptured) and event.stage == stage
