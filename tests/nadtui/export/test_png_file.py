"""PNG: every model and tap in its own place."""

import io
from pathlib import Path

import pytest
from PIL import Image

from engine.errors import RequestError
from engine.record.state import RunState
from engine.record.view import fold
from nadtui.export import png_file
from nadtui.runs.digest import Report
from tests import run_folders, scripted_run


def test_png_shows_each_model_and_group_on_its_own_place(sig_report):
    with Image.open(io.BytesIO(png_file.render(sig_report))) as picture:
        picture.load()
        # Three models below each other, a sample and three groups of two maps beside each other.
        assert picture.height == png_file.LINE + 3 * (png_file.SIDE + png_file.LINE) + png_file.GAP
        line = png_file.LINE + png_file.LINE + png_file.SIDE - 3
        left = png_file._left(2)
        clean, triggered = (
            picture.getpixel((left + place * (png_file.SIDE + 2) + png_file.SIDE - 3, line)) for place in (0, 1)
        )
        assert sum(triggered) > 600  # the trigger's corner is lit in the backdoored model
        assert sum(clean) < 100
        erased = picture.getpixel((left + png_file.SIDE + 2 + png_file.SIDE - 3, line + 2 * (png_file.SIDE + 16)))
        assert sum(erased) < 100  # and dark in the student


def test_png_of_a_run_without_maps_is_refused():
    events = [run_folders.script("x", run_folders.config())[0]]
    with pytest.raises(RequestError, match="no attention maps"):
        png_file.render(Report(Path("x"), fold(scripted_run.timed(events)), RunState.RUNNING))
