"""Runs that schema 1 recorded: every command that reads them says what the old program said of them."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from engine.config.run import validate
from engine.record.reading import read_settings
from nadtui.workbench.form import of_run
from tests.nadtui.cli.test_cli import refused, run

RECORDS = Path(__file__).parents[2] / "records" / "schema1"
RUNS = sorted(folder.name for folder in RECORDS.iterdir())


@pytest.mark.parametrize("name", RUNS)
def test_an_old_run_is_exported_with_the_same_figures(capsys, tmp_path, name):
    code, _, _ = run(capsys, "export", RECORDS / name, "--format", "csv", "--output", tmp_path / "out.csv")
    assert code == 0
    with (tmp_path / "out.csv").open(newline="") as new, (RECORDS / name / "shown" / "csv.txt").open(newline="") as old:
        known = list(csv.DictReader(old))
        exported = [{key: row[key] for key in known[0]} for row in csv.DictReader(new)]
    assert exported == known


def test_old_runs_are_shown_listed_and_compared(capsys):
    for name in ("badnets-fine-tuning", "stopped"):
        code, out, _ = run(capsys, "show", RECORDS / name)
        assert code == 0 and "85.2" in out and "--resume" not in out
    code, out, _ = run(capsys, "runs", "--out", RECORDS)
    assert (code, out.count("finished")) == (0, len(RUNS) - 2)
    code, out, _ = run(capsys, "compare", RECORDS / "badnets-fine-tuning", RECORDS / "sig")
    assert code == 0 and "fine-tuning" in out


@pytest.mark.parametrize("name", ["stopped", "failed"])
def test_an_old_run_is_not_gone_on_with(capsys, tmp_path, name):
    folder = shutil.copytree(RECORDS / name, tmp_path / name)
    assert "older nadtui (schema 1)" in refused(capsys, "run", "--headless", "--resume", folder)


def test_the_form_makes_an_old_run_again_under_todays_names():
    assert of_run(RECORDS / "sig").config() == validate(read_settings(RECORDS / "sig"))
