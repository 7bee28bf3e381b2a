"""Charts as SVG."""

import xml.etree.ElementTree as ElementTree

from nadtui.draw.chart import Chart, Series
from nadtui.export import svg


def test_svg_is_well_formed_and_draws_gaps():
    chart = Chart(
        (Series("A & B", "#ff0000", [0, 1, 2, 3, 4], [1.0, 2.0, float("nan"), 3.0, 4.0]),), ((0.0, "<nad>"),), "epoch"
    )
    root = ElementTree.fromstring(svg.draw(chart, 'a "title"'))
    lines = [each for each in root.iter() if each.tag == "polyline"]
    assert [len(line.attrib["points"].split()) for line in lines] == [2, 2]
    texts = [each.text for each in root.iter("text")]
    assert "A & B" in texts
    assert "<nad>" in texts


def test_svg_of_nothing_is_nothing():
    assert svg.draw(Chart((Series("A", "#ff0000", [], []),)), "x") == ""


def test_svg_places_values_by_their_size():
    chart = Chart((Series("A", "#ff0000", [0.0, 10.0], [0.0, 100.0]),), axis="epoch", y_range=(0.0, 100.0))
    root = ElementTree.fromstring(svg.draw(chart, "x"))
    points = next(each for each in root.iter("polyline")).attrib["points"].split()
    (left, low), (right, high) = (map(float, point.split(",")) for point in points)
    assert left < right
    assert low > high  # y runs downward
