"""How images become labels whatever the source: batches, classes by phrase, and maps that images keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from diffucurate.generator.labels.from_maps import labels_from_maps
from diffucurate.generator.labels.maps.stored_maps import Heatmaps, as_stored
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.labels.settings import LabelSettings
from diffucurate.generator.sources import LabelRequest, PixelLabeller
from diffucurate.generator.sources.attention_labeller import AttentionLabeller
from diffucurate.generator.sources.attention_source import AttentionSource
from diffucurate.generator.sources.by_phrase import ByPhrase, classes_by_phrase

CLASSES = {"car": ("car", "sedan"), "bus": ("bus",)}


class Picture(NamedTuple):
    """An image to label, as a caller of a source would have it."""

    pixels: NDArray[np.uint8]
    prompt: str | None = None
    maps: Heatmaps | None = None
    model: str | None = "tiny"

    def kept_maps(self) -> Heatmaps | None:
        return self.maps

    def maps_model(self) -> str | None:
        return self.model


class Sedans:
    """Finds a sedan in every image, and says how many images it got at once."""

    name = "sedans"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def label(self, images: Sequence[NDArray[np.uint8]]) -> list[Labels]:
        self.batches.append(len(images))
        masks = [np.ones(image.shape[:2], np.bool_) for image in images]
        return [Labels.from_instances([Instance("sedan", mask, 0.5)], ("sedan",), mask.shape) for mask in masks]


def pictures(count: int) -> list[Picture]:
    return [Picture(np.zeros((4, 6 + index, 3), np.uint8)) for index in range(count)]


@pytest.mark.parametrize(("batch_size", "batches"), [(None, [16, 1]), (5, [5, 5, 5, 2]), (40, [17])])
def test_pixels_are_labelled_in_batches(batch_size: int | None, batches: list[int]) -> None:
    source = Sedans()
    labeller = PixelLabeller(source, LabelRequest(CLASSES, None, batch_size=batch_size))
    results = list(labeller.results(pictures(17)))
    assert [index for index, _ in results] == list(range(17)) and source.batches == batches
    assert all(result.labels.semantic.shape == (4, 6 + index) for index, result in results)
    assert all(result.heatmaps is None for _, result in results)
    assert list(labeller.results([])) == []


def test_what_a_model_calls_by_a_phrase_is_of_that_class() -> None:
    assert classes_by_phrase(CLASSES) == {"car": "car", "sedan": "car", "bus": "bus"}
    source = ByPhrase(Sedans(), CLASSES)
    (labels,) = source.label([np.zeros((4, 4, 3), np.uint8)])
    assert (source.name, labels.classes, [instance.label for instance in labels.instances]) == (
        "sedans",
        ("car", "bus"),
        ["car"],
    )


class Looks:
    """Stands in for the model that looks at images without maps: what it was asked, and a bus in each."""

    asked: list[tuple[int, list[str | None]]]

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = []

        def heatmaps(_: Any, images: Sequence[Any], prompts: Sequence[str | None]) -> list[Heatmaps]:
            self.asked.append((len(images), list(prompts)))
            return [{"bus": blob() * np.float32(1 / 3)} for _ in images]

        monkeypatch.setattr(AttentionSource, "heatmaps", heatmaps)


def blob() -> NDArray[np.float32]:
    heat = np.zeros((16, 16), np.float32)
    heat[4:12, 4:12] = 1
    return heat


def test_attention_labels_from_kept_maps_and_looks_at_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, image = Looks(monkeypatch), np.full((64, 64, 3), 90, np.uint8)
    kept, other = Picture(image, "a car", {"car": blob(), "dog": blob()}), Picture(image, None)
    labeller = AttentionLabeller(LabelRequest(CLASSES, LabelSettings()))
    results = list(labeller.results([other, kept]))
    assert [index for index, _ in results] == [1, 0] and looks.asked == [(1, [None])]
    (_, first), (_, second) = results
    assert first.heatmaps is None and first.labels.classes == ("car", "bus")
    expected = labels_from_maps({"car": blob()}, image, CLASSES, "a car")
    assert np.array_equal(first.labels.semantic, expected.semantic) and expected.instances
    # What is to be kept is what the labels were made of, to the last bit that is stored.
    assert second.heatmaps is not None
    assert np.array_equal(second.heatmaps["bus"], as_stored({"bus": blob() * np.float32(1 / 3)})["bus"])


@pytest.mark.parametrize(
    ("options", "prompt", "maker", "looked"),
    [
        ({}, "a car and a bus", "tiny", False),
        ({}, "a car", "owner/other", False),
        ({"model": "tiny"}, "a car", "tiny", False),
        ({"model": "tiny"}, "a car", "owner/other", True),  # the labels would be another model's than it is said
        ({"model": "tiny"}, "a car", None, True),
        ({"model": "tiny"}, "a car and a bus", "tiny", True),  # the maps lack a class that this model could find
        ({"model": "tiny"}, None, "tiny", True),
        ({"contrast": True}, "a car", "tiny", True),
        ({"contrast": False}, "a car", "tiny", False),
    ],
)
def test_a_named_model_or_contrast_looks_where_maps_do_not_do(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], prompt: str | None, maker: str | None, looked: bool
) -> None:
    looks = Looks(monkeypatch)
    image = Picture(np.full((64, 64, 3), 90, np.uint8), prompt, {"car": blob()}, maker)
    labeller = AttentionLabeller(LabelRequest(CLASSES, LabelSettings(), options, painters=lambda: ["tiny"]))
    ((_, result),) = labeller.results([image])
    assert (result.heatmaps is not None, bool(looks.asked)) == (looked, looked)
    assert result.model == ("tiny" if looked else None)
    assert labeller.request.options["model"] == ("tiny" if options.get("contrast") else options.get("model"))
