"""Which of a detector's classes are those asked for, by their names alone."""

from __future__ import annotations

import pytest

from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.sources.by_phrase import ByPhrase, classes_by_phrase
from diffucurate.generator.sources.detector_classes import matched_classes

COCO = dict(enumerate(["Person", "traffic light", "cars", "bus", "glass", "glasses", "dining_table"]))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["person"], {0: "person"}),
        (["people"], {0: "people"}),  # an irregular plural
        (["traffic_light", "car"], {1: "traffic_light", 2: "car"}),
        (["Traffic-Lights"], {1: "Traffic-Lights"}),
        (["BUSES"], {3: "BUSES"}),
        (["glass"], {4: "glass"}),  # of a singular and a plural the one that is meant
        (["glass", "glasses"], {4: "glass", 5: "glasses"}),
        (["dining table", "ship"], {6: "dining table"}),
    ],
)
def test_capitals_underscores_and_plurals_are_ignored(wanted: list[str], expected: dict[int, str]) -> None:
    assert matched_classes(COCO, wanted, {}, "best.pt") == expected


def test_a_map_comes_first_and_says_what_is_wrong_with_it() -> None:
    assert matched_classes(COCO, ["bus"], {"CARS": "bus"}, "best.pt") == {2: "bus", 3: "bus"}
    with pytest.raises(InvalidSetting, match=r"class_map: 'lorry' - best\.pt has the classes Person, traffic light"):
        matched_classes(COCO, ["bus"], {"lorry": "bus"}, "best.pt")
    with pytest.raises(InvalidSetting, match=r"class_map\.bus: 'tram' - use one of bus"):
        matched_classes(COCO, ["bus"], {"bus": "tram"}, "best.pt")


def test_messages_do_not_list_a_thousand_classes() -> None:
    many = {index: f"class {index}" for index in range(1000)}
    with pytest.raises(ModelError, match=r"class 11, \.\.\. and 988 more: name a class_map") as caught:
        matched_classes(many, ["cat"], {}, "best.pt")
    assert len(str(caught.value)) < 300


def test_a_class_is_unseen_if_none_of_its_phrases_is_seen() -> None:
    class Detector:
        name = "detector"
        unseen = ("tree", "sedan", "plane", "jet")

        def label(self, images):
            return []

    classes = {"car": ("car", "sedan"), "tree": ("tree",), "plane": ("jet",)}
    assert ByPhrase(Detector(), classes).unseen == ("tree", "plane")
    Detector.unseen = tuple(classes_by_phrase({"car": ("car",)}))
    assert ByPhrase(Detector(), {"car": ("car",)}).unseen == ("car",)
    Detector.unseen = ()
    assert ByPhrase(Detector(), classes).unseen == ()
