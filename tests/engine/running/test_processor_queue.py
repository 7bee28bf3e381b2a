"""Runs on one machine share its processors: first come, first served, and nobody waits for the dead."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import engine
from engine.errors import RequestError
from engine.running import processor_queue
from engine.running.processor_queue import Claim, Waiting
from engine.storage.paths import write_atomically

TWO = (0, 1)
"""The processors of the machine in these tests."""

HOLD_OR_WAIT = """
import sys, time
from engine.running.processor_queue import Claim
threads, label = int(sys.argv[1]), sys.argv[2]
claim = Claim(threads, label, available=(0, 1))
state = claim.poll()
print("waiting" if state else "holding", flush=True)
while claim.poll() is not None:
    time.sleep(0.02)
print("in", flush=True)
sys.stdin.readline()
claim.release()
print("out", flush=True)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NADTUI_MACHINE", str(tmp_path / "machine"))
    return tmp_path / "machine"


@contextmanager
def process(threads, label):
    """A run in a process of its own, which holds what it gets until its standard input says otherwise."""
    run = subprocess.Popen(
        [sys.executable, "-c", HOLD_OR_WAIT, str(threads), label],
        cwd=Path(engine.__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield run
    finally:
        run.kill()
        run.communicate()


def line(run):
    return run.stdout.readline().strip()


def claim(threads, label, **changes):
    return Claim(threads, label, **({"available": TWO} | changes))


def poll_until_held(waiting, seconds=120.0):
    deadline = time.monotonic() + seconds
    while waiting.poll() is not None:
        assert time.monotonic() < deadline, "the claim was never granted"
        time.sleep(0.01)


# --- one machine, several runs ---


def test_a_run_alone_gets_all_it_asks_for_at_once():
    with claim(None, "alone") as alone:
        assert alone.threads == 2
        assert alone.poll() is None
        assert alone.poll() is None
        assert alone.held == ("cpu-0", "cpu-1")
        assert processor_queue.holders() == {"cpu-0": "alone", "cpu-1": "alone"}
        assert processor_queue.queue() == []
    assert alone.held == ()
    assert processor_queue.holders() == {}


def test_two_runs_of_one_thread_go_side_by_side_and_a_third_waits():
    with claim(1, "a") as a, claim(1, "b") as b, claim(1, "c") as c:
        assert a.poll() is None
        assert b.poll() is None
        assert set(a.held).isdisjoint(b.held)
        assert c.poll() == Waiting(1, ("a", "b"))
        a.release()
        assert c.poll() is None
        assert processor_queue.holders() == {"cpu-0": "c", "cpu-1": "b"}


def test_a_run_that_wants_all_waits_for_all_and_is_not_overtaken():
    with claim(1, "small") as small, claim(2, "large") as large, claim(1, "late") as late:
        assert small.poll() is None
        assert large.poll() == Waiting(1, ("small",))
        assert late.poll() == Waiting(2, ("small",))  # a processor is free, but the large run came first
        small.release()
        assert late.poll() == Waiting(2, ())
        assert large.poll() is None
        assert late.poll() == Waiting(1, ("large",))
        large.release()
        assert late.poll() is None


def test_giving_up_frees_the_place_in_the_queue():
    with claim(2, "first") as first, claim(2, "second") as second, claim(2, "third") as third:
        assert first.poll() is None
        assert second.poll() == Waiting(1, ("first",))
        assert third.poll() == Waiting(2, ("first",))
        second.release()
        second.release()
        assert third.poll() == Waiting(1, ("first",))
        assert [ticket.label for ticket in processor_queue.queue()] == ["third"]


def test_processors_that_a_run_may_not_use_are_not_its_business():
    with claim(2, "left", available=(0, 1)) as left, claim(None, "right", available=(2, 3)) as right:
        assert left.poll() is None
        with claim(2, "next", available=(0, 1)) as following:
            assert following.poll() == Waiting(1, ("left",))
            assert right.poll() is None
            assert right.held == ("cpu-2", "cpu-3")


def test_an_accelerator_is_one_token_beside_the_processors(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with ExitStack() as stack:
        cpu = stack.enter_context(claim(2, "cpu"))
        first = stack.enter_context(claim(2, "gpu", device="cuda"))
        same = stack.enter_context(claim(1, "same", device="cuda:0"))
        other = stack.enter_context(claim(1, "other", device="cuda:1"))
        apple = stack.enter_context(claim(None, "apple", device="mps"))
        assert [each.poll() for each in (cpu, first, other, apple)] == [None] * 4
        assert same.poll() == Waiting(1, ("gpu",))
        assert first.held == ("cuda-0",)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
        third = stack.enter_context(claim(1, "third", device="cuda:0"))
        assert third.poll() is None
        assert third.held == ("cuda-3",)
        assert stack.enter_context(claim(1, "x", device="cuda:1")).poll() == Waiting(1, ("other",))


def test_an_accelerator_that_is_to_be_shared_has_room_for_as_many_runs_and_no_more(monkeypatch):
    monkeypatch.setenv(processor_queue.SHARES, "2")
    with ExitStack() as stack:
        claims = [stack.enter_context(claim(1, str(number), device="cuda:0")) for number in range(3)]
        assert [each.poll() for each in claims[:2]] == [None, None]
        assert claims[2].poll() == Waiting(1, ("0", "1"))
        claims[0].release()
        assert claims[2].poll() is None


def test_more_threads_than_processors_are_refused():
    with pytest.raises(RequestError, match="threads = 3: this machine has 2 processors; allowed: 1 to 2"):
        claim(3, "greedy")
    count = len(processor_queue.processors())
    assert processor_queue.check_threads(None) == count
    with pytest.raises(RequestError, match=f"allowed: 1 to {count}"):
        processor_queue.check_threads(count + 1)


# --- processes ---


def test_a_killed_holder_lets_the_next_in():
    with process(2, "victim") as victim, claim(2, "heir") as heir:
        assert [line(victim), line(victim)] == ["holding", "in"]
        assert heir.poll() == Waiting(1, ("victim",))
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        poll_until_held(heir)
        assert processor_queue.holders() == {"cpu-0": "heir", "cpu-1": "heir"}


def test_a_killed_waiter_keeps_nobody_waiting(folder):
    with claim(2, "holder") as holder, process(2, "victim") as victim, claim(2, "next") as following:
        assert holder.poll() is None
        assert line(victim) == "waiting"
        assert following.poll() == Waiting(2, ("holder",))
        assert [(ticket.label, ticket.pid) for ticket in processor_queue.queue()] == [
            ("victim", victim.pid),
            ("next", os.getpid()),
        ]
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        assert following.poll() == Waiting(1, ("holder",))
        holder.release()
        assert following.poll() is None
        assert list((folder / "tickets").iterdir()) == []


def test_processes_are_served_in_the_order_they_came():
    with claim(2, "holder") as holder, ExitStack() as stack:
        assert holder.poll() is None
        runs = []
        for label in ("first", "second", "third"):
            runs.append(stack.enter_context(process(2, label)))
            assert line(runs[-1]) == "waiting"
        assert [ticket.label for ticket in processor_queue.queue()] == ["first", "second", "third"]
        holder.release()
        for run, label in zip(runs, ("first", "second", "third"), strict=True):
            assert line(run) == "in"
            assert processor_queue.holders() == {"cpu-0": label, "cpu-1": label}
            run.stdin.write("\n")
            run.stdin.flush()
            assert line(run) == "out"


def test_at_no_time_do_processes_hold_more_than_there_is(folder, tmp_path):
    """Five processes take one or two of two processors many times over; each counts who is inside with it."""
    script = (
        "import os, sys, time; from pathlib import Path; from engine.running.processor_queue import Claim\n"
        "inside = Path(sys.argv[1])\n"
        "for turn in range(6):\n"
        "    threads = 1 + (turn + int(sys.argv[2])) % 2\n"
        "    with Claim(threads, 'x', available=(0, 1)) as claim:\n"
        "        while claim.poll() is not None: time.sleep(0.001)\n"
        "        for token in claim.held: (inside / token).touch(exist_ok=False)\n"
        "        time.sleep(0.001)\n"
        "        for token in claim.held: (inside / token).unlink()\n"
    )
    (tmp_path / "inside").mkdir()
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "inside"), str(number)],
            cwd=Path(engine.__file__).parents[1],
        )
        for number in range(5)
    ]
    assert [run.wait(timeout=300) for run in runs] == [0] * 5
    assert processor_queue.queue() == []
    assert processor_queue.holders() == {}


def test_a_suspended_waiter_is_passed_over_and_keeps_its_place(monkeypatch):
    with claim(2, "holder") as holder, process(2, "sleeper") as sleeper, claim(1, "awake") as awake:
        assert holder.poll() is None
        assert line(sleeper) == "waiting"
        for _ in range(20):
            os.kill(sleeper.pid, signal.SIGSTOP)
            time.sleep(0.1)
            state = awake.poll()
            if state != Waiting(1, ()):
                break
            # Stopped within the milliseconds in which it holds the queue, where nobody can look: once more.
            os.kill(sleeper.pid, signal.SIGCONT)
            time.sleep(0.02)
        assert state == Waiting(2, ("holder",))
        monkeypatch.setattr(processor_queue, "QUIET_S", 0.05)
        time.sleep(0.1)
        assert awake.poll() == Waiting(1, ("holder",))
        holder.release()
        assert awake.poll() is None
        assert [ticket.label for ticket in processor_queue.queue()] == ["sleeper"]
        os.kill(sleeper.pid, signal.SIGCONT)
        awake.release()
        assert line(sleeper) == "in"


# --- reordering ---


def test_another_process_or_thread_can_move_a_run_in_the_queue():
    with claim(2, "holder") as holder, ExitStack() as stack:
        assert holder.poll() is None
        waiting = {label: stack.enter_context(claim(2, label)) for label in "abc"}
        for each in waiting.values():
            each.poll()
        last = processor_queue.queue()[-1]
        assert last.label == "c"
        assert [ticket.label for ticket in processor_queue.move(last.id, 1)] == ["c", "a", "b"]
        assert [ticket.label for ticket in processor_queue.queue()] == ["c", "a", "b"]
        assert [waiting[label].poll().position for label in "abc"] == [2, 3, 1]
        assert [ticket.label for ticket in processor_queue.move(last.id, 99)] == ["a", "b", "c"]
        processor_queue.move(last.id, 2)
        late = stack.enter_context(claim(2, "late"))
        assert late.poll().position == 4
        holder.release()
        for label in "acb":
            assert waiting[label].poll() is None
            waiting[label].release()
        assert late.poll() is None
        with pytest.raises(RequestError, match="no run waits"):
            processor_queue.move(last.id, 1)


def test_being_moved_is_not_asking():
    """Whoever moves a suspended run writes its ticket, which does not wake it."""
    with claim(2, "holder") as holder, claim(2, "first") as first, claim(2, "second") as second:
        assert holder.poll() is None
        first.poll()
        second.poll()
        before = processor_queue.queue()
        time.sleep(0.05)  # so that a time written now is another
        after = processor_queue.move(before[1].id, 1)
        assert [ticket.label for ticket in after] == ["second", "first"]
        assert [ticket.asked for ticket in processor_queue.queue()] == [ticket.asked for ticket in reversed(before)]


def test_the_clock_of_a_file_server_makes_nobody_quiet(monkeypatch):
    def written_there(path, content):
        write_atomically(path, content)
        os.utime(path, (0, 0))

    monkeypatch.setattr(processor_queue, "write_atomically", written_there)
    with claim(2, "holder") as holder, claim(2, "first") as first, claim(2, "second") as second:
        assert holder.poll() is None
        for each in (first, second):
            each.poll()
        waiting = processor_queue.queue()
        processor_queue.move(waiting[1].id, 1)
        assert not any(ticket.quiet for ticket in processor_queue.queue())
        assert [first.poll().position, second.poll().position] == [2, 1]


# --- the shared folder ---


def test_the_shared_folder_follows_the_user_and_the_host_only(tmp_path, monkeypatch):
    monkeypatch.delenv("NADTUI_MACHINE")
    before = processor_queue.machine_dir()
    monkeypatch.setenv("NADTUI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NADTUI_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    assert processor_queue.machine_dir() == before
    monkeypatch.setattr(processor_queue.socket, "gethostname", lambda: "another/host")
    assert processor_queue.machine_dir() == before.with_name("another-host")


def test_a_shared_folder_that_cannot_be_used_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NADTUI_MACHINE", str(tmp_path / "file"))
    with pytest.raises(RequestError, match="NADTUI_MACHINE names another folder") as caught:
        claim(1, "x").poll()
    assert "\n" not in str(caught.value)
    with pytest.raises(RequestError):
        processor_queue.queue()


def test_looking_at_an_unused_machine_makes_nothing(folder):
    assert processor_queue.queue() == []
    assert processor_queue.holders() == {}
    assert not folder.exists()


def test_rubbish_and_hands_in_the_shared_folder_stop_nobody(folder):
    with claim(2, "holder") as holder, claim(2, "waiter") as waiter:
        assert holder.poll() is None
        waiter.poll()
        (folder / "cpu-0.json").write_text("{")
        (folder / "cpu-1.json").unlink()
        (folder / "tickets" / "rubbish.json").write_text("rubbish")
        (folder / "tickets" / "orphan.lock").write_text("")
        for ticket in (folder / "tickets").glob("*-*.json"):
            ticket.unlink()
        assert waiter.poll() == Waiting(1, ("another run",))
        assert [ticket.label for ticket in processor_queue.queue()] == ["waiter"]
        assert sorted(file.suffix for file in (folder / "tickets").iterdir()) == [".json", ".lock"]
        holder.release()
        assert waiter.poll() is None


def test_a_claim_that_fails_half_way_holds_nothing(monkeypatch):
    def full(path, content):
        raise RequestError("No space left on device")

    with claim(2, "first") as first:
        with monkeypatch.context() as patched:
            patched.setattr(processor_queue, "write_atomically", full)
            with pytest.raises(RequestError, match="No space"):
                first.poll()
        assert first.held == ()
        with claim(2, "second") as second:
            assert second.poll() is None
