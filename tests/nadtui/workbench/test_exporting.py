"""Exports and screenshots from the workbench."""

from __future__ import annotations

from textual.widgets import Input, OptionList

from tests import looks, scripted_run
from tests.run_screen import opened


@looks.piloted
async def test_a_run_is_exported(watching, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = watching()
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await opened(pilot)
        await pilot.press("e")
        options = app.screen.query_one(OptionList)
        assert options.option_count >= 3
        await pilot.press("enter")
        await pilot.pause()
        app.screen.query_one(Input).value = "out.md"
        await pilot.press("enter")
        await looks.settle(pilot, "written:")
    assert scripted_run.RUN in (tmp_path / "out.md").read_text()


@looks.piloted
async def test_a_model_is_exported_as_a_checkpoint(watching, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with watching().run_test(size=(100, 30), notifications=True) as pilot:
        await opened(pilot)
        await pilot.press("e", "end", "enter")
        await pilot.pause()
        assert pilot.app.screen.query_one(Input).value == f"{scripted_run.RUN}.pth"
        await pilot.press("enter")
        # The scripted run has no weights, and says so.
        await looks.settle(pilot, "no such file")
    assert not (tmp_path / f"{scripted_run.RUN}.pth").exists()


@looks.piloted
async def test_a_screenshot_is_saved(watching, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with watching().run_test(size=(100, 30), notifications=True) as pilot:
        await opened(pilot)
        await pilot.press("S")
        await looks.settle(pilot, "saved:")
    (file,) = tmp_path.glob("nadtui-*.svg")
    assert "<svg" in file.read_text()


@looks.piloted
async def test_a_file_may_be_named_from_home_and_one_of_nobodys_home_is_told(watching, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    async with watching().run_test(size=(100, 30), notifications=True) as pilot:
        await opened(pilot)
        await pilot.press("e", "enter")
        await pilot.pause()
        field = pilot.app.screen.query_one(Input)
        field.value = "~nobody-there/out.md"
        await looks.settle(pilot, "there is no home folder ~nobody-there")
        field.value = "~/a b.md"
        await pilot.press("enter")
        await looks.settle(pilot, "written:")
    assert scripted_run.RUN in (tmp_path / "home" / "a b.md").read_text()
