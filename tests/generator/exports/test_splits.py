"""Splits: as people write them, of the right sizes, and always the same."""

from __future__ import annotations

import pytest

from diffucurate.generator.errors import ExportError, InvalidSetting
from diffucurate.generator.exports.splits import assign_splits, check_split_name, parse_splits

IDS = [f"{index:016x}" for index in range(103)]


@pytest.mark.parametrize(
    ("fractions", "sizes"),
    [
        ({"train": 0.8, "val": 0.2}, [82, 21]),
        ({"train": 1.0}, [103]),
        ({"train": 1 / 3, "val": 1 / 3, "test": 1 / 3}, [35, 34, 34]),
        ({"train": 0.999, "val": 0.001}, [103, 0]),
    ],
)
def test_splits_have_exact_sizes(fractions: dict[str, float], sizes: list[int]) -> None:
    splits = assign_splits(IDS, fractions)
    assert [list(splits.values()).count(name) for name in fractions] == sizes
    assert set(splits) == set(IDS)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\0b", "a\nb", "x" * 300, "é" * 61])
def test_names_that_no_folder_can_have_are_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(ExportError, match="use a plain name such as 'train'") as caught:
        check_split_name(name)
    assert len(str(caught.value)) < 200 and str(caught.value).isprintable()


def test_splits_depend_on_ids_only() -> None:
    fractions = {"train": 0.7, "val": 0.3}
    assert assign_splits(reversed(IDS), fractions) == assign_splits(IDS, fractions)
    assert len({assign_splits(IDS, fractions)[value] for value in IDS[:20]}) == 2, "not simply the first ones"


def test_groups_stay_whole() -> None:
    fractions = {"train": 0.8, "val": 0.2}
    groups = {value: str(int(value, 16) // 5) for value in IDS}  # of five, and one of three
    splits = assign_splits(IDS, fractions, groups)
    assert all(len({splits[value] for value in IDS if groups[value] == group}) == 1 for group in groups.values())
    assert abs(list(splits.values()).count("val") - 20.6) <= 5
    assert assign_splits(reversed(IDS), fractions, groups) == splits
    alone = {value: f"group of {value}" for value in IDS}
    assert assign_splits(IDS, fractions, alone) == assign_splits(IDS, fractions)


def test_a_group_that_is_larger_than_its_share_goes_where_most_is_lacking() -> None:
    splits = assign_splits(IDS, {"train": 0.6, "val": 0.4}, dict.fromkeys(IDS[:70], "one"))
    assert [list(splits.values()).count(name) for name in ("train", "val")] == [70, 33]


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ({}, "above 0"),
        ({"train": 0.8}, "sum of 1"),
        ({"train": 1.2, "val": -0.2}, "above 0"),
        ({"../train": 1.0}, "plain name"),
        ({"": 1.0}, "plain name"),
        ({"train": float("nan")}, "above 0"),
        ({"train": float("inf")}, "sum of 1"),
    ],
)
def test_bad_splits_are_refused(fractions: dict[str, float], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        assign_splits(IDS, fractions)


@pytest.mark.parametrize(
    ("text", "splits"),
    [
        ("train=0.8,val=0.2", {"train": 0.8, "val": 0.2}),
        (" train = 1 ", {"train": 1.0}),
        ("a=.5,b=.5", {"a": 0.5, "b": 0.5}),
    ],
)
def test_splits(text: str, splits: dict[str, float]) -> None:
    assert parse_splits(text) == splits


@pytest.mark.parametrize("text", ["", "train", "train=", "=0.5", "train=0.5,", "train=x", "train=0.5,train=0.5"])
def test_splits_of_another_form(text: str) -> None:
    with pytest.raises(InvalidSetting, match=r"as in train=0\.8,val=0\.2"):
        parse_splits(text)
