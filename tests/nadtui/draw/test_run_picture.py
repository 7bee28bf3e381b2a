"""What `nadtui show` prints of a run's curves and maps."""

from __future__ import annotations

import pytest

from engine.record.view import RunView, fold
from nadtui.draw import run_picture
from tests import many_taps, run_folders, scripted_run, showcase


def test_a_pipe_gets_curves_and_maps_in_letters():
    shown = run_picture.draw(fold(showcase.record()), 100, color=False).plain
    assert "ACC" in shown
    assert "teacher" in shown
    assert "group1 32×32" in shown
    assert "▀" not in shown
    assert "@" in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_a_color_terminal_gets_half_blocks():
    drawn = run_picture.draw(fold(showcase.record()), 100, color=True)
    assert "▀" in drawn.plain
    assert any(span.style.color is not None for span in drawn.spans if not isinstance(span.style, str))


def test_the_curves_show_asr_falling():
    lines = run_picture.draw(fold(showcase.record()), 100, color=False).plain.splitlines()
    canvas = [line[6:] for line in lines[2:15]]
    first, last = canvas[0], canvas[-1]
    assert "o" in first[:60]
    assert "o" in last[60:]
    assert "o" not in last[:30]


def test_the_models_on_the_way_to_a_stages_are_a_curve_of_their_own():
    shown = run_picture.draw(fold(run_folders.side_by_side()), 100, color=False).plain.splitlines()
    (title,) = [row for row, line in enumerate(shown) if line.startswith("on the way to ")]
    assert shown[title].rstrip() == "on the way to fine-tuning, by t: ━ ACC  o ASR"
    plotted = "\n".join(shown[title + 1 : title + 1 + run_picture.LINES])
    assert "0.2 " in plotted, "its axis is t"
    untriggered = run_picture.draw(fold(run_folders.side_by_side(attacked=False)), 100, color=False).plain
    (title,) = [line for line in untriggered.splitlines() if line.startswith("on the way to ")]
    assert "ASR" not in title


def test_a_record_without_figures_gives_nothing():
    assert run_picture.draw(RunView(), 80, color=False).plain == ""
    assert run_picture.draw(fold([scripted_run.run_started()]), 80, color=False).plain == ""


@pytest.mark.parametrize("count", [1, 2, 4, 6])
def test_every_tap_is_shown_however_many_there_are(count):
    shown = run_picture.draw(fold(many_taps.record(count)), 100, color=False).plain
    assert all(f"{name} 32×32" in shown for name in many_taps.NAMES[:count] if len(name) < 12)
    assert shown.count("32×32") + shown.count("layer4.1.conv2 ") + shown.count("layer2.0.conv1 ") >= count
    assert max(map(len, shown.splitlines())) <= 100
