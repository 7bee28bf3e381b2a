"""What other processes ask of a run, through a file in its folder."""

from __future__ import annotations

import shutil

import pytest

from engine import control, run
from engine import events as ev
from engine.control import Control, Stopped
from engine.errors import RequestError
from engine.record.reading import read_events
from engine.running import mailbox
from engine.running.job import Job
from engine.running.request import RunRequest
from engine.storage.paths import cache_dir
from tests.tiny import ENDLESS, runs_in, tiny_config


@pytest.fixture
def attentive(monkeypatch):
    """A control that listens at every look."""
    monkeypatch.setattr(control, "LISTEN_S", 0.0)
    return Control()


@pytest.mark.parametrize("wish", ["pause", "resume", "stop"])
def test_a_wish_is_taken_once(tmp_path, wish):
    mailbox.ask(tmp_path, wish)
    assert mailbox.take(tmp_path) == wish
    assert mailbox.take(tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_the_last_word_counts(tmp_path):
    mailbox.ask(tmp_path, "pause")
    mailbox.ask(tmp_path, "stop")
    assert mailbox.take(tmp_path) == "stop"
    assert mailbox.take(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"dance", b"\xff\xfe", b"stop\n", b"stop stop"])
def test_what_is_no_wish_is_passed_over(tmp_path, content):
    (tmp_path / mailbox.FILE).write_bytes(content)
    assert mailbox.take(tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="file"):
        mailbox.ask(tmp_path / "file", "stop")


def test_what_is_left_is_forgotten(tmp_path, attentive):
    with mailbox.heard(tmp_path, attentive):
        mailbox.ask(tmp_path, "pause")
        attentive.check()
        assert attentive.paused
        mailbox.ask(tmp_path, "stop")
    attentive.check()
    assert not list(tmp_path.iterdir())


def test_a_paused_run_hears_that_it_may_go_on(tmp_path, attentive):
    with mailbox.heard(tmp_path, attentive):
        mailbox.ask(tmp_path, "pause")
        attentive.check()
        held = attentive.checkpoint()
        assert next(held) == ev.RunPaused(paused=True)
        mailbox.ask(tmp_path, "resume")
        assert next(held) == ev.RunPaused(paused=False)


def test_a_run_that_waits_hears_that_it_must_stop(tmp_path, attentive):
    with mailbox.heard(tmp_path, attentive):
        mailbox.ask(tmp_path, "stop")
        with pytest.raises(Stopped):
            attentive.wait(0.01)


def test_listening_is_rationed(tmp_path, monkeypatch):
    monkeypatch.setattr(control, "LISTEN_S", 3600.0)
    looks = []
    one = Control()
    one.listen(lambda: looks.append(1))
    for _ in range(1000):
        one.check()
    assert len(looks) <= 1


@pytest.mark.parametrize(("asked", "last"), [("before", ev.RunFinished), ("while the data loads", ev.RunStopped)])
def test_a_resumed_run_hears_what_was_asked_since_its_folder_was_opened(tmp_path, attentive, asked, last):
    for event in run(RunRequest(config=tiny_config(), out=tmp_path, cache=False), attentive):
        if isinstance(event, ev.StageStarted) and event.stage == "nad":
            attentive.stop()
    (folder,) = runs_in(tmp_path)
    if asked == "before":
        mailbox.ask(folder, "stop")
    shutil.rmtree(cache_dir())  # so that the data set is drawn again, which is told of
    told = []
    for event in run(RunRequest(config=tiny_config(), out=tmp_path, resume=folder, cache=False), Control()):
        if asked != "before" and isinstance(event, ev.Preparing) and not told:
            mailbox.ask(folder, "stop")
        told.append(event)
    assert isinstance(told[0], ev.Preparing)
    assert isinstance(told[-1], last)


def test_a_run_is_paused_resumed_and_stopped_through_its_folder(tmp_path):
    job = Job(RunRequest(config=tiny_config("badnets", ENDLESS), out=tmp_path, cache=False))
    job.start()
    seen = []
    for event in job.events():
        seen.append(event)
        if isinstance(event, ev.StageStarted):
            mailbox.ask(runs_in(tmp_path)[0], "pause")
        if isinstance(event, ev.RunPaused):
            assert job.paused is event.paused
            mailbox.ask(runs_in(tmp_path)[0], "resume" if event.paused else "stop")
    assert [event.paused for event in seen if isinstance(event, ev.RunPaused)] == [True, False]
    (folder,) = runs_in(tmp_path)
    assert isinstance(read_events(folder).events[-1], ev.RunStopped)
    assert not (folder / mailbox.FILE).exists()
