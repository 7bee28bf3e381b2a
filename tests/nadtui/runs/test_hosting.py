"""A run that this process carries out, as a screen sees it."""

from __future__ import annotations

import json
from pathlib import Path

from engine.errors import RecordError, RequestError
from engine.events import RunFailed, RunPaused, RunStopped
from engine.running.request import RunRequest
from nadtui.runs.hosting import JobHost
from tests import scripted_run, showcase
from tests.staged_job import StagedJob, request, until
from tests.tiny import tiny_config


def job_host(out: Path, job: StagedJob) -> JobHost:
    host = JobHost(request(out), lambda _: job)
    host.start()
    return host


def test_a_view_changes_only_when_it_is_drained(tmp_path):
    job = StagedJob(scripted_run.whole_run())
    host = job_host(tmp_path, job)
    job.let(5)
    until(lambda: len(host._waiting) == 5)
    assert host.view.events == 0
    assert host.drain()
    assert host.view.events == 5
    assert not host.drain()
    job.let()
    host.join(10)


def test_a_whole_run_from_start_to_end(tmp_path):
    job = StagedJob(scripted_run.whole_run())
    host = job_host(tmp_path, job)
    assert (host.state, host.live, host.title) == ("new", True, "new run")
    job.let(4)
    until(lambda: host.view.run != "", host)
    assert (host.state, host.title) == ("running", scripted_run.RUN)
    assert host.folder == tmp_path / scripted_run.RUN
    job.let()
    until(lambda: not host.live, host)
    assert host.state == "finished"
    assert host.notice == ""
    assert [line.text for line in host.log if "a line of the log" in line.text]


def test_what_is_asked_is_shown_before_it_is_done(tmp_path):
    job = StagedJob(scripted_run.whole_run())
    host = job_host(tmp_path, job)
    job.let(8)
    until(lambda: host.view.events == 8, host)
    host.pause()
    assert (host.state, host.paused) == ("pausing", True)
    host.resume()
    assert host.state == "running"
    job.on_stop = [RunStopped(stage="attack", epoch=0, seq=99, time=scripted_run.START + 60)]
    host.stop()
    assert host.state == "stopping"
    until(lambda: not host.live, host)
    assert host.state == "stopped"
    assert job.asked == ["start", "pause", "resume", "stop"]


def test_a_paused_run_says_so(tmp_path):
    script = [*scripted_run.whole_run()[:8], RunPaused(paused=True, seq=9, time=scripted_run.START + 9)]
    job = StagedJob(script)
    host = job_host(tmp_path, job)
    host.pause()
    job.let(9)
    until(lambda: host.view.events == 9, host)
    assert host.state == "paused"
    job.let()


def test_a_wrong_request_is_told_in_its_own_words(tmp_path):
    job = StagedJob([], error=RequestError("data.name = 'x': no such data set"))
    host = job_host(tmp_path, job)
    job.let()
    until(lambda: not host.live, host)
    assert host.state == "failed"
    assert host.notice == "data.name = 'x': no such data set"
    assert host.folder is None


def test_a_failed_run_tells_why_and_where_its_record_is(tmp_path):
    failed = RunFailed(stage="nad", message="out of memory", seq=9, time=scripted_run.START + 9)
    job = StagedJob([*scripted_run.whole_run()[:8], failed])
    host = job_host(tmp_path, job)
    job.let()
    until(lambda: not host.live, host)
    assert host.state == "failed"
    assert "failed in nad: out of memory" in host.notice
    assert str(tmp_path / scripted_run.RUN) in host.notice


def test_a_mistake_of_ours_is_told_and_kept_apart(tmp_path):
    job = StagedJob(scripted_run.whole_run()[:6], error=ZeroDivisionError("division by zero"))
    host = job_host(tmp_path, job)
    job.let()
    until(lambda: not host.live, host)
    assert host.state == "failed"
    assert "ZeroDivisionError: division by zero" in host.notice


def test_a_resumed_run_shows_what_it_had(tmp_path):
    folder = showcase.write(tmp_path, showcase.record(stages=1))
    job = StagedJob([])
    host = JobHost(request(tmp_path, resume=folder), lambda _: job)
    host.start()
    until(lambda: host.view.events > 0, host)
    assert host.view.stages["attack"].state == "finished"
    assert host.title == folder.name
    job.let()


def test_a_run_is_not_taken_up_again_on_other_images(tmp_path):
    """As the workbench shows it, whose jobs load the images behind it."""
    folder = showcase.write(tmp_path, showcase.record(until=60))
    config = tiny_config("badnets", "data.train_images=60", "data.test_images=20", "data.size=16")
    (folder / "config.yaml").write_text(config.to_yaml())
    first, rest = (folder / "events.jsonl").read_text().split("\n", 1)
    values = json.loads(first)
    values["dataset"]["fingerprint"] = "5" * 64
    (folder / "events.jsonl").write_text(f"{json.dumps(values)}\n{rest}")
    before = (folder / "events.jsonl").read_bytes()
    host = JobHost(RunRequest(config=config, out=tmp_path, resume=folder))
    host.start()
    until(lambda: not host.live, host)
    assert host.notice.startswith("the data set is not the one the run began with: then ")
    assert host.state.resumable
    assert (folder / "events.jsonl").read_bytes() == before


def test_a_run_whose_folder_was_deleted_is_told_in_a_plain_line(tmp_path):
    error = RecordError("the run folder was deleted or moved: /somewhere")
    host = job_host(tmp_path, StagedJob(scripted_run.whole_run()[:8], error=error))
    host._job.let()
    until(lambda: not host.live, host)
    assert (host.state, host.notice) == ("deleted", str(error))


def test_a_run_whose_disk_is_full_failed_and_says_where_its_record_is(tmp_path):
    error = RecordError("cannot write the record: /somewhere: No space left on device")
    (tmp_path / scripted_run.RUN).mkdir()
    host = job_host(tmp_path, StagedJob(scripted_run.whole_run()[:8], error=error))
    host._job.let()
    until(lambda: not host.live, host)
    assert host.state == "failed"
    assert host.notice == f"{error}\nrecord: {tmp_path / scripted_run.RUN}"
