"""Texts of forms and of the command line as values, and what is said of those that cannot be read."""

from __future__ import annotations

from typing import Any

import pytest

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.text.parsing import (
    join_values,
    parse_attributes,
    parse_class_confidence,
    parse_classes,
    parse_names,
    parse_pairs,
    parse_scores,
    parse_seeds,
    parse_sizes,
    parse_strength,
    split_lines,
    split_values,
)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (None, []),
        ("", []),
        ("red", ["red"]),
        (" red , blue,", ["red", "blue"]),
        ("red\nblue", ["red", "blue"]),
        ("red, white; blue", ["red, white", "blue"]),  # where there is a semicolon, it separates
        ("red, white;", ["red, white"]),
        ([" red", ""], ["red"]),
    ],
)
def test_values(text: Any, values: list[str]) -> None:
    assert split_values(text) == values
    assert split_values(join_values(values)) == values


def test_lines() -> None:
    assert split_lines("a car, red\n\n a bus") == ["a car, red", "a bus"]
    assert split_lines(None) == []


@pytest.mark.parametrize(
    ("texts", "classes"),
    [
        (None, None),
        ([], None),
        (["car, bus"], ["car", "bus"]),
        (["car", "bus"], ["car", "bus"]),
        (["bus=bus,coach"], {"bus": ["bus", "coach"]}),
        (["car,tree", "bus = bus, coach"], {"car": ["car"], "tree": ["tree"], "bus": ["bus", "coach"]}),
    ],
)
def test_classes(texts: Any, classes: Any) -> None:
    assert parse_classes(texts) == classes


@pytest.mark.parametrize("text", ["car,,bus", "", "car,bus=coach", "=coach", "bus=", "bus=bus,"])
def test_classes_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        parse_classes([text])
    assert (caught.value.field, caught.value.value) == ("classes", text)


def test_names_have_no_phrases() -> None:
    assert parse_names(["one,two", "three"], "tokens") == ["one", "two", "three"]
    assert parse_names(None, "tokens") is parse_names([], "tokens") is None
    for text in ("one=two", "one,"):
        with pytest.raises(InvalidSetting, match=r"tokens: .* one comma between"):
            parse_names([text], "tokens")


def test_attributes() -> None:
    texts = ["time=night, dusk", "colour=red", "time=dawn"]
    assert parse_attributes(texts) == {"time": ["night", "dusk", "dawn"], "colour": ["red"]}
    assert parse_attributes(None) == {}
    with pytest.raises(InvalidSetting, match=r"attributes: 'night' - .* as in time=night,dusk"):
        parse_attributes(["night"])


def test_class_confidence() -> None:
    assert parse_class_confidence(["car=0.7", " a=b = 1"]) == {"car": 0.7, "a=b": 1.0}
    for text in ("car", "=0.5", "car=", "car=much"):
        with pytest.raises(InvalidSetting, match=r"class_confidence: .* as in car=0\.7"):
            parse_class_confidence([text])


def test_scores() -> None:
    assert parse_scores(["a=0.2:", "b = :3", "c=1:2"]) == {"a": (0.2, None), "b": (None, 3.0), "c": (1.0, 2.0)}
    for text in ("a", "a=1", "=1:2", "a=low:", "a=1:2:3"):
        with pytest.raises(InvalidSetting, match=r"scores: .* as in uniqueness=0\.2:"):
            parse_scores([text])


@pytest.mark.parametrize(
    ("text", "strength"), [(None, None), ("0.6", 0.6), (0.6, 0.6), ("0.4, 0.8", [0.4, 0.8]), ("7", 7.0)]
)
def test_strength(text: Any, strength: Any) -> None:
    assert parse_strength(text) == strength


def test_a_strength_that_is_no_number() -> None:
    with pytest.raises(InvalidSetting, match="strength: 'much' - give numbers"):
        parse_strength("much")


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        (None, []),
        ("64x96", [[64, 96]]),
        ("64X96, 96x64", [[64, 96], [96, 64]]),
        ("big", [["big"]]),
        ("64x", [[64, ""]]),
    ],
)
def test_sizes(text: Any, sizes: Any) -> None:
    assert parse_sizes(text) == sizes


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        (None, None),
        (4, 4),
        ("4", 4),
        ("-4", -4),
        ("3, 7", [3, 7]),
        ("3,", [3]),
        ("5 random", {"count": 5}),
        ("5 random from 1 to 9, mix 2", {"count": 5, "lowest": 1, "highest": 9, "seed": 2}),
        ("3,x", "3,x"),
        ("some", "some"),
    ],
)
def test_seeds(text: Any, seeds: Any) -> None:
    assert parse_seeds(text) == seeds


def test_pairs_may_be_several_in_one_text() -> None:
    assert parse_pairs(["sedan=car, van=car", "oak=tree"]) == ["sedan=car", "van=car", "oak=tree"]
    assert parse_pairs(None) is None and parse_pairs([" ,"]) is None
