"""Every format: harmless in a terminal, refused by name where there is no such."""

import dataclasses
from pathlib import Path

import pytest

from engine.errors import RequestError
from engine.events import Message
from nadtui.export.formats import FORMATS, of_comparison, of_run
from nadtui.runs.loading import load
from tests.nadtui.export.conftest import HOSTILE
from tests.scripted_run import record, whole_run


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "png"])  # a picture holds no text
def test_every_format_shows_no_control_characters(tmp_path: Path, form: str):
    script = [
        dataclasses.replace(event, dataset={**event.dataset, "name": HOSTILE}) if event.kind == "run-started" else event
        for event in whole_run()
    ]
    hostile = load(str(record(tmp_path, [*script, Message(seq=99, text=HOSTILE, level="warning")])), None)
    text = of_run(hostile, form)
    assert not [c for c in text if (ord(c) < 32 and c not in "\r\n") or ord(c) == 127 or c == "\u202e"]


def test_an_unknown_format_is_refused_by_name(reports):
    with pytest.raises(RequestError, match="allowed: md, csv, json, tex, html"):
        of_comparison(reports, "png")


@pytest.mark.parametrize("format", ["md", "html", "tex", "json", "csv"])
def test_every_format_says_what_has_become_of_the_backdoor(report, format):
    said = of_run(report, format)
    assert "erased" in said
    assert format == "csv" or "over its base rate" in said
