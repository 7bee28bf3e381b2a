"""Lists of runs: what a line shows of each, and which run a person means."""

import json
import shutil
import time
from datetime import datetime
from pathlib import Path

import pytest

from engine.events import (
    SCHEMA,
    Message,
    PlannedStage,
    Queued,
    RunFailed,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStopped,
    StageStarted,
)
from engine.record.folder import RunFolder
from engine.record.listing import find_run, head, list_runs, status
from engine.record.reading import read_events
from engine.record.summary import summarize
from engine.record.view import fold
from tests.engine.record.made import CONFIG, create, evaluation, finished, refusal, started, step, summary


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
        ([started(), RunPaused(paused=True)], "crashed"),
        ([started(schema=3)], "newer"),
    ],
)
def test_the_last_word_of_a_record_decides(tmp_path, events, expected):
    with create(tmp_path) as run:
        for event in events:
            run.append(event)
        held = {"queued": "queued", "run-paused": "paused"}.get(events[-1].kind if events else "", "running")
        assert status(run.path) == ("newer" if expected == "newer" else held)
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
        json.dumps(summary(status="running")): "damaged",
        json.dumps(summary(schema=3)): "newer",
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
    assert (oldest.more, oldest.schema, newest.more) == (1, SCHEMA, 0)
    assert oldest.summary["stages"][3]["stage"] == "fine-tuning"
    assert [each.status for each in list_runs(tmp_path)] == ["crashed", "finished"]


@pytest.mark.parametrize("failed", ["attack", "nad"])
def test_a_failed_run_names_the_stage_that_failed(failed, tmp_path):
    """Whatever stages have figures; one that fails as it is made ready has not begun."""
    with create(tmp_path) as run:
        run.append(started(config={"preset": "sig", "seed": 3}))
        if failed == "nad":
            run.append(finished("attack", 88.0, 99.5))
            run.append(finished("teacher", 75.0, 20.0))
        run.append(RunFailed(stage=failed, message="x"))
        run.append(Message(text="bye"))
    assert (status(run.path), head(run.path).stage) == ("failed", failed)
    (run.path / "summary.json").write_text(json.dumps(summarize(fold(read_events(run.path).events))))
    assert (status(run.path), head(run.path).stage) == ("failed", failed)
    (run.path / "events.jsonl").unlink()
    assert (status(run.path), head(run.path).stage) == ("failed", None)


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


def planned(*stages):
    """A plan of stages, each a name and a role."""
    return tuple(PlannedStage(name=name, role=role, defense=name) for name, role in stages)


SEVERAL = planned(
    ("base", "suspect"), ("probe", "measurement"), ("fp", "purified"), ("r", "reference"), ("clp", "purified")
)


def figures(listed):
    return listed.acc_before, listed.asr_before, listed.acc_after, listed.asr_after, listed.more


def test_of_several_purified_models_the_first_of_the_plan_is_shown_and_the_others_counted(tmp_path):
    with create(tmp_path) as run:
        run.append(started(plan=SEVERAL, config={"preset": "sig", "seed": 3}))
        assert figures(head(run.path)) == (None, None, None, None, 1)
        for stage, acc, asr in (("base", 97.0, 99.0), ("probe", 1.0, 2.0), ("clp", 80.0, 8.0), ("nobody", 3.0, 4.0)):
            run.append(finished(stage, acc, asr))
        assert figures(head(run.path)) == (97.0, 99.0, None, None, 1)
        run.append(finished("fp", 90.0, 9.0))
        assert figures(head(run.path)) == (97.0, 99.0, 90.0, 9.0, 1)
        run.append(RunFinished(seconds=1.0))
        run.write_summary(summarize(fold(read_events(run.path).events)))
    listed = head(run.path)
    assert (listed.status, figures(listed)) == ("finished", (97.0, 99.0, 90.0, 9.0, 1))


def test_a_suspect_without_an_attack_has_an_acc_alone(tmp_path):
    with create(tmp_path) as run:
        run.append(started(plan=SEVERAL[:3], attacked=False))
        run.append(finished("base", 97.0, float("nan")))
        run.append(finished("fp", 90.0, float("nan")))
        assert figures(head(run.path)) == (97.0, None, 90.0, None, 0)


def test_a_record_whose_fields_a_newer_version_changed_is_newer_and_not_damaged(tmp_path):
    with create(tmp_path) as run:
        run.append(step())
    line = {"kind": "run-started", "seq": 1, "time": 5.0, "schema": SCHEMA + 1, "plan": "a graph"}
    (run.path / "events.jsonl").write_text(json.dumps(line) + "\n")
    assert status(run.path) == "newer"
    assert "newer" in refusal(RunFolder.open_for_resume, run.path)


def test_what_can_be_gone_on_with_is_told(tmp_path):
    with create(tmp_path) as run:
        run.append(started())
        assert not head(run.path).resumable
    assert head(run.path).resumable
    with create(tmp_path) as old:
        old.append(started(schema=1))
    assert head(old.path).status == "crashed" and not head(old.path).resumable


def test_a_stage_under_way_shows_the_values_it_has(tmp_path):
    """A teacher's until there is a purified model; no verdict on one that is not finished."""
    with create(tmp_path) as run:
        run.append(started())
        run.append(finished("attack", 88.0, 99.5))
        run.append(StageStarted(stage="teacher", epochs=2, steps=9))
        run.append(evaluation("teacher", 1, 70.0, 40.0))
        run.append(evaluation("teacher", 2, 71.0, 30.0))
        run.append(step(3, "teacher"))
        found = head(run.path)
        assert (found.acc_after, found.acc_newest, found.asr_newest, found.stage) == (None, 71.0, 30.0, "teacher")
        run.append(finished("teacher", 75.0, 20.0))
        run.append(StageStarted(stage="nad", epochs=2, steps=9))
        assert head(run.path).acc_newest == 75.0
        run.append(evaluation("nad", 1, 80.0, 3.0))
        found = head(run.path)
        assert (found.acc_after, found.asr_after, found.acc_newest, found.verdict) == (80.0, 3.0, 80.0, "")
        run.append(finished("nad", 81.0, 2.0))
        assert head(run.path).verdict


def test_a_defense_that_was_added_to_teach_does_not_stand_for_the_run(tmp_path):
    plan = (
        PlannedStage(name="attack", role="suspect"),
        PlannedStage(name="fst", role="purified", defense="fst", needs=("attack",)),
        PlannedStage(name="teacher", role="reference", defense="nad", needs=("attack", "fst")),
        PlannedStage(name="nad", role="purified", defense="nad", needs=("attack", "fst", "teacher")),
        PlannedStage(name="clp", role="purified", defense="clp", needs=("attack",)),
    )
    with create(tmp_path) as run:
        run.append(started(plan=plan, config={"preset": "sig", "seed": 3}))
        for stage, acc, asr in (("attack", 97.0, 99.0), ("fst", 90.0, 60.0)):
            run.append(finished(stage, acc, asr))
        assert figures(head(run.path)) == (97.0, 99.0, None, None, 2)
        for stage, acc, asr in (("teacher", 90.0, 60.0), ("nad", 94.0, 1.0), ("clp", 80.0, 9.0)):
            run.append(finished(stage, acc, asr))
        run.append(RunFinished(seconds=1.0))
        assert figures(head(run.path)) == (97.0, 99.0, 94.0, 1.0, 2)
        view = fold(read_events(run.path).events)
        assert view.foremost is not None and view.foremost.name == "nad"
        run.write_summary(summarize(view))
    found = head(run.path)
    assert (found.status, figures(found), bool(found.verdict)) == ("finished", (97.0, 99.0, 94.0, 1.0, 2), True)
