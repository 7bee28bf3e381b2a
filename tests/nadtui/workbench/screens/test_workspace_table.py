"""The list of runs as a table people work with: columns, groups, order; and what is kept of them."""

from __future__ import annotations

import json

import pytest

from nadtui.workbench.widgets.run_table import RunTable
from tests.pilot import at_rest, drive, screen_text, shows, until

pytestmark = pytest.mark.usefixtures("truecolor")


def table(pilot) -> RunTable:
    return pilot.app.screen.query_one(RunTable)


def head(pilot) -> str:
    return next(line for line in screen_text(pilot.app).splitlines() if "ASR" in line or "delta" in line)


async def asked(pilot, key: str, answer: str) -> None:
    await pilot.press(key)
    await pilot.press("ctrl+u", *["space" if each == " " else "full_stop" if each == "." else each for each in answer])
    await pilot.press("enter")


def test_columns_are_chosen_sorted_by_and_kept(runs):
    async def first(pilot):
        await until(pilot, shows(pilot, "runs 4"))
        assert table(pilot).names[:2] == ["preset", "data"]
        await asked(pilot, "C", "preset attack.delta ASR teacher.asr")
        await at_rest(pilot, "delta", "teacher.asr")
        assert head(pilot).split("│")[-2].split() == ["preset", "delta", "ASR", "teacher.asr"]
        await pilot.press("s")
        assert [row.preset for row in table(pilot).rows][:3] == ["badnets", "blend", "sig"]
        await pilot.press("s")  # by attack.delta: those that have it first
        assert [row.preset for row in table(pilot).rows][:2] == ["sig", "sig"]
        await pilot.press("s", "R")
        assert table(pilot).rows[0].preset == "blend"  # 100.0, the most, it never came to its end

    async def again(pilot):
        await at_rest(pilot, "delta", "ASR▴")
        assert table(pilot).rows[0].preset == "blend"
        await asked(pilot, "C", "")
        await at_rest(pilot, "verdict")

    drive(runs, first, size=(120, 40))
    drive(runs, again, size=(120, 40))
    kept = json.loads((runs.parent / "settings.json").read_text())["workspace"]
    assert (kept["columns"], kept["sort"]) == ([], ["ASR", True])


def test_a_click_on_the_title_of_a_chosen_column_sorts_by_it(runs):
    async def script(pilot):
        await until(pilot, shows(pilot, "runs 4"))
        await asked(pilot, "C", "preset ACC attack.delta")
        await at_rest(pilot, "delta")
        end = sum(column.width + 1 for column in table(pilot)._columns)
        await pilot.click(RunTable, offset=(end - 4, 0))
        assert (table(pilot).sorted_by, table(pilot).rows[0].preset) == ("attack.delta", "sig")

    drive(runs, script, size=(120, 40))


def test_a_field_that_no_run_has_is_said_to_be_one(runs):
    said = []

    async def script(pilot):
        await until(pilot, shows(pilot, "runs 4"))
        pilot.app.screen.runs.notify = lambda message, **more: said.append(message)
        await asked(pilot, "C", "preset distil.q")
        await until(pilot, lambda: said)
        assert said == ["no run says anything of distil.q"]

    drive(runs, script, size=(120, 40))


def test_runs_are_grouped_folded_and_marked_together(runs):
    async def first(pilot):
        await until(pilot, shows(pilot, "runs 4"))
        await asked(pilot, "b", "preset")
        shown = await at_rest(pilot, "by preset", "sig · 2 runs")
        line = next(line for line in shown.splitlines() if "sig · 2 runs" in line)
        assert "96.5±0.0" in line and "4.0±1.4" in line and "1 partly +1" in line
        assert [getattr(line, "title", "run") for line in table(pilot).lines] == [
            "blend · 1 run", "run", "sig · 2 runs", "run", "run", "badnets · 1 run", "run",
        ]  # fmt: skip
        await pilot.press("g", "j", "j", "space")
        assert len(table(pilot).marked) == 2
        assert "2 marked" in screen_text(pilot.app)
        await pilot.press("k", "k", "k", "enter")  # fold sig: what is marked is out of sight, and nothing deletes it
        assert len(table(pilot).rows) == 2
        assert pilot.app.screen.runs.chosen() == []
        assert "2 of them hidden" in screen_text(pilot.app)
        await pilot.press("enter")
        assert len(pilot.app.screen.runs.chosen()) == 2

    async def again(pilot):
        await at_rest(pilot, "by preset", "sig · 2 runs")
        await asked(pilot, "b", "")
        await until(pilot, lambda: len(table(pilot).lines) == 4)

    drive(runs, first, size=(120, 40))
    drive(runs, again, size=(120, 40))


def test_a_strangers_columns_are_not_believed(runs):
    wrong = {"columns": [3], "group": 7, "sort": "up"}
    (runs.parent / "settings.json").write_text(json.dumps({"workspace": wrong}))

    async def script(pilot):
        await until(pilot, shows(pilot, "runs 4"))
        assert table(pilot).names[:2] == ["preset", "data"]

    drive(runs, script, size=(120, 40))
