"""The list of runs: figures before and after, filters, damaged and foreign folders, runs under way."""

from __future__ import annotations

import json

import pytest

from engine.record.folder import RunFolder
from nadtui.runs.catalog import Catalog
from nadtui.runs.query import parse
from tests import run_folders


def test_rows_are_newest_first_with_figures_before_and_after(runs):
    rows = Catalog(runs).rows()
    assert [row.preset for row in rows] == ["blend", "sig", "sig", "badnets"]
    assert [row.state for row in rows] == ["failed", "finished", "finished", "finished"]
    assert rows[1].acc == (97.0, 96.5)
    assert rows[1].asr == (100.0, 5.0)
    assert rows[0].asr[0] == 100.0


def test_a_filter_finds_stage_figures_and_fields_of_the_configuration(runs):
    rows = Catalog(runs).rows()

    def found(text: str) -> list[str]:
        return [row.id[16:] for row in rows if parse(text).matches(row)]

    assert found("asr<4 state:finished") == ["sig-signs-s0", "badnets-signs-s0"]
    assert found("teacher.asr=10") == ["sig-signs-s1", "sig-signs-s0", "badnets-signs-s0"]
    assert found("attack.delta=32") == ["sig-signs-s1", "sig-signs-s0"]
    assert found("poisoning_rate>0.5 seed:1") == ["sig-signs-s1"]
    assert found("age<20min") == ["blend-signs-s0"]


@pytest.mark.parametrize("spoil", ["config", "summary", "newer", "empty"])
def test_a_spoiled_folder_is_a_row_and_no_error(runs, spoil):
    folder = runs / "20260101-120100-sig-signs-s0"
    if spoil == "config":
        (folder / "summary.json").unlink()
        (folder / "config.yaml").write_text("a: [")
    elif spoil == "summary":
        (folder / "summary.json").write_text('{"schema": 1, "stages": 7}')
    elif spoil == "newer":
        (folder / "summary.json").write_text(json.dumps({"schema": 99}))
    else:
        for file in ("events.jsonl", "summary.json", "config.yaml"):
            (folder / file).unlink()
    states = {row.id: row.state for row in Catalog(runs).rows()}
    assert states[folder.name] == ("newer" if spoil == "newer" else "damaged")
    assert len(states) == 4


def test_a_run_that_another_process_writes_is_followed(runs):
    settings = run_folders.config(seed=5)
    with RunFolder.create(runs, preset="badnets", dataset="signs", seed=5, config_yaml=json.dumps(settings)) as folder:
        catalog = Catalog(runs)
        for event in run_folders.script(folder.id, settings, end="open")[:7]:
            folder.append(event)
        row = next(row for row in catalog.rows() if row.id == folder.id)
        assert (row.state, row.stage, row.alive) == ("running", "attack", True)
        first = row.progress
        for event in run_folders.script(folder.id, settings, end="open")[7:15]:
            folder.append(event)
        row = next(row for row in catalog.rows() if row.id == folder.id)
        assert row.progress > first
    assert next(row for row in catalog.rows() if row.id == folder.id).state == "crashed"


def test_events_that_make_no_sense_leave_the_list_standing(runs):
    settings = run_folders.config(seed=5)
    with RunFolder.create(runs, preset="badnets", dataset="signs", seed=5, config_yaml=json.dumps(settings)) as folder:
        for event in run_folders.script(folder.id, settings, end="open")[:7]:
            folder.append(event)
        with (folder.path / "events.jsonl").open("a") as record:
            record.write(
                '{"kind":"stage-started","stage":"attack","epochs":"many","steps":null,"seq":99,"time":null}\n'
            )
            record.write('{"kind":"run-resumed","stage":"nowhere","epoch":-5,"seq":100,"time":1e300}\n')
        rows = Catalog(runs).rows()
        assert len(rows) == 5
        assert folder.id in {row.id for row in rows}
