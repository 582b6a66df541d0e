"""The datasheet: its numbers, and texts that would be markup."""

from __future__ import annotations

from diffucurate.generator.exports.datasheet import Agreement, ClassFigures, Datasheet, PaintedImages
from diffucurate.generator.exports.folder import Written
from diffucurate.generator.exports.markdown import escaped, table


def written() -> Written:
    holds = Written()
    holds.add("train", ["car", "car", "bus"])
    holds.add("train", [])
    holds.add("val", ["car"])
    return holds


def sheet(**values) -> Datasheet:
    plain = {"name": "night", "format": "coco", "source": "attention", "classes": ["bus", "car"], "unlabelled": 0}
    return Datasheet(**{**plain, "licence": None, "figures": {}, "sizes": {}, **values})


def test_counts_per_split_and_class() -> None:
    text = sheet().render(written())
    assert "| train | 2 | 3 |\n| val | 1 | 1 |\n| all | 3 | 4 |" in text
    assert "| bus | 1 | 0 | 1 |\n| car | 2 | 1 | 3 |" in text
    assert "not compared" in text and "None of the images was painted" in text and "Not stated." in text


def test_everything_that_is_known_is_said() -> None:
    painted = PaintedImages(
        3,
        {"tiny": 3},
        {"txt2img": 3},
        (4, 9, 2),
        (20, 20),
        (5.0, 7.5),
        {"time": {"night": 2}},
        2,
        ["a <car>", "a *bus*"],
    )
    text = sheet(
        unlabelled=5,
        licence="CC0-1.0",
        figures={"car": ClassFigures(2, 3, 0.5, None)},
        sizes={"64 x 64": 3},
        agreements=[Agreement("yolov8", 2, 0.25, {"car": 0.75})],
        source_settings={"weights": "seg.pt"},
        found_by={"a + b": 2},
        human=1,
        painted=painted,
    ).render(written(), unreadable=1, left_out=2)
    for words in (
        "Left out: 5 images that attention has not labelled, 1 images that cannot be read, 2 instances",
        "Made with weights: seg.pt.",
        "| a + b | 2 |",
        "Drawn or mended by a person: 1 instances.",
        "| car | 2 | 3 | 0.500 |  |",
        "With yolov8: 0.250 on average of 2 images.",
        "| car | 0.750 |",
        "| 64 x 64 | 3 |",
        "- Seeds: 2 different ones from 4 to 9",
        "- Steps: 20\n- Guidance: 5 to 7.5",
        "| time | night | 2 |",
        "- a \\<car\\>\n- a \\*bus\\*",
        "CC0-1.0.",
    ):
        assert words in text, words


def test_texts_are_shown_as_they_stand() -> None:
    assert escaped("- a|b\n<script>`x`") == "\\- a\\|b \\<script\\>\\`x\\`"
    assert len(escaped("x" * 10_000)) == 303
    assert table(("Name", "Count"), [("a|b", 3)]) == "| Name | Count |\n| --- | ---: |\n| a\\|b | 3 |"
