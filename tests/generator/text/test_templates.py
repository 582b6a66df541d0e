"""Templates put in attributes and can do nothing else."""

from __future__ import annotations

import pytest

from diffucurate.generator.text.templates import attributes_of, fill, fix, fixed_in


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


@pytest.mark.parametrize(
    ("template", "fixed", "free", "prompt"),
    [
        ("a {colour=red} {object}", {"colour": "red"}, ("object",), "a red car"),
        ("{colour=light blue} {colour=light blue}", {"colour": "light blue"}, (), "light blue light blue"),
        ("at {time=10:30} {{colour=red}}", {"time": "10:30"}, (), "at 10:30 {colour=red}"),
        ("{sum=a=b}", {"sum": "a=b"}, (), "a=b"),
    ],
)
def test_fixed_values_are_text_that_counts(template: str, fixed: dict, free: tuple[str, ...], prompt: str) -> None:
    assert dict(fixed_in(template)) == fixed
    assert attributes_of(template) == free
    assert fill(template, {"object": "car"}) == prompt


@pytest.mark.parametrize("template", ["{a=}", "{a= }", "{=x}", "{a b=x}", "{a.b=x}"])
def test_fixed_values_need_a_name_and_a_value(template: str) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        fixed_in(template)


@pytest.mark.parametrize("template", ["{a=x} {a=y}", "{a=x} {a}"])
def test_an_attribute_has_one_value_in_a_prompt(template: str) -> None:
    with pytest.raises(ValueError, match="keep one of them"):
        fixed_in(template)


def test_fix_fills_in_what_is_named() -> None:
    fixed = fix("{{a}} {a} {b=y} {c}", {"a": "x", "other": "z"})
    assert fixed == "{{a}} {a=x} {b=y} {c}"
    assert fill(fixed, {"c": "!"}) == "{a} x y !"
    with pytest.raises(ValueError, match="cannot hold the value 'wow!'"):
        fix("{a}", {"a": "wow!"})
