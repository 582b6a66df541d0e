"""Which words of a text mean which class."""

from __future__ import annotations

import unicodedata

import pytest

from diffucurate.generator.text.class_mentions import Mention, find_mentions, find_phrases, normalised, word_forms

STREET = {
    "car": ["car", "sedan"], "bus": ["bus", "coach"], "truck": ["truck", "lorry"], "fire_truck": ["fire truck"],
    "person": ["person", "man"], "sign": ["stop sign"], "box": ["t-shirt"], "city": ["city"], "tree": ["tree"],
    "cafe": ["café"], "taxi": ["汽车"], "wolf": ["wolf", "knife"], "bird": ["St. Bernard's hawk"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("a red car", {"car": ("car",)}),
        ("a RED CAR!", {"car": ("car",)}),
        ("cars, buses and lorries", {"car": ("car",), "bus": ("bus",), "truck": ("lorry",)}),
        ("two coaches", {"bus": ("coach",)}),
        ("people; men; cities", {"person": ("person", "man"), "city": ("city",)}),
        ("a car's wheel, the cars' wheels", {"car": ("car",)}),
        ("sedan and car", {"car": ("car", "sedan")}),  # in the order of the classes
        ("a (car), a [bus]... (truck:1.2)", {"car": ("car",), "bus": ("bus",), "truck": ("truck",)}),
        ("tree++ tree--", {"tree": ("tree",)}),
        # whole words only
        ("a cart, a scar, busy treetops, mankind, caretaker", {}),
        ("carbus", {}),
        # the longest phrase wins, and leaves nothing of itself to others
        ("a fire truck", {"fire_truck": ("fire truck",)}),
        ("fire trucks and trucks", {"truck": ("truck",), "fire_truck": ("fire truck",)}),
        ("a fire, truck", {"truck": ("truck",)}),
        # the first part of a compound is no such thing, unless the compound says that it is there
        ("a man-made lake, a car\u2010free road, a tree-like bush", {}),
        ("men-only, a man-eating bus", {"bus": ("bus",)}),
        ("a tree-lined road, a person-shaped box", {"tree": ("tree",)}),
        ("a car-bus collision", {"car": ("car",), "bus": ("bus",)}),
        ("a snow-man, a police-car, a car-1, a man\u2014made of wood", {"car": ("car",), "person": ("man",)}),
        # separators
        ("a fire-truck", {"fire_truck": ("fire truck",)}),
        ("a Fire_Truck", {"fire_truck": ("fire truck",)}),
        ("a fire \n truck", {"fire_truck": ("fire truck",)}),
        ("stop\u2013signs", {"sign": ("stop sign",)}),
        ("a t shirt, two T-Shirts", {"box": ("t-shirt",)}),
        ("a tshirt", {}),
        ("sign", {}),
        ("a St. Bernard's hawk", {"bird": ("St. Bernard's hawk",)}),
        ("a st. bernard\u2019s hawk", {"bird": ("St. Bernard's hawk",)}),
        # other scripts and composed letters
        ("a CAFÉ", {"cafe": ("café",)}),
        (unicodedata.normalize("NFD", "two cafés"), {"cafe": ("café",)}),
        ("cafe", {}),
        ("一辆红色汽车在路上", {"taxi": ("汽车",)}),
        ("wolves with knives", {"wolf": ("wolf", "knife")}),
        ("", {}),
        ("🚗", {}),
    ],
)  # fmt: skip
def test_find_phrases(prompt: str, found: dict[str, tuple[str, ...]]) -> None:
    assert find_phrases(prompt, STREET) == found
    assert list(find_phrases(prompt, STREET)) == [label for label in STREET if label in found]


def test_longest_wins_even_where_a_shorter_one_begins_earlier() -> None:
    classes = {"colour": ["bright red"], "engine": ["red fire engine"]}
    assert find_phrases("a bright red fire engine", classes) == {"engine": ("red fire engine",)}


def test_a_plural_that_is_a_phrase_of_its_own_is_found_as_itself() -> None:
    assert find_phrases("cars", {"car": ["car", "cars"]}) == {"car": ("cars",)}


def test_mentions_say_where() -> None:
    text = "Cars near a fire truck and a car"
    mentions = find_mentions(text, STREET)
    assert mentions == [
        Mention("car", "car", 0, 4),
        Mention("fire_truck", "fire truck", 12, 22),
        Mention("car", "car", 29, 32),
    ]
    assert normalised(text)[12:22] == "fire truck"


@pytest.mark.parametrize(
    ("word", "plural"),
    [
        ("car", "cars"), ("bus", "buses"), ("box", "boxes"), ("bench", "benches"), ("brush", "brushes"),
        ("lorry", "lorries"), ("toy", "toys"), ("potato", "potatoes"), ("piano", "pianos"), ("leaf", "leaves"),
        ("roof", "roofs"), ("knife", "knives"), ("person", "people"), ("man", "men"), ("fireman", "firemen"),
        ("human", "humans"), ("salesperson", "salespeople"),
        ("child", "children"), ("goose", "geese"), ("sheep", "sheep"),
    ],
)  # fmt: skip
def test_plurals(word: str, plural: str) -> None:
    assert plural in word_forms(word) and word_forms(word)[0] == word


@pytest.mark.parametrize(("word", "other"), [("cloth", "clothes"), ("toy", "toies"), ("bus", "buss"), ("car", "cares")])
def test_no_plurals_that_are_not(word: str, other: str) -> None:
    assert other not in word_forms(word)
