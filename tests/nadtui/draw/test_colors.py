"""Ramps and palettes that people tell apart."""

from nadtui.draw import colors


def test_the_difference_ramp_ends_in_colors_that_a_deuteranope_tells_apart():
    for dark in (True, False):
        low, high = colors.diverging(dark=dark)[0], colors.diverging(dark=dark)[-1]
        assert low[2] > low[0]  # blue
        assert high[0] > high[2]  # orange


def test_the_heat_ramp_gets_lighter_all_the_way():
    lightness = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in colors.heat()]
    assert lightness == sorted(lightness)
