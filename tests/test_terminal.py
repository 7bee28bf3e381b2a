"""A tiny run started from the keyboard of a real terminal, to its end, with ASR before and after on the screen."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.terminal import COMMAND, TERMINALS
from tests.tiny import TINY


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Folders of its own, and a preset that is done in seconds; its name puts it last in the list."""
    presets = tmp_path / "presets"
    presets.mkdir()
    preset = {**TINY, "title": "a run for tests", "attack": {"name": "badnets"}}
    (presets / "zz-tiny.yaml").write_text(yaml.safe_dump(preset))
    names = {"RUNS": "runs", "PRESETS": "presets", "CACHE": "cache", "MACHINE": "machine"}
    folders = {f"NADTUI_{name}": str(tmp_path / folder) for name, folder in names.items()}
    return {**folders, "XDG_CONFIG_HOME": str(tmp_path / "config"), "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("terminal", TERMINALS, ids=lambda terminal: terminal.__name__)
def test_a_run_is_started_from_the_keyboard_and_shows_asr_before_and_after(tmp_path, environment, terminal):
    screen = terminal(environment=environment, size=(130, 40))
    try:
        screen.until("zz-tiny")
        screen.press("1", "End")
        screen.until(" zz-tiny ")  # the preview's title
        screen.press("Enter")
        screen.until("Start")
        screen.press("C-s")
        shown = screen.until("finished")
    finally:
        screen.close()
    for stage in ("attack 3/3", "nad 2/2"):
        assert re.search(rf"{stage} ACC \d+\.\d ASR \d+\.\d", shown)
    (folder,) = (tmp_path / "runs").glob("*-zz-tiny-*")
    assert (folder / "summary.json").is_file()


def test_without_a_terminal_the_workbench_says_what_to_do_instead(environment):
    given = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    done = subprocess.run(COMMAND, env={**os.environ, **environment}, check=False, **given)
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
