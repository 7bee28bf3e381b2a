"""Who goes next, and what becomes of a cell however its call ends."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Container, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

from engine.errors import RequestError
from engine.record.layout import HEARTBEAT, checkpoint_file
from engine.record.liveness import own_heartbeat
from engine.sweeps import conducting, members, results, tries
from engine.sweeps.conducting import Conductor
from engine.sweeps.index import keep_from_now, read
from engine.sweeps.layout import MEMBERS, RUNS
from engine.sweeps.rows import rows
from tests.engine.sweeps.scripted_crew import DiedError, Scripted, finish, seen_through, sweep


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conducting, "POLL_S", 0.01)
    monkeypatch.setattr(conducting, "AGAIN_S", 0.02)


def test_every_cell_runs_once_and_a_finished_one_never_again(tmp_path: Path):
    crew = Scripted(slots=2)
    steps = seen_through(sweep(tmp_path / "s", crew))
    assert [step.what for step in steps] == ["finished"] * 3
    assert [(step.done, step.of) for step in steps] == [(1, 3), (2, 3), (3, 3)]
    assert [step.seconds_left for step in steps][-1] is None and steps[0].seconds_left == 3.0  # two workers, two cells
    assert {(row.status, row.acc, row.suspect_asr) for row in rows(tmp_path / "s")} == {("finished", 88.0, 99.0)}
    again = Scripted()
    conductor = sweep(tmp_path / "s", again, seed=[0, 1, 2, 3])
    assert len(seen_through(conductor)) == 1 and len(again.calls) == 1
    assert conductor.complete and not list((tmp_path / "s" / MEMBERS).iterdir())


def test_a_cell_that_fails_is_set_aside_until_asked_for_and_the_rest_goes_on(tmp_path: Path):
    bad = Scripted(lambda cell, call: int("-s1-" in cell))
    conductor = sweep(tmp_path / "s", bad)
    said = {step.what: step.said for step in seen_through(conductor)}
    assert (said["failed"], conductor.failed, conductor.complete) == ("it diverged", 1, True)
    assert [row.error for row in rows(tmp_path / "s")] == ["", "it diverged", ""]
    unasked = Scripted()
    assert seen_through(sweep(tmp_path / "s", unasked)) == [] and unasked.calls == []
    tries.forget(tmp_path / "s", tries.all_of(tmp_path / "s"))
    assert sum(step.what == "finished" for step in seen_through(sweep(tmp_path / "s", Scripted()))) == 1


def test_what_a_network_cannot_bear_is_no_failure_and_is_not_tried_again(tmp_path: Path):
    conductor = sweep(tmp_path / "s", Scripted(lambda cell, call: 3), seed=[0])
    assert [step.what for step in seen_through(conductor)] == ["n/a"]
    assert (conductor.failed, conductor.complete) == (0, True)
    assert [row.status for row in rows(tmp_path / "s")] == ["n/a"]
    assert seen_through(sweep(tmp_path / "s", Scripted(), seed=[0])) == []


def test_a_death_costs_one_of_three_tries(tmp_path: Path):
    twice = Scripted(lambda cell, call: DiedError() if call < 3 else 0)
    conductor = sweep(tmp_path / "s", twice, seed=[0])
    assert [step.what for step in seen_through(conductor)] == ["died", "died", "finished"]
    always = Scripted(lambda cell, call: DiedError())
    conductor = sweep(tmp_path / "t", always, seed=[0])
    assert [step.what for step in seen_through(conductor)] == ["died", "died", "failed"]
    assert rows(tmp_path / "t")[0].error == "3 workers died of it"


def test_a_worker_that_is_gone_without_a_word_has_died(tmp_path: Path):
    crew = Scripted(lambda cell, call: CancelledError() if call == 1 else 0)
    conductor = sweep(tmp_path / "s", crew, seed=[0])
    crew.gone = {cell.id for cell in conductor._index.cells}
    assert [step.what for step in seen_through(conductor)] == ["died", "finished"]


def test_a_preemption_costs_none(tmp_path: Path):
    crew = Scripted(lambda cell, call: 130 if call < 6 else 0)
    assert [step.what for step in seen_through(sweep(tmp_path / "s", crew, seed=[0]))] == [*["stopped"] * 5, "finished"]


def test_a_call_that_is_lost_or_finds_the_run_taken_is_made_again(tmp_path: Path):
    ends = [CancelledError(), 75, 0]
    crew = Scripted(lambda cell, call: ends[call - 1])
    assert [step.what for step in seen_through(sweep(tmp_path / "s", crew, seed=[0]))] == ["stopped", "finished"]


def test_a_stop_begins_nothing_more_and_leaves_the_rest_to_others(tmp_path: Path):
    crew = Scripted()
    conductor = sweep(tmp_path / "s", crew)
    for step in conductor.run():
        if step.what == "finished":
            conductor.stop()
    assert len(crew.calls) == 1 and not conductor.complete
    assert [row.status for row in rows(tmp_path / "s")] == ["finished", "new", "new"]


def test_what_is_under_way_is_stopped_when_the_one_who_hands_out_is_at_an_end(tmp_path: Path):
    let_go = threading.Event()
    crew = Scripted(lambda cell, call: 130 if let_go.wait(5) else 1)
    crew.ask = lambda folder, cells, wish: let_go.set()  # type: ignore[method-assign]
    steps = sweep(tmp_path / "s", crew).run()
    next(steps)
    steps.close()
    assert let_go.is_set()
    assert not tries.all_of(tmp_path / "s")[crew.calls[0]].failed


def test_the_suspect_is_made_by_one_cell_while_the_others_wait_and_then_go_on_together(tmp_path: Path):
    begun: list[str] = []
    alone: list[bool] = []
    together = threading.Barrier(2, timeout=20)

    def work(cell: str, call: int) -> int:
        begun.append(cell)
        if len(begun) == 1:
            time.sleep(0.1)
            alone.append(begun == [cell])
        else:
            together.wait()
        return 0

    steps = seen_through(sweep(tmp_path / "s", Scripted(work, slots=3)))
    assert alone == [True] and [step.what for step in steps] == ["finished"] * 3


@pytest.mark.parametrize(("slots", "fifth"), [(1, "fine-tuning"), (2, "nad")])
def test_of_the_last_cells_several_workers_begin_with_the_dearest(tmp_path: Path, slots: int, fifth: str):
    crew = Scripted(slots=slots)
    seen_through(sweep(tmp_path / "s", crew, seed=list(range(6)), defense=["fine-tuning", "nad"]))
    assert all("-fine-tuning-" in cell for cell in crew.calls[:4])
    assert f"-{fifth}-" in crew.calls[4]  # nobody knows yet how long one of NAD takes


def test_two_processes_share_a_sweep_and_neither_has_a_cell_of_the_other(tmp_path: Path):
    first = sweep(tmp_path / "s", Scripted(slots=1), seed=list(range(8)), attack_seed=[0, 1])
    crew = Scripted(slots=1)
    second = Conductor(tmp_path / "s", read(tmp_path / "s"), crew)
    joined = threading.Thread(target=lambda: list(second.run()))
    joined.start()
    list(first.run())
    joined.join()
    assert crew.calls and len(crew.calls) < 16
    assert {row.status for row in rows(tmp_path / "s")} == {"finished"}
    lines = (tmp_path / "s" / "results.jsonl").read_text().splitlines()
    assert len(lines) == 16


def test_a_member_that_died_has_nothing_in_hand_and_one_that_lives_is_heard(tmp_path: Path):
    sweep(tmp_path / "s", Scripted())
    folder = tmp_path / "s"
    dead = folder / MEMBERS / "host-1-dead"
    dead.mkdir(parents=True)
    (dead / members.HAND).write_text('{"a": 1.0}')
    (dead / HEARTBEAT).write_bytes(own_heartbeat())
    asleep = folder / MEMBERS / "elsewhere-1-asleep"
    asleep.mkdir()
    (asleep / HEARTBEAT).write_text('{"pid": 1, "host": "elsewhere", "time": 0.0}')
    os.utime(asleep / HEARTBEAT, (0, 0))
    with members.Member(folder) as one, members.Member(folder) as other:
        assert one.take(lambda busy: None if "a" in busy else "a") == "a"
        assert other.take(lambda busy: None if "a" in busy else "a") is None
        assert not dead.exists() and asleep.exists()  # of that one nobody knows here, for a day
        os.utime(asleep, (0, 0))
        assert one.take(lambda busy: None) is None and not asleep.exists()
        assert sorted(len(each.cells) for each in members.at_work(folder)) == [0, 1]
        assert members.ask(folder, "pause") == 2
        assert (one.wish(), one.wish(), other.wish()) == ("pause", None, "pause")
        one.give_back("a")
        assert other.take(lambda busy: "a" if not busy else None) == "a"
    assert members.at_work(folder) == []


def test_nobody_joins_a_process_of_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    crew = Scripted()
    conductor = sweep(tmp_path / "s", crew)
    with members.Member(tmp_path / "s") as other:
        monkeypatch.setattr(members, "program", lambda: "another")
        with pytest.raises(RequestError, match=f"{other.path.name} is at work on it with another version of nadtui"):
            list(conductor.run())
    assert crew.calls == []


def test_paused_nothing_begins_until_it_is_to_go_on(tmp_path: Path):
    crew = Scripted()
    conductor = sweep(tmp_path / "s", crew, attack_seed=[0, 1])
    seen: list[int] = []

    def steer() -> None:
        time.sleep(0.1)
        seen.append(len(crew.calls))
        members.ask(tmp_path / "s", "resume")

    for step in conductor.run():
        if step.what == "finished" and step.done == 1:
            members.ask(tmp_path / "s", "pause")
            threading.Thread(target=steer).start()
    assert seen[0] <= 2 and len(crew.calls) == 6 and "resume" in crew.asked


def test_cells_that_are_put_first_are_the_next_ones(tmp_path: Path):
    crew = Scripted()
    conductor = sweep(tmp_path / "s", crew)
    last = read(tmp_path / "s").cells[-1].id
    members.put_first(tmp_path / "s", [last])
    seen_through(conductor)
    assert crew.calls[0] == last


def test_a_cell_that_another_process_finished_meanwhile_is_not_begun(tmp_path: Path):
    crew = Scripted(lambda cell, call: finish(tmp_path / "s", read(tmp_path / "s").cells[1].id) or 0)
    seen_through(sweep(tmp_path / "s", crew))
    assert len(crew.calls) == 2


def test_what_is_not_here_is_left_to_others_and_the_rest_goes_on(tmp_path: Path):
    crew = Scripted(lambda cell, call: 77 if "-nad-" in cell else 0)
    conductor = sweep(tmp_path / "s", crew, defense=["fine-tuning", "nad"])
    steps = seen_through(conductor)
    assert sorted(step.what for step in steps) == [*["finished"] * 3, "stopped"]  # one of its kind is enough
    assert "not here: no data here" in [step.said for step in steps]
    assert (conductor.failed, conductor.complete) == (0, False)
    assert {row.status for row in rows(tmp_path / "s")} == {"finished", "new"}
    seen_through(conductor := sweep(tmp_path / "s", Scripted(), defense=["fine-tuning", "nad"]))
    assert conductor.complete


def test_a_process_that_can_do_nothing_of_it_says_so_as_of_a_wrong_request(tmp_path: Path):
    with pytest.raises(RequestError, match=r"^no data here$"):
        list(sweep(tmp_path / "s", Scripted(lambda cell, call: 77)).run())
    assert not tries.of(tmp_path / "s", rows(tmp_path / "s")[0].cell).failed


def test_a_run_that_cannot_be_gone_on_with_here_bars_no_other(tmp_path: Path):
    crew = Scripted(lambda cell, call: 77 if "-s0-" in cell else 0)
    conductor = sweep(tmp_path / "s", crew)
    (tmp_path / "s" / RUNS / next(iter(conductor._cells))).mkdir()
    assert sorted(step.what for step in seen_through(conductor)) == ["finished", "finished", "stopped"]
    again = sweep(tmp_path / "s", crew)
    assert [step.said for step in seen_through(again)] == ["not here: no data here"]  # what there is can be shown


def test_a_worker_that_lacks_something_is_spared_its_like_where_others_can_be_had(tmp_path: Path):
    crew = Scripted(lambda cell, call: 77 if call == 1 else 0)
    crew.others = True
    assert [step.what for step in seen_through(sweep(tmp_path / "s", crew))] == ["finished"] * 3
    assert len(crew.spared) == 3 and crew.dismissed == []


def test_a_summary_that_is_never_seen_is_left_to_others(tmp_path: Path):
    class Blind(Scripted):
        def _work(self, folder: Path, cell: str, call: int) -> dict[str, Any]:
            return {"run": cell, "code": 0, "error": ""}

    conductor = sweep(tmp_path / "s", Blind(), seed=[0])
    (step,) = seen_through(conductor)
    assert "its summary cannot be read here" in step.said
    assert not conductor.complete


def test_a_full_disk_stops_the_sweep_where_it_can_go_on(tmp_path: Path):
    crew = Scripted(lambda cell, call: 0 if "-s0-" in cell else 78)
    conductor = sweep(tmp_path / "s", crew)
    assert [(step.what, step.said) for step in seen_through(conductor)] == [("finished", ""), ("stopped", "disk full")]
    assert len(crew.calls) == 2 and not conductor.failed and not conductor.complete


def test_a_worker_that_cannot_do_it_is_left_out_where_there_are_others(tmp_path: Path):
    ends = [78, OSError(28, "No space left on device"), 0]
    crew = Scripted(lambda cell, call: ends[call - 1])
    crew.others = True
    conductor = sweep(tmp_path / "s", crew, seed=[0])
    assert [step.what for step in seen_through(conductor)] == ["stopped", "stopped", "finished"]
    assert len(crew.dismissed) == 2


def test_workers_that_share_a_full_disk_are_not_left_out_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(conducting, "unusable", lambda folder: "No space left on device")
    crew = Scripted(lambda cell, call: 78)
    crew.others = True
    conductor = sweep(tmp_path / "s", crew)
    assert [step.said for step in seen_through(conductor)] == ["disk full"] and crew.dismissed == []


@pytest.mark.parametrize(("said", "ends"), [(os.strerror(28), True), ("its stages are no list", False)])
def test_a_line_that_cannot_be_written_stops_what_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, ends: bool
):
    def full(folder: Path, lines: Sequence[Any]) -> None:
        if lines:
            raise RequestError(f"cannot write results.jsonl: {said}")

    monkeypatch.setattr(results, "write", full)
    conductor = sweep(tmp_path / "s", Scripted())
    if not ends:
        with pytest.raises(RequestError, match="its stages are no list"):
            list(conductor.run())
        return
    assert [(step.what, step.said) for step in seen_through(conductor)] == [
        ("note", f"cannot write results.jsonl: {said}")
    ]
    assert not conductor.complete
    monkeypatch.undo()
    seen_through(conductor := sweep(tmp_path / "s", Scripted()))
    assert conductor.complete and len((tmp_path / "s" / "results.jsonl").read_text().splitlines()) == 3


def test_what_cannot_be_put_here_is_no_workers_fault(tmp_path: Path):
    crew = Scripted(lambda cell, call: RequestError("runs: cannot be written"))
    crew.others = True
    conductor = sweep(tmp_path / "s", crew)
    assert [step.said for step in seen_through(conductor)] == ["runs: cannot be written"]
    assert crew.dismissed == [] and not conductor.complete


def test_a_worker_that_ends_before_it_begins_costs_no_try_but_not_for_ever(tmp_path: Path):
    class Unborn(Scripted):
        def _work(self, folder: Path, cell: str, call: int) -> dict[str, Any]:
            if call in unborn:
                raise DiedError
            return super()._work(folder, cell, call)

    unborn: Container[int] = (1, 2)
    steps = seen_through(sweep(tmp_path / "s", Unborn(), seed=[0]))
    assert [step.what for step in steps] == ["stopped", "stopped", "finished"]
    unborn = range(100)
    with pytest.raises(RequestError, match="workers end before they begin, 4 in a row"):
        list(sweep(tmp_path / "t", Unborn()).run())
    assert tries.all_of(tmp_path / "t") == {}


def test_a_summary_that_is_seen_late_is_waited_for(tmp_path: Path):
    class Late(Scripted):
        def _work(self, folder: Path, cell: str, call: int) -> dict[str, Any]:
            if call == 2:
                finish(folder, cell)
            return {"run": cell, "code": 0, "error": ""}

    crew = Late()
    assert [step.what for step in seen_through(sweep(tmp_path / "s", crew, seed=[0]))] == ["finished"]
    assert len(crew.calls) == 2 and rows(tmp_path / "s")[0].acc == 88.0


def test_what_was_finished_out_of_sight_is_noted_down_in_the_end(tmp_path: Path):
    crew = Scripted(lambda cell, call: finish(tmp_path / "s", read(tmp_path / "s").cells[1].id) or 0)
    seen_through(sweep(tmp_path / "s", crew))
    assert len((tmp_path / "s" / "results.jsonl").read_text().splitlines()) == 3


def test_what_is_to_be_kept_may_change_while_it_goes_on(tmp_path: Path):
    class Saving(Scripted):
        def _work(self, folder: Path, cell: str, call: int) -> dict[str, Any]:
            for stage in ("attack", "teacher", "nad"):
                file = checkpoint_file(folder / RUNS / cell, stage)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(stage)
            return super()._work(folder, cell, call)

    conductor = sweep(tmp_path / "s", Saving())
    kept = []
    for step in conductor.run():
        if step.what == "finished":
            assert step.cell is not None
            kept.append(len(list((tmp_path / "s" / RUNS / step.cell.id / "checkpoints").iterdir())))
            keep_from_now(tmp_path / "s", "none")
    assert kept == [2, 0, 0]


def test_without_workers_it_is_noticed_that_others_have_done_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(conducting, "LOOK_S", 0.0)
    crew = Scripted()
    crew.slots = 0
    conductor = sweep(tmp_path / "s", crew)
    other = threading.Timer(0.1, lambda: [finish(tmp_path / "s", cell.id) for cell in read(tmp_path / "s").cells])
    other.start()
    assert seen_through(conductor) == [] and conductor.complete and crew.calls == []
