"""Reading a record, whole or while it grows: torn and damaged lines cost themselves alone."""

import shutil
import time

import pytest

from engine.events import AttentionCaptured, Evaluation, Message, PlannedStage, RunResumed, SampleShown
from engine.record.codec import encode
from engine.record.folder import RunFolder
from engine.record.listing import status
from engine.record.reading import EventLog, Tail, read_events, read_settings
from engine.record.view import RunView
from tests import showcase
from tests.engine.record.made import create, finished, refusal, started, step


def test_a_line_torn_at_any_byte_loses_itself_alone(tmp_path):
    with create(tmp_path) as run:
        events = [run.append(each) for each in (started(), step(), Message(text="ASR fällt → 2 %"))]
    record = run.path / "events.jsonl"
    content = record.read_bytes()
    begin = content.rindex(b"\n", 0, -1) + 1
    for end in range(begin, len(content)):
        record.write_bytes(content[:end])
        assert read_events(run.path) == EventLog(events[:2], 0)
        assert status(run.path) == "crashed"
        tail = Tail(run.path)
        assert tail.poll() == events[:2]
        with RunFolder.open_for_resume(run.path) as again:
            assert record.read_bytes() == content[:begin]
            fourth = again.append(RunResumed(stage="attack", epoch=0))
        assert fourth.seq == 3
        assert tail.poll() == [fourth]
        assert read_events(run.path) == EventLog([*events[:2], fourth], 0)


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
    assert read_events(tmp_path / "nothing") == EventLog([], 0)
    (tmp_path / "events.jsonl").mkdir()
    assert read_events(tmp_path) == EventLog([], 0)


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
        line = encode(run.append(step())) + "\n"
    (run.path / "events.jsonl").write_text(line * 50_000)
    begin = time.process_time()
    assert len(read_events(run.path).events) == 50_000
    assert time.process_time() - begin < 5  # 0.4 s on an idle machine; the bound only catches what is not linear


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


def test_a_tail_tells_of_several_purified_models_and_a_measurement(tmp_path):
    roles = (("suspect", "a"), ("purified", "b"), ("measurement", "c"), ("purified", "d"))
    plan = tuple(PlannedStage(name=name, role=role, defense=name) for role, name in roles)
    view = RunView()
    with create(tmp_path) as run:
        tail = Tail(run.path)
        for event in (started(plan=plan), finished("a", 97.0, 99.0), finished("b", 90.0, 9.0), finished("e", 1.0, 1.0)):
            run.append(event)
            for each in tail.poll():
                view.apply(each)
    assert [stage.name for stage in view.purified] == ["b", "d"]
    assert [stage.name for stage in view.by_role("measurement")] == ["c"]
    assert (view.stages["b"].metrics.acc, view.stages["d"].metrics, view.stages["e"].role) == (90.0, None, None)


def test_what_is_no_trigger_stays_empty(tmp_path):
    sample = SampleShown(sample=0, index=1, label=2, height=1, width=1, clean=b"rgb", triggered=b"")
    with create(tmp_path) as run:
        written = [run.append(started(attacked=False)), run.append(sample)]
    assert read_events(run.path).events == written


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "&a [*a", "!!int x", "2001-99-99", "[" * 10_000])
def test_settings_that_are_none_are_refused(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    assert "cannot be read" in refusal(read_settings, tmp_path)
