"""Where a suspect came from: the same words in every reader, from the record alone."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from engine.events import Event, RunStarted, StageFinished, StageStarted
from engine.record.codec import decode, encode
from engine.record.origin import Origin, origin
from engine.record.state import RunState
from engine.record.summary import summarize
from engine.record.view import fold
from nadtui.cli import live, tables
from nadtui.export.formats import FORMATS, of_comparison, of_run
from nadtui.runs import comparison, narrate
from nadtui.runs.digest import Report
from nadtui.workbench.widgets import run_header
from tests.scripted_run import CONFIG, run_started, stage, timed

CARD = {"name": "badnets-signs-0", "made": "2026-11-26", "precision": "fp32", "sha256": "ab" * 32}
OF_THE_ZOO = "zoo badnets-signs-0 (made on 2026-11-26 in fp32)"
WAYS = {
    "trained": (("trained", {}, False), "trained", {"source": "trained"}, ""),
    "cached": (("trained", {}, True), "cached", {"source": "cache"}, "cached"),
    "old": ((None, {}, True), "cached", {"source": "cache"}, "cached"),
    "zoo": (("zoo", CARD, True), OF_THE_ZOO, {"source": "zoo", **CARD}, "from the zoo"),
    "named": (("zoo:badnets-signs-0", CARD, True), OF_THE_ZOO, {"source": "zoo", **CARD}, "from the zoo"),
    "zoo, uncarded": (("zoo:x-0", {}, True), "zoo x-0", {"source": "zoo", "name": "x-0"}, "from the zoo"),
    "file": (
        ("/given one.pt", {}, True),
        "file /given one.pt",
        {"source": "file", "name": "/given one.pt"},
        "from a file",
    ),
}
"""By way: what the run was asked for, the zoo's card, whether it was taken over; the words, the summary, the note."""


def script(way: str) -> list[Event]:
    (suspect, zoo, taken), *_ = WAYS[way]
    config = {**CONFIG, "suspect": suspect} if suspect else CONFIG
    figures = [(97.0, 100.0)] if taken else [(60.0, 50.0), (97.0, 100.0)]
    after = [*stage("teacher", [(96.0, 9.0)]), *stage("nad", [(96.0, 3.0)])]
    return timed([run_started(config=config, zoo=zoo), *stage("attack", figures, cached=taken), *after])


def report(way: str) -> Report:
    return Report(Path("run"), fold(script(way)), RunState.FINISHED)


@pytest.mark.parametrize("way", WAYS)
def test_a_summary_and_the_facts_say_it(way):
    _, words, values, _ = WAYS[way]
    assert summarize(fold(script(way)))["suspect"] == values
    assert dict(report(way).facts())["suspect"] == words


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", [form for form in FORMATS if form != "png"])
def test_every_export_of_a_run_says_it(way, form):
    _, words, values, _ = WAYS[way]
    said = of_run(report(way), form)
    said = said if isinstance(said, str) else said.decode()
    if form == "json":
        assert json.loads(said)["suspect"] == values
    elif form == "csv":
        assert {row["suspect"] for row in csv.DictReader(io.StringIO(said))} == {words}
    else:
        assert words in said.replace("\\", "")


@pytest.mark.parametrize("way", WAYS)
def test_a_comparison_says_it_of_those_that_trained_none(way):
    words = WAYS[way][1]
    reports = [report("trained"), report(way)]
    named = [said for _, said in comparison.named(reports)]
    assert named[0].endswith(reports[0].view.run)
    assert named[1].endswith(reports[1].view.run if way == "trained" else f" · suspect: {words}")
    assert json.loads(of_comparison(reports, "json"))["runs"]["B"]["suspect"] == WAYS[way][2]


@pytest.mark.parametrize("way", WAYS)
def test_the_log_the_live_picture_and_the_tables_say_it(way):
    note, events = WAYS[way][3], script(way)
    view = fold(events)
    done = next(event for event in events if isinstance(event, StageFinished))
    line = narrate.line(done, view)
    assert line.startswith(f"attack: {note}, not trained  ACC 97.0" if note else "attack: done in 0:20")
    word = WAYS[way][1].split()[0]
    assert narrate.epochs(view.stages["attack"], view) == (word if note else "2/2")
    table = _printed(tables.stages(summarize(view), 200))
    assert (note in table) if note else ("note" not in table)
    assert not note or word in _printed(live.picture(view, now=view.updated))
    header = [part for part in run_header.about(view) if part.startswith("suspect")]
    assert header == ([f"suspect: {WAYS[way][1].partition(' (')[0]}"] if note else [])


def _printed(what: object) -> str:
    console = Console(width=200, file=io.StringIO())
    console.print(what)
    return console.file.getvalue()


def test_a_reference_that_was_taken_over_is_not_the_suspects():
    events = timed([run_started(), *stage("attack", [(97.0, 99.0)]), *stage("teacher", [(96.0, 9.0)], cached=True)])
    view = fold(events)
    assert narrate.epochs(view.stages["teacher"], view) == "taken over"
    assert "not trained here" in _printed(tables.stages(summarize(view), 200))


def test_it_is_told_as_soon_as_it_is_known():
    start, began, *_ = script("trained")
    assert origin(fold([start])) is None  # the cache may still have it
    assert summarize(fold([start]))["suspect"] is None
    assert "suspect" not in dict(Report(Path("run"), fold([start]), RunState.RUNNING).facts())
    assert origin(fold([start, began])) == Origin("trained")
    adopting = dataclasses.replace(began, epochs=0, steps=0)
    assert isinstance(adopting, StageStarted)
    assert origin(fold([start, adopting])) == Origin("cache")
    assert str(origin(fold(script("zoo")[:1]))) == OF_THE_ZOO


def test_the_card_goes_through_the_record_and_old_records_have_none():
    event = run_started(zoo=CARD)
    assert decode(encode(event)) == event
    old = json.loads(encode(event))
    del old["zoo"]
    brought = decode(json.dumps(old))
    assert isinstance(brought, RunStarted) and brought.zoo == {}
