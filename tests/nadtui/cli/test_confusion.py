"""`nadtui show --confusion`."""

from __future__ import annotations

import json

import pytest

from tests import showcase
from tests.nadtui.cli.test_cli import run
from tests.run_folders import keep_answers


@pytest.fixture
def folder(tmp_path):
    written = showcase.write(tmp_path, showcase.record())
    keep_answers(written, "attack", 10)
    keep_answers(written, "nad", 10)
    return written


def test_show_prints_those_asked_for(capsys, folder):
    code, out, _ = run(capsys, "show", folder, "--confusion", "nad")
    assert code == 0
    assert "What nad takes clean images for" in out and "What nad takes triggered images for" in out
    assert "What attack" not in out
    code, out, _ = run(capsys, "show", folder, "--confusion", "all", "--json")
    told = [(each["stage"], each["images"]) for each in json.loads(out)]
    assert told == [(stage, kind) for stage in ("attack", "nad") for kind in ("clean", "triggered")]


@pytest.mark.parametrize(("stage", "said"), [("nadd", "this run has attack, teacher, nad"), ("teacher", "has kept no")])
def test_a_stage_without_answers_is_an_error_in_a_line(capsys, folder, stage, said):
    code, out, err = run(capsys, "show", folder, "--confusion", stage)
    assert (code, out) == (2, "")
    assert said in err
