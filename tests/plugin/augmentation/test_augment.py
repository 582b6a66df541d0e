"""Variants of labelled images: what is painted, which labels they keep, and how these are checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

import diffucurate as dc
from diffucurate.generator.errors import DatasetError, InvalidSetting, RecipeError
from diffucurate.generator.painting.init_images import SEAM, grown
from diffucurate.plugin.augmentation.augment import augment
from diffucurate.plugin.curation.relatives import relatives
from diffucurate.plugin.generation.repaint import repaint
from diffucurate.plugin.provenance.provenance import provenance
from diffucurate.plugin.store.media_files import read_image

CAR, TREE = np.s_[30:50, 8:30], np.s_[10:50, 40:52]


def masked(label: str, where: tuple[slice, slice], **more: Any) -> fo.Detection:
    mask = np.zeros((64, 64), np.bool_)
    mask[where] = True
    return fo.Detection.from_mask(mask, label=label, **more)


@pytest.fixture
def photos(dataset: fo.Dataset, tmp_path: Path) -> fo.Dataset:
    """Two photographs of a car and a tree, with ground truth that has attributes and tags."""
    for index in range(2):
        pixels = np.random.default_rng(index).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
        truth = [masked("tree", TREE, tags=["hard"], occluded=True), masked("car", CAR, index=3)]
        sample = fo.Sample(str(tmp_path / f"{index}.png"), tags=["summer"], truth=fo.Detections(detections=truth))
        dataset.add_sample(sample)
    return dataset


@pytest.fixture
def quick(model_folder: str) -> dict[str, Any]:
    return {"model": model_folder, "steps": 4, "variants": 2}


@pytest.fixture
def other_name() -> Iterator[str]:
    name = "augmented-elsewhere"
    yield name
    if fo.dataset_exists(name):
        fo.delete_dataset(name)


def test_variants_keep_labels_attributes_and_tags(photos: fo.Dataset, quick: dict[str, Any]) -> None:
    made = augment(photos, "truth", **quick)
    assert len(made) == 4 and len(photos) == 6 and not photos.persistent
    assert set(made.values("prompt")) == {"a photo of a car and a tree"} and set(made.values("seed")) == {0, 1}
    assert set(made.values("source.strength")) <= {0.25, 0.5, 0.75, 1.0}
    for sample in made:
        parent = photos[sample.source_id]
        assert sample.tags == ["summer", "augmented"] and sample.task == "img2img"
        assert not np.array_equal(read_image(sample.filepath), read_image(parent.filepath))
        for kept, own in zip(sample.truth.detections, parent.truth.detections, strict=True):
            assert (kept.label, kept.bounding_box, kept.index) == (own.label, own.bounding_box, own.index)
            assert np.array_equal(kept.mask, own.mask) and kept.carried_from == own.id != kept.id
            assert ("hard" in kept.tags) == (own.label == "tree")
            assert ("unconfirmed" in kept.tags) == (kept.iou_with_attention < 0.5)
        tree = sample.truth.detections[0]
        assert tree.occluded is True and 0 <= sample.agreement_truth_attention <= 1
        assert sample.attention_instances is not None and sample.heatmap_car is not None
    heads = relatives(photos, photos.values("id"))
    assert all(heads[sample.id] == heads[sample.source_id] for sample in made)
    assert provenance(made.first()).source_id == made.first().source_id
    assert all(each.identical for each in repaint(made))
    assert augment(photos, "truth", **quick).values("id") == made.values("id") and len(photos) == 6
    assert len(dc.curate(made, source="truth", against="attention", min_agreement=0.0)) == 4


def test_variants_of_variants_are_not_painted(photos: fo.Dataset, quick: dict[str, Any]) -> None:
    augment(photos, "truth", **quick)
    again = augment(photos, "truth", **{**quick, "variants": 1, "seed": 5, "strength": 0.5})
    originals = set(photos.match_tags("augmented", bool=False).values("id"))
    assert len(again) == 2 and set(again.values("source_id")) == originals
    with pytest.raises(DatasetError, match=r"all images .* are augmented"):
        augment(again, "truth", **quick)


@pytest.mark.parametrize("part", ["objects", "background"])
def test_pixels_of_the_other_part_stay(photos: fo.Dataset, quick: dict[str, Any], part: str) -> None:
    made = augment(photos, "truth", part=part, margin=0.1, strength=1.0, **quick)
    masks = [np.zeros((64, 64), np.bool_) for _ in range(2)]
    for mask, where in zip(masks, (CAR, TREE), strict=True):
        mask[where] = True
    painted = grown(masks[0], 0.1) | grown(masks[1], 0.1)
    if part == "background":
        painted = ~painted
    reach = np.lib.stride_tricks.sliding_window_view(np.pad(painted, SEAM), (2 * SEAM + 1, 2 * SEAM + 1))
    kept = ~reach.any((2, 3))
    assert kept.any()
    for sample in made:
        new, old = read_image(sample.filepath), read_image(photos[sample.source_id].filepath)
        assert np.array_equal(new[kept], old[kept]) and (new[painted] != old[painted]).any(-1).mean() > 0.9
        assert (sample.task, sample.source.label, sample.source.margin) == ("inpaint", part, 0.1)
    assert all(each.identical for each in repaint(made[:1]))
    first = photos[made.first().source_id]
    first.truth.detections.pop()
    first.save()
    with pytest.raises(DatasetError, match="labels in 'truth' were changed"):
        repaint(made[:1])


def boxes(sample: fo.Sample) -> Any:
    return fo.Detections(
        detections=[fo.Detection(label=each.label, bounding_box=each.bounding_box) for each in sample.truth.detections]
    )


def outlines(sample: fo.Sample) -> Any:
    return fo.Polylines(polylines=[each.to_polyline(filled=True) for each in sample.truth.detections])


def pixels(sample: fo.Sample) -> Any:
    mask = np.zeros((64, 64), np.uint8)
    mask[CAR], mask[TREE] = 7, 4
    return fo.Segmentation(mask=mask)


@pytest.mark.parametrize("kind", [boxes, outlines, pixels])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_kinds_of_labels(
    photos: fo.Dataset, quick: dict[str, Any], kind: Callable[[Any], Any], elsewhere: bool, other_name: str
) -> None:
    for sample in photos:
        sample["given"] = kind(sample)
        sample.save()
    photos.mask_targets = {"given": {7: "car", 4: "tree"}}
    photos.save()
    made = augment(photos, "given", size=(32, 32), save_as=other_name if elsewhere else None, **quick)
    assert len(made) == 4 and set(made.values("prompt")) == {"a photo of a car and a tree"}
    for sample in made:
        own, kept = photos[sample.source_id].given, sample.given
        if kind is pixels:
            expected = np.asarray(Image.fromarray(own.mask).resize((32, 32), Image.Resampling.NEAREST))
            assert np.array_equal(kept.get_mask(), expected)
            continue
        inner = "detections" if kind is boxes else "polylines"
        for label, before in zip(kept[inner], own[inner], strict=True):
            shape = "bounding_box" if kind is boxes else "points"
            assert label[shape] == before[shape] and label.carried_from == before.id
    target = fo.load_dataset(other_name) if elsewhere else photos
    assert target.has_sample_field("agreement_given_attention") and len(target) == (4 if elsewhere else 6)
    if kind is pixels:
        assert target.mask_targets["given"] == {7: "car", 4: "tree"}


def test_marks_of_earlier_comparisons_stay_behind(photos: fo.Dataset, quick: dict[str, Any]) -> None:
    photos.clone_sample_field("truth", "second")
    dc.compare(photos, "truth", "second")
    for sample in photos:
        sample.truth.detections[0].tags += ["merged (second)", "unconfirmed"]
        sample.save()
    made = augment(photos, "truth", min_iou=0.0, **quick)
    for detection in made.first().truth.detections:
        assert not detection.has_field("iou_with_second") or detection.iou_with_second is None
        assert not {"merged (second)", "unconfirmed"} & set(detection.tags)


def test_images_that_cannot_be_used(photos: fo.Dataset, quick: dict[str, Any], tmp_path: Path) -> None:
    bare = fo.Sample(str(tmp_path / "0.png"))
    gone = fo.Sample(str(tmp_path / "none.png"), truth=photos.first().truth.copy())
    photos.add_samples([bare, gone])
    made = augment(photos, "truth", **quick)
    run = photos.get_run_info(made.first().run_key).config
    assert len(made) == 4 and set(run.facts["failed"]) == {bare.id, gone.id}
    assert "has no label of car, tree" in run.facts["failed"][bare.id]


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"field": "nothing"}, DatasetError, "no labels 'nothing'"),
        ({"variants": 0}, InvalidSetting, "from 1 to 1000"),
        ({"seed": -1}, InvalidSetting, "at least 0"),
        ({"part": "sky"}, RecipeError, "augment.part"),
        ({"classes": "car"}, InvalidSetting, "give a list"),
        ({"strength": 2.0}, RecipeError, "strength"),
        ({"field": "attention"}, RecipeError, "labels of their own there"),
    ],
)
def test_bad_input(photos: fo.Dataset, quick, settings: dict[str, Any], error: type[Exception], words: str) -> None:
    for sample in photos:
        sample["attention_instances"] = sample.truth.copy()
        sample.save()
    field = settings.pop("field", "truth")
    with pytest.raises(error, match=words):
        augment(photos, field, **{**quick, **settings})
    assert len(photos) == 2 and not photos.list_runs()


def test_words_are_learned_once(photos: fo.Dataset, model_folder: str, tmp_path: Path, monkeypatch) -> None:
    asked: list[str] = []

    def learned(samples: Any, placeholder: str, **settings: Any) -> None:
        asked.append(placeholder)
        path = tmp_path / settings["name"] / f"{settings['name']}.safetensors"
        path.parent.mkdir()
        path.write_bytes(b"")

    monkeypatch.setattr("diffucurate.plugin.augmentation.words.train_token", learned)
    from diffucurate.plugin.augmentation.words import with_words, words_of

    for sample in photos:
        sample.truth.detections += [masked("car", CAR)]
        sample.save()
    options = {"model": model_folder, "folder": tmp_path}
    for _ in range(2):
        words = words_of(photos, "truth", ["car", "tree"], **options)
        assert list(words) == ["car"] and words["car"].path.is_file()  # four cars, and two trees, which are too few
    assert asked == ["<car>"]
    assert with_words({"car": ["car"], "tree": ["tree"]}, words) == {"car": ["<car>", "car"], "tree": ["tree"]}
