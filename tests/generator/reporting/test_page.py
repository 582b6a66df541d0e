"""Pages: nothing from outside, nothing unescaped, tags that close."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree import ElementTree

from diffucurate.generator.reporting.page import MARK, Section, images, page, paragraph, table
from diffucurate.generator.reporting.plots import against_diagonal, bars, columns

EVIL = "</td><script>alert('x')</script>&\""
VOID = {"meta", "img", "br"}


class Checked(HTMLParser):
    """Sees that every tag closes, and keeps tags, texts and addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "data", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def checked(text: str) -> Checked:
    reader = Checked()
    reader.feed(text)
    assert reader.open == []
    return reader


def test_texts_are_escaped_and_nothing_is_loaded() -> None:
    sections = [
        Section(EVIL, [paragraph(EVIL), table([EVIL, "n"], [(EVIL, 1234), (None, 0.5)])], figures=(("n", 1.0),)),
        Section(
            "Plots",
            [bars({EVIL: 3, "b": 0}), columns([1, 2], [EVIL, "x"]), images([("data:image/png;base64,AA==", EVIL)])],
        ),
        Section("Nothing", why=EVIL),
    ]
    text = page(EVIL, [paragraph(EVIL)], sections)
    assert text.startswith(MARK) and "default-src 'none'" in text
    reader = checked(text)
    assert "script" not in reader.tags and reader.addresses == ["data:image/png;base64,AA=="]
    assert reader.text.count(EVIL) == 10 and "1,234" in reader.text and "0.500" in reader.text


def test_plots_are_well_formed_and_to_scale() -> None:
    root = ElementTree.fromstring(bars({"car & co": 30, "bus": 15, "a" * 80: 0}).text)
    widths = [float(each.get("width") or 0) for each in root if each.tag.endswith("rect")]
    assert widths[0] == 2 * widths[1] > 0 and widths[2] == 0
    assert max(len(each.text or "") for each in root) <= 24
    root = ElementTree.fromstring(columns([1, 4] * 20, [str(i) for i in range(40)]).text)
    heights = [float(each.get("height") or 0) for each in root if each.tag.endswith("rect")]
    assert heights[1] == 4 * heights[0] > 0
    root = ElementTree.fromstring(against_diagonal([(0.0, 0.0), (1.0, 0.5)], "confidence", "IoU").text)
    dots = [(float(each.get("cx") or 0), float(each.get("cy") or 0)) for each in root if each.tag.endswith("circle")]
    assert dots == [(40, 270), (300, 140)]
    for empty in (bars({}), columns([], []), against_diagonal([], "x", "y")):
        ElementTree.fromstring(empty.text)
