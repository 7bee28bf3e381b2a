"""What the workbench remembers from one start to the next."""

from __future__ import annotations

import pytest

from nadtui.workbench import settings
from nadtui.workbench.app import Workbench
from tests import looks, scripted_run
from tests.run_screen import opened


@looks.piloted
async def test_settings_outlive_the_workbench(watching, settings_file, tmp_path):
    app = watching()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("t", "a", "v")
        await pilot.pause()
        assert not app.current_theme.dark
    kept, problem = settings.load(settings_file)
    assert problem == ""
    assert (kept.theme, kept.axis, kept.maps_view) == ("nadtui-light", "seconds", "clean")
    again = Workbench(tmp_path / "runs", start=tmp_path / "runs" / scripted_run.RUN, settings_file=settings_file)
    async with again.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        assert again.theme == "nadtui-light"
        assert "by seconds" in looks.text_of(again)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"theme": 3}', '{"pane": "kitchen", "axis": "step"}', "\x00", '{"theme": "no such"}']
)
def test_damaged_settings_are_no_reason_to_fail(settings_file, content):
    settings_file.parent.mkdir(parents=True)
    settings_file.write_text(content)
    loaded, _ = settings.load(settings_file)
    assert loaded.pane == "curves"


def test_wrong_settings_are_named(settings_file):
    settings_file.parent.mkdir(parents=True)
    settings_file.write_text('{"pane": "kitchen", "axis": "step", "unknown": 1}')
    loaded, problem = settings.load(settings_file)
    assert loaded.axis == "step"
    assert "pane" in problem
    assert "unknown" not in problem


@pytest.mark.parametrize("place", ["a file above it", "a file further above", "a folder in its place"])
@looks.piloted
async def test_settings_that_cannot_be_kept_cost_one_warning(place, watching, settings_file, monkeypatch):
    if place == "a folder in its place":
        settings_file.mkdir(parents=True)
    else:
        settings_file.parent.touch()
    app = watching()
    if place == "a file further above":
        app._file = settings_file / "below" / "workbench.json"
    said = []
    notify = app.notify

    def noted(message: str, **more: object) -> None:
        said.append((message, more.get("severity")))
        notify(message, **more)

    monkeypatch.setattr(app, "notify", noted)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot)
        await pilot.press("t", "a", "v")
        await pilot.pause()
        assert app.settings.axis == "seconds"
    warnings = [message for message, severity in said if severity == "warning"]
    assert len(warnings) == 1 and str(settings_file.parent) in warnings[0]
