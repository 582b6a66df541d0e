"""Which dataset images go to; ``test_generate`` has the ones that are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffucurate.plugin.generation.target import find_target, unused_name

if TYPE_CHECKING:
    import fiftyone as fo


def test_an_empty_dataset_can_be_used(dataset: fo.Dataset) -> None:
    assert find_target(dataset.name) is dataset
    assert find_target("no such dataset") is None


def test_names_that_share_an_address_count_as_used(dataset: fo.Dataset) -> None:
    dataset.name = "some streets"
    assert unused_name("other-streets") == "other-streets"
    assert unused_name("some-streets") == "some-streets-2"
