"""The run screen's maps: samples, views, cells, other operators."""

from __future__ import annotations

import threading

import pytest

from engine.events import SampleAnswered
from nadtui.draw import map_grid
from nadtui.workbench.app import Workbench
from nadtui.workbench.widgets.attention import AttentionGrid
from tests import looks, many_taps, showcase
from tests.pilot import shows, until
from tests.run_screen import NOW, opened


@looks.piloted
async def test_samples_views_and_letters(watching):
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("2", "n")
        assert "no entry" in await looks.settle(pilot, "no entry")
        await pilot.press("N", "N")
        assert screen.maps.sample == 3
        for view in ("clean", "triggered", "difference", "both"):
            await pilot.press("v")
            assert screen.query_one(AttentionGrid).maps.view == view
        await pilot.press("m")
        assert "▀" not in looks.text_of(app)
        assert app.settings.maps == "ascii"
        await pilot.press("m")
        await pilot.pause()
        assert "▀" in looks.text_of(app)


@looks.piloted
async def test_a_cell_is_chosen_maximized_and_left(watching):
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("2", "down", "right", "down")
        assert screen.maps.cell == (1, 1)
        await pilot.press("enter")
        shown = await looks.settle(pilot, "teacher · group2")
        assert "% of attention in the trigger's footprint" in shown
        await pilot.press("escape")
        assert not screen.maps.maximized_cell
        await pilot.press("escape")
        assert screen.maps.cell is None


@looks.piloted
async def test_a_click_on_a_cell_chooses_and_a_second_maximizes_it(watching):
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("2")
        await pilot.pause()
        await pilot.click(AttentionGrid, offset=(18, 4))
        await pilot.pause()
        assert screen.maps.cell == (0, 0)
        await pilot.click(AttentionGrid, offset=(18, 4))
        await pilot.pause()
        assert screen.maps.maximized_cell


@looks.piloted
async def test_another_operator_is_computed_in_the_background(watching, monkeypatch):
    from nadtui.workbench import recomputed_maps

    asked: list[recomputed_maps.Task] = []

    def compute(task: recomputed_maps.Task) -> recomputed_maps.Recomputed:
        asked.append(task)
        shown = {(e.stage, e.sample, e.tap): e for e in showcase._maps("nad", 1, 0, 0.0)}
        return recomputed_maps.Recomputed(task.operator, "no checkpoint yet", shown)

    monkeypatch.setattr(recomputed_maps, "compute", compute)
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot)
        await pilot.press("2", "o")
        shown = await looks.settle(pilot, "sum, from its checkpoint")
        assert "no checkpoint yet" in shown
        (task,) = asked
        assert (task.operator, task.model, task.classes, task.p) == ("sum", "wrn-16-1", 10, 2.0)
        assert list(task.stages) == ["attack", "teacher", "nad"]
        for _ in range(4):
            await pilot.press("o")
        await looks.settle(pilot, "epoch 10")  # the run's own again


@looks.piloted
async def test_only_the_operator_that_is_looked_at_is_computed(watching, monkeypatch):
    """One at a time, and none that a person has left behind; an error is told in the maps' place."""
    from nadtui.workbench import recomputed_maps

    asked: list[str] = []
    first = threading.Event()

    def compute(task: recomputed_maps.Task) -> recomputed_maps.Recomputed:
        asked.append(task.operator)
        first.wait(30)
        raise KeyError("a stranger's checkpoint")

    monkeypatch.setattr(recomputed_maps, "compute", compute)
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot)
        await pilot.press("2", "o")
        await until(pilot, lambda: asked)
        await pilot.press("o", "o")
        first.set()
        await until(pilot, shows(pilot, "cannot be computed"))
        assert asked == [recomputed_maps.OPERATORS[0], app.screen.maps.recomputed.operator]


@pytest.mark.parametrize("count", [1, 2, 4, 6])
@looks.piloted
async def test_every_tap_comes_into_sight_in_a_small_window(tmp_path, settings_file, count):
    folder = showcase.write(tmp_path / "runs", many_taps.record(count))
    app = Workbench(tmp_path / "runs", start=folder, settings_file=settings_file, clock=lambda: NOW)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("2", "right")
        for place in range(count):
            assert screen.maps.cell == (0, place)
            grid = screen.panes.grid
            assert place in map_grid.fitted(grid.maps, grid.size.width, grid.size.height).taps
            await pilot.press("right")
        await pilot.press("enter")
        assert f"suspect · {many_taps.NAMES[count - 1]}" in await looks.settle(pilot, "suspect · ")
        await pilot.press("3")
        await looks.settle(pilot, f"{many_taps.NAMES[count - 1]} ")


@looks.piloted
async def test_a_sample_is_chosen_by_class_and_by_what_the_models_disagree_on(watching):
    app = watching()
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        screen = await opened(pilot)
        await pilot.press("2", "d")
        await looks.settle(pilot, "what the models answer is not recorded here")
        for stage in screen.host.view.stages.values():
            for number in range(4):
                stage.add_answer(answer(stage, number, 5 if (stage.name, number) == ("nad", 2) else 0))
        await pilot.press("d")
        assert screen.maps.sample == 2
        await pilot.press("d")  # there is no other
        assert screen.maps.sample == 2
        assert "sample 3/4" in looks.text_of(app)
        await pilot.press("i")
        shown = await looks.settle(pilot, "A sample of the class")
        assert "no entry · test image 20" in shown
        await pilot.press("1")  # by name: no entry, priority, speed 30, yield
        assert screen.maps.sample == 1


def answer(stage, number: int, triggered: int) -> SampleAnswered:
    return SampleAnswered(
        stage=stage.name,
        epoch=stage.last_epoch,
        sample=number,
        clean=number,
        clean_confidence=0.9,
        triggered=triggered,
        triggered_confidence=0.9,
    )


@looks.piloted
async def test_in_full_screen_the_maps_say_which_sample_they_are_of(watching):
    app = watching()
    async with app.run_test(size=(120, 36)) as pilot:
        await opened(pilot)
        await pilot.press("2", "f")
        said = "sample 1/4 · test image 3"
        assert said in await looks.settle(pilot, said)
        await pilot.press("right", "enter")
        assert "suspect · group1  epoch 8  sample 1: yield" in await looks.settle(pilot, "sample 1: yield")
