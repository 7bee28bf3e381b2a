"""HTML: whole, from nowhere, and foreign markup only ever text."""

import html.parser

from nadtui.export import html_file, tex_file
from nadtui.runs.loading import load
from tests import run_folders


class Reader(html.parser.HTMLParser):
    """Counts the tags, and collects the text and images of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, int] = {}
        self.said: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data):
        self.said.append(data)


def read(document: str) -> Reader:
    reader = Reader()
    reader.feed(document)
    return reader


def test_html_holds_figures_curves_maps_and_configuration(sig_report):
    page = read(html_file.render(sig_report))
    said = " ".join(page.said)
    assert "97.0" in said
    assert "attack.poisoning" not in said
    assert "poisoning_rate: 0.8" in said
    assert page.tags["svg"] == 2
    assert page.tags["img"] == 1
    assert page.tags["tr"] == 4


def test_html_loads_nothing_from_anywhere(sig_report):
    document = html_file.render(sig_report)
    assert all(source.startswith("data:image/png;base64,") for source in read(document).sources)
    assert "http://" not in document
    assert "url(" not in document


def test_html_shows_foreign_markup_as_text(hostile):
    page = read(html_file.render(hostile))
    assert "script" not in page.tags
    assert any("<script>alert(1)</script>" in said for said in page.said)
    assert "\x1b" not in html_file.render(hostile)


def test_an_unfinished_run_says_so(tmp_path):
    failed = load(str(run_folders.write(tmp_path, "20260101-120000-sig-signs-s0", end="failed")), None)
    said = " ".join(read(html_file.render(failed)).said)
    assert "This run is not finished" in said
    assert "the loss is not finite" in said
    assert "not finished" in tex_file.render(failed)


def test_a_comparison_holds_curves_maps_side_by_side_and_differing_fields(reports):
    page = read(html_file.render_comparison(reports))
    said = " ".join(page.said)
    assert page.tags["svg"] == 2
    assert page.tags["img"] == page.tags["figcaption"] == 3  # one sample, which all of them have recorded
    assert "attack.poisoning_rate" in said and "attack.delta" in said
    alike = " ".join(read(html_file.render_comparison(reports[:1] * 2)).said)
    assert "In nothing." in alike
