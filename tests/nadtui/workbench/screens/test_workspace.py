"""The workspace under a pilot."""

from __future__ import annotations

import dataclasses
import json
import threading

import pytest

from nadtui.draw import trigger_process
from nadtui.runs.catalog import Catalog
from nadtui.runs.deleting import TRASH, delete_runs
from nadtui.workbench.screens.compare import CompareScreen
from nadtui.workbench.screens.new_run import NewRunScreen
from nadtui.workbench.screens.run import RunScreen
from nadtui.workbench.screens.workspace import WorkspaceScreen
from nadtui.workbench.widgets.preset_list import PresetList
from nadtui.workbench.widgets.run_table import RunTable
from nadtui.workbench.widgets.runs_pane import RunsPane
from tests import looks, run_folders
from tests.pilot import at_rest, drive, screen_text, shows, until
from tests.scripted_run import START

pytestmark = pytest.mark.usefixtures("truecolor")

SIZES = ((80, 24), (120, 36), (200, 60))


def table(pilot) -> RunTable:
    return pilot.app.screen.query_one(RunTable)


def footer(pilot) -> str:
    return screen_text(pilot.app).rstrip().splitlines()[-1].strip()


def listed(pilot) -> set[str]:
    """The runs that the list knows of, hidden or not."""
    return {row.id for row in pilot.app.screen.query_one(RunsPane).rows}


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ((80, 24), ("badnets", "dirty label", "erased", "97.0→96.5", "100→3", "Failed in teacher")),
        ((120, 40), ("a 3x3 grid in the corner", "97.0→96.5", "100.0→5.0", "Failed in teacher", "attack g1")),
        ((200, 60), ("Gu et al. 2017", "97.0→96.5", "blend (recipe default)", "attack g3", "ASR 40.0 %")),
    ],
)
def test_it_shows_presets_runs_and_a_preview_at_every_size(runs, size, said):
    async def script(pilot):
        await until(pilot, shows(pilot, "presets", "runs 4", "New", "Filter", *said))

    drive(runs, script, size=size)


@pytest.mark.parametrize("size", SIZES)
def test_it_looks_as_it_did(tmp_path, size):
    """Presets, four runs in different states, and a finished one in the preview."""
    root = tmp_path / "runs"
    for number, (preset, end) in enumerate([("badnets", "finished"), ("sig", "finished"), ("blend", "failed")]):
        name = f"20231114-22132{number}-{preset}-signs-s0"
        run_folders.write(root, name, preset=preset, end=end, start=START + 600 * number, asr=2.0)
    run_folders.write(root, "20231114-221330-sig-signs-s1", preset="sig", end="stopped", seed=1, start=START)

    async def script(pilot):
        await until(pilot, lambda: len(table(pilot).rows) == 4)
        await pilot.press("down")
        looks.check("workspace-{}x{}".format(*size), await at_rest(pilot, "sig-signs-s0 ──", "nad", "? Help"))

    drive(root, script, size=size, clock=lambda: START + 4_000)


def test_panes_and_the_way_of_drawing_outlive_the_workbench(runs):
    async def first(pilot):
        await until(pilot, shows(pilot, "runs 4", "dirty label"))
        await pilot.press("1", "f", "m")
        await until(pilot, lambda: "runs 4" not in screen_text(pilot.app))
        assert isinstance(pilot.app.focused, PresetList)

    async def again(pilot):
        await until(pilot, shows(pilot, "dirty label"))
        assert "runs" not in screen_text(pilot.app).splitlines()[0]
        assert isinstance(pilot.app.focused, PresetList)
        assert pilot.app.settings.maps == "ascii"
        await pilot.press("2")
        await until(pilot, shows(pilot, "runs 4"))
        assert "dirty label" not in screen_text(pilot.app)
        await pilot.press("f")
        await until(pilot, shows(pilot, "runs 4", "dirty label"))

    drive(runs, first)
    drive(runs, again)


def test_kept_settings_of_a_stranger_are_not_believed(runs):
    (runs.parent / "settings.json").write_text('{"workspace": {"full": "kitchen", "pane": 3, "data": ["x"]}}')

    async def script(pilot):
        await until(pilot, shows(pilot, "presets", "runs 4", "Failed in teacher"))

    drive(runs, script)


def test_a_trigger_is_shown_on_the_data_set_chosen_last(runs, monkeypatch):
    asked = []
    picture = trigger_process.preview(None)
    monkeypatch.setattr(trigger_process, "preview", lambda attack, data=None: asked.append(data) or picture)
    (runs.parent / "own.npz").touch()

    def choose(name: str) -> None:
        (runs.parent / "settings.json").write_text(json.dumps({"workspace": {"data": name, "pane": "presets"}}))

    async def script(pilot):
        await until(pilot, lambda: asked)

    for name, wanted in ((str(runs.parent / "own.npz"), True), (str(runs.parent / "gone.npz"), False)):
        choose(name)
        asked.clear()
        drive(runs, script, size=(80, 24))
        assert [data and data.name for data in asked] == [name if wanted else None]  # no picture is worth a download


def test_a_run_that_goes_on_does_not_take_the_preview_from_a_preset(runs):
    async def script(pilot):
        await until(pilot, shows(pilot, "runs 4", "dirty label"))
        await pilot.press("1")
        await until(pilot, shows(pilot, "adaptive ──", "attack.poisoning_rate"))
        changed = [dataclasses.replace(row, progress=0.5) for row in table(pilot).rows]
        table(pilot).show(changed)
        assert "adaptive ──" in await at_rest(pilot, "attack.poisoning_rate")

    drive(runs, script, size=(200, 60))


def test_without_color_pictures_are_letters(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    run_folders.write(tmp_path / "runs", "20231114-221320-badnets-signs-s0")

    async def script(pilot):
        await until(pilot, shows(pilot, "attack g3", "@@"))
        assert "▀▀▀▀" not in screen_text(pilot.app)

    drive(tmp_path / "runs", script, size=(200, 60))


def test_keys_move_filter_mark_and_compare(runs):
    async def script(pilot):
        await until(pilot, lambda: len(table(pilot).rows) == 4)
        await pilot.press("slash", *"asr<4")
        await until(pilot, lambda: len(table(pilot).rows) == 2)
        assert "runs 2 of 4" in screen_text(pilot.app)
        await pilot.press("enter")
        await pilot.press("space", "space")
        assert len(table(pilot).marked) == 2
        await pilot.press("escape")
        await until(pilot, lambda: len(table(pilot).rows) == 4)
        await pilot.press("c")
        await until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, WorkspaceScreen)
        await pilot.press("U", "c")
        assert isinstance(pilot.app.screen, WorkspaceScreen)  # nothing to compare: it says so instead

    drive(runs, script)


def test_a_filter_under_way_shows_its_problem(runs):
    async def script(pilot):
        await until(pilot, lambda: len(table(pilot).rows) == 4)
        await pilot.press("slash", *"asr<x")
        await until(pilot, shows(pilot, "a number is wanted"))
        assert len(table(pilot).rows) == 4

    drive(runs, script)


def test_enter_opens_a_run_and_escape_comes_back(runs):
    async def script(pilot):
        await until(pilot, lambda: len(table(pilot).rows) == 4)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, WorkspaceScreen))

    drive(runs, script)


def test_delete_asks_and_deletes(runs):
    async def script(pilot):
        await until(pilot, lambda: len(table(pilot).rows) == 4)
        await pilot.press("d", "n")
        await pilot.press("d")
        await until(pilot, shows(pilot, "Delete 20260101-120300"))
        await pilot.press("y")
        await until(pilot, lambda: len(table(pilot).rows) == 3)

    drive(runs, script)
    assert not (runs / "20260101-120300-blend-signs-s0").exists()
    assert len([entry for entry in runs.iterdir() if entry.name != TRASH]) == 3


def test_delete_never_hits_what_the_filter_hides_unless_asked_for_and_is_taken_back(runs):
    async def script(pilot):
        await until(pilot, lambda: len(table(pilot).rows) == 4)
        table(pilot).select(next(row.id for row in table(pilot).rows if row.preset == "sig"))
        await pilot.press("space")
        hidden = next(iter(table(pilot).marked))
        await pilot.press("slash", *"blend", "enter")
        await until(pilot, lambda: {row.preset for row in table(pilot).rows} == {"blend"})
        await until(pilot, shows(pilot, "1 marked, 1 of them hidden"))
        await pilot.press("d")
        await until(pilot, shows(pilot, "hidden by the filter", hidden))
        await pilot.press("escape")
        assert (runs / hidden).is_dir()
        await pilot.press("d", "1")
        await until(pilot, lambda: hidden not in listed(pilot))  # gone from the folder, and the list has seen it
        assert not (runs / hidden).exists()
        await pilot.press("u")
        await until(pilot, lambda: hidden in listed(pilot))
        assert (runs / hidden).is_dir()
        await pilot.press("escape")
        await until(pilot, lambda: table(pilot).select(hidden))
        await pilot.press("space", "slash", *"blend", "enter")
        await until(pilot, lambda: {row.preset for row in table(pilot).rows} == {"blend"})
        shown = table(pilot).row.id
        await pilot.press("space", "d")
        await until(pilot, shows(pilot, f"delete {shown}", hidden))
        await pilot.press("1")
        await until(pilot, lambda: not (runs / shown).exists())
        assert (runs / hidden).is_dir()

    drive(runs, script)


def test_a_run_deleted_by_others_leaves_the_list(runs):
    async def script(pilot):
        await until(pilot, lambda: len(table(pilot).rows) == 4)
        assert not delete_runs([runs / "20260101-120300-blend-signs-s0"]).problems
        await until(pilot, lambda: len(table(pilot).rows) == 3)
        assert table(pilot).row.preset == "sig"

    drive(runs, script)


def test_n_and_r_open_the_form(runs):
    async def script(pilot):
        await until(pilot, lambda: len(table(pilot).rows) == 4)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, NewRunScreen))
        await pilot.press("escape")
        await pilot.press("down", "r")
        await until(pilot, lambda: isinstance(pilot.app.screen, NewRunScreen))
        await until(pilot, lambda: pilot.app.screen.form.seed == "1")

    drive(runs, script)


def test_an_empty_folder_says_how_to_begin(tmp_path):
    async def script(pilot):
        await until(
            pilot, shows(pilot, "No runs yet", "press Enter", "triggered", "difference", "attack.poisoning_rate")
        )
        await until(pilot, lambda: footer(pilot) == "⏎ New run tab Pane n New q Quit ? Help")
        assert isinstance(pilot.app.focused, PresetList), "what Enter is said to do, it does"
        assert "pane" not in pilot.app.settings.workspace, "nobody has chosen that pane"
        await pilot.press("tab")
        await until(pilot, lambda: footer(pilot) == "tab Pane n New q Quit ? Help")
        await pilot.press("slash", "c", "e", "d", "N")
        assert pilot.app.screen.focused is not None and pilot.app.screen.TITLE == "workspace"
        await pilot.press("1", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, NewRunScreen))

    drive(tmp_path / "none", script, size=(200, 60))


def test_the_focus_stays_where_a_person_has_pressed_a_key(tmp_path, monkeypatch):
    gate = threading.Event()
    rows = Catalog.rows
    monkeypatch.setattr(Catalog, "rows", lambda self: (gate.wait(), rows(self))[1])

    async def script(pilot):
        try:
            await pilot.press("2")
        finally:
            gate.set()
        await until(pilot, shows(pilot, "No runs yet"))
        await until(pilot, lambda: "Compare" not in footer(pilot))
        assert pilot.app.focused is table(pilot)

    drive(tmp_path / "none", script)


def test_the_footer_of_the_filter_shows_what_works_there(runs):
    async def script(pilot):
        await until(pilot, lambda: len(table(pilot).rows) == 4)
        await pilot.press("slash", "s")
        await until(pilot, lambda: "esc Clear" in footer(pilot))
        assert "⏎ ↓ Runs" in footer(pilot) and "/ Filter" not in footer(pilot)
        await pilot.press("down")
        await until(pilot, lambda: "/ Filter" in footer(pilot) and "⏎ Open" in footer(pilot))

    drive(runs, script)


def test_a_click_selects_and_a_double_click_opens(runs):
    async def script(pilot):
        await until(pilot, lambda: len(table(pilot).rows) == 4)
        await pilot.click(RunTable, offset=(5, 3))
        assert table(pilot).cursor == 2
        await pilot.click(RunTable, offset=(5, 2), times=2)
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))

    drive(runs, script)


def test_runs_are_sorted_by_key_and_by_click_and_carry_notes(runs):
    async def script(pilot):
        await until(pilot, lambda: len(table(pilot).rows) == 4)
        await pilot.press("s")  # the column behind age, round the end: the first one
        assert table(pilot).sorted_by == "preset"
        assert [row.preset for row in table(pilot).rows] == ["badnets", "blend", "sig", "sig"]
        await until(pilot, shows(pilot, "preset▾"))
        await pilot.click(RunTable, offset=(3, 0))
        assert [row.preset for row in table(pilot).rows] == ["sig", "sig", "blend", "badnets"]
        run = table(pilot).row.id
        await pilot.press("N", *"mine #a", "enter")
        await until(pilot, lambda: table(pilot).row.id == run and table(pilot).row.notes.name == "mine")
        await pilot.press("slash", *"tag:a", "enter")
        await until(pilot, lambda: [row.id for row in table(pilot).rows] == [run])

    drive(runs, script)
