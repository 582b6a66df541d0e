"""Templates put in attributes and can do nothing else."""

from __future__ import annotations

import pytest

from diffucurate.generator.templates import attributes_of, fill


@pytest.mark.parametrize(
    ("template", "values", "prompt"),
    [
        ("a car", {}, "a car"),
        ("a {colour} car", {"colour": "red"}, "a red car"),
        ("{a}{b}{a}", {"a": "x", "b": "y"}, "xyx"),
        ("{{a}} {a} {{", {"a": "x"}, "{a} x {"),
        ("a {colour} car", {"colour": "{colour.__class__} {0}"}, "a {colour.__class__} {0} car"),  # values are text
        ("  a \n car\t{a} ", {"a": " b "}, "a car b"),
    ],
)
def test_fill(template: str, values: dict[str, str], prompt: str) -> None:
    assert fill(template, values) == prompt


def test_attributes_come_once_in_their_order() -> None:
    assert attributes_of("{b} {a} {b} {{c}}") == ("b", "a")


@pytest.mark.parametrize(
    "field",
    [
        "object.__class__", "object.__class__.__mro__", "object[0]", "object[key]", "object!r", "object:>10",
        "object:{width}", "", "0", "1", "a b", "a-b", "object.", "object[", " object", "object ", "object()", "f'x'",
    ],
)  # fmt: skip
def test_anything_but_an_attribute_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=r"not allowed: a template can only put in attributes|brace"):
        attributes_of(f"a {{{field}}} car")


@pytest.mark.parametrize("template", ["a {colour car", "a colour} car", "{", "}", "{{{"])
def test_lonely_braces(template: str) -> None:
    with pytest.raises(ValueError, match=r"write \{\{ and \}\}"):
        attributes_of(template)
