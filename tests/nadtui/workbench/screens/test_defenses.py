"""A run's defenses side by side: marks that come as they end, the table, the maps of two models, one by itself."""

from __future__ import annotations

import dataclasses

import pytest
from textual.widgets import DataTable

from nadtui.workbench.app import Workbench
from nadtui.workbench.screens.defenses import DefensesScreen
from nadtui.workbench.screens.one_model import OneModelScreen
from nadtui.workbench.widgets.attention import AttentionGrid
from nadtui.workbench.widgets.model_pair import ModelPair
from tests import looks, run_folders
from tests.pilot import shows, until
from tests.run_screen import NOW, Jobs, opened

TITLE = "ACC lost against ASR left"


def record() -> list:
    """Two defenses, the second one verified."""
    *events, end = run_folders.side_by_side()
    told = run_folders.verified("fine-tuning")
    numbered = [dataclasses.replace(each, seq=end.seq + at, time=end.time) for at, each in enumerate(told)]
    return [*events, *numbered, dataclasses.replace(end, seq=end.seq + len(told))]


@pytest.fixture
def app(tmp_path, settings_file) -> Workbench:
    events = record()
    folder = run_folders.write_events(tmp_path / "runs", events[0].run, events[0].config, events)
    return Workbench(tmp_path / "runs", start=folder, settings_file=settings_file, clock=lambda: NOW)


def titles(app: Workbench) -> list[str]:
    return [str(grid.border_title).split(" · ")[0] for grid in app.screen.query(AttentionGrid)]


def names(app: Workbench) -> list[str]:
    table = app.screen.query_one(DataTable)
    return [str(table.get_row_at(place)[1]) for place in range(table.row_count)]


@looks.piloted
async def test_marks_and_table_and_maps_stand_beside_each_other(app):
    async with app.run_test(size=(200, 60)) as pilot:
        run = await opened(pilot)
        await pilot.press("D")
        await until(
            pilot,
            shows(pilot, TITLE, "2 of 2 purified models made", "bound 4", "retuned (clean)", "34.5", "fine-tuning b"),
        )
        assert isinstance(app.screen, DefensesScreen) and names(app) == ["(suspect)", "nad", "fine-tuning"]
        assert titles(app) == ["suspect", "nad"]
        await pilot.press("down")
        assert titles(app) == ["suspect", "fine-tuning"]
        await pilot.press("space", "up")
        assert titles(app) == ["fine-tuning", "nad"], "any two of them"
        await pilot.press("B")
        assert titles(app) == ["fine-tuning", "teacher (for nad)"], "references too"
        await pilot.press("v")
        assert " · clean · " in str(app.screen.query(AttentionGrid).first().border_title)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is run)


@looks.piloted
async def test_it_is_sorted_and_keeps_its_row(app):
    async with app.run_test(size=(120, 36)) as pilot:
        await opened(pilot)
        await pilot.press("D", "s")
        assert names(app) == ["(suspect)", "fine-tuning", "nad"] and "by name" in str(
            app.screen.query_one("#side").border_title
        )
        assert app.screen.query_one(DataTable).cursor_row == 2, "the cursor stays on nad"


@looks.piloted
async def test_one_model_tells_the_way_to_it_and_whether_it_only_sleeps(app):
    async with app.run_test(size=(120, 60)) as pilot:
        await opened(pilot)
        await pilot.press("D", "down", "enter")
        assert isinstance(app.screen, OneModelScreen)
        wanted = (
            "On the way to fine-tuning; t: 0 the suspect, 1 the way's end",
            "Erased, or only asleep?",
            "a clean model",
            "34.5",
            "straight line from the suspect; t: 0 the suspect, 1 this model",
            "by t",
        )
        await until(pilot, shows(pilot, *wanted, "No control for perturbation: the zoo has none."))
        await pilot.press("escape")
        assert isinstance(app.screen, DefensesScreen)


@looks.piloted
async def test_where_there_is_little_room_the_maps_take_the_place_of_the_marks(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("D")
        await until(pilot, shows(pilot, TITLE, "fine-tuning", "a nad"))
        assert not app.screen.query_one(ModelPair).display
        await pilot.press("m")
        await until(pilot, lambda: app.screen.query_one(ModelPair).display)
        await until(pilot, shows(pilot, "suspect", "fine-tuning"))
        assert TITLE not in looks.text_of(app)


@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
@looks.piloted
async def test_without_a_trigger_no_mark_is_promised(tmp_path, settings_file, size):
    events = run_folders.side_by_side(attacked=False)
    folder = run_folders.write_events(tmp_path / "runs", events[0].run, events[0].config, events)
    app = Workbench(tmp_path / "runs", start=folder, settings_file=settings_file, clock=lambda: NOW)
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await pilot.press("D")
        await until(pilot, shows(pilot, TITLE, "no trigger is known: there is no ASR", "to set against ACC"))
        assert "a mark stands here" not in looks.text_of(app)


@looks.piloted
async def test_of_an_ended_run_whose_defenses_made_nothing_no_mark_is_promised(tmp_path, settings_file):
    folder = run_folders.write(tmp_path / "runs", "a", end="stopped")
    app = Workbench(tmp_path / "runs", start=folder, settings_file=settings_file, clock=lambda: NOW)
    async with app.run_test(size=(120, 36)) as pilot:
        await opened(pilot, "■ stopped")
        await pilot.press("D")
        await until(pilot, shows(pilot, TITLE, "no defense was done"))


@looks.piloted
async def test_a_mark_comes_when_its_defense_ends(tmp_path, settings_file):
    from engine.config.presets import resolve
    from engine.running.request import RunRequest

    events = record()
    first = next(place for place, each in enumerate(events) if getattr(each, "stage", "") == "fine-tuning")
    jobs = Jobs(events)
    request = RunRequest(config=resolve("badnets", dataset="signs"), out=tmp_path / "runs")
    run_folders.write_events(tmp_path / "runs", events[0].run, events[0].config, events[:first])
    app = Workbench(tmp_path / "runs", start=request, settings_file=settings_file, make_job=jobs, clock=lambda: NOW)
    async with app.run_test(size=(120, 36)) as pilot:
        jobs.made[-1].let(first)
        await opened(pilot, "▶ running")
        await pilot.press("D")
        await until(pilot, shows(pilot, "1 of 2 purified models made", "a nad"))
        assert names(app) == ["(suspect)", "nad"] and "fine-tuning" not in looks.text_of(app)
        jobs.made[-1].let(len(events) - first)
        await until(pilot, shows(pilot, "2 of 2 purified models made", "fine-tuning b"))
        assert app.screen.query_one(DataTable).cursor_row == 1, "the cursor stays on nad"
    for job in jobs.made:
        job.stop()


def footer(app: Workbench) -> str:
    return looks.text_of(app).rstrip().splitlines()[-1]


@looks.piloted
async def test_the_footer_shows_the_keys_of_what_is_in_sight(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("D")
        await until(pilot, lambda: "⏎ Model" in footer(app))
        assert "m Maps" in footer(app) and "Sample" not in footer(app) and "View" not in footer(app)
        await pilot.press("m")
        await until(pilot, lambda: "m Marks" in footer(app))
        assert "space Left maps" in footer(app) and "n Sample" in footer(app) and "v View" in footer(app)
        await pilot.resize_terminal(120, 36)
        await until(pilot, lambda: "m Marks" not in footer(app) and "n Sample" in footer(app))
        assert "m Maps" not in footer(app), "all are in sight"


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 36)])
@looks.piloted
async def test_no_column_is_shown_by_half(app, size):
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await pilot.press("D")
        await until(pilot, shows(pilot, "side by side", "34.5"))
        table = app.screen.query_one(DataTable)
        assert table.virtual_size.width <= table.size.width
        await until(pilot, shows(pilot, " t50 ", "0.30", "empty: image steps, existence, woken (clean)"))
        assert names(app) == ["(suspect)", "nad", "fine-tuning"]


@looks.piloted
async def test_columns_without_room_are_turned_to(app):
    async with app.run_test(size=(50, 24)) as pilot:
        await opened(pilot)
        await pilot.press("D", "down")
        await until(pilot, shows(pilot, "  ACC  ", "columns →"))
        shown = looks.text_of(app)
        assert "bound 4" not in shown and "t50" not in shown
        await pilot.press(*["right"] * 9)
        await until(pilot, shows(pilot, "bound 4", "t50", "← "))
        shown = looks.text_of(app)
        assert "fine-tuning" in shown and "  ACC  " not in shown and "→ " not in shown.split("side by side")[1]
        assert app.screen.query_one(DataTable).cursor_row == 2, "the cursor stays"
        await pilot.press(*["left"] * 9)
        await until(pilot, shows(pilot, "  ACC  "))
