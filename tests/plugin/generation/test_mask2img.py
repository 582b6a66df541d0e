"""Images painted by the labels of others: what is asked, labelled, kept, and said of what cannot be used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

import diffucurate as dc
from diffucurate.generator.errors import DatasetError, InvalidSetting, RecipeError
from diffucurate.plugin.generation.generate import generate
from diffucurate.plugin.generation.regenerate import regenerate
from diffucurate.plugin.generation.repaint import repaint
from diffucurate.plugin.provenance.describe import of_image
from diffucurate.plugin.provenance.provenance import provenance
from diffucurate.plugin.provenance.recipe_of_sample import recipe_of
from diffucurate.plugin.store.media_files import read_image

CAR, BUS = np.s_[20:50, 4:30], np.s_[10:50, 36:60]


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    """The dataset to add to."""
    made = f"by-mask-{abs(hash(request.node.nodeid)):x}"
    before = set(fo.list_datasets())
    yield made
    for new in set(fo.list_datasets()) - before:
        if new.startswith(made) or new.endswith("-masks"):
            fo.delete_dataset(new)


@pytest.fixture
def quick(model_folder: str) -> dict[str, Any]:
    return {"model": model_folder, "steps": 2}


def ids(**places: Any) -> np.ndarray:
    mask = np.zeros((64, 64), np.uint8)
    for label, where in places.items():
        mask[where] = {"car": 1, "bus": 2, "cat": 3}[label]
    return mask


def masked(label: str, where: tuple[slice, slice]) -> fo.Detection:
    return fo.Detection.from_mask(ids(car=where) > 0, label=label)


@pytest.fixture
def streets(dataset: fo.Dataset, tmp_path: Path) -> fo.Dataset:
    """Two images with a car, one of which has a bus too; one with a cat alone; one without labels."""
    labels = [[masked("car", CAR)], [masked("car", CAR), masked("bus", BUS)], [masked("cat", CAR)], None]
    for index, objects in enumerate(labels):
        path = tmp_path / f"{index}.png"
        Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(path)
        truth = None if objects is None else fo.Detections(detections=objects)
        dataset.add_sample(fo.Sample(filepath=str(path), truth=truth))
    return dataset


def test_the_masks_are_the_labels(streets: fo.Dataset, name: str, quick: dict[str, Any]) -> None:
    settings = {"classes": ["car", "bus"], "until": 0.5, "save_as": name, **quick}
    made = dc.mask2img(streets, "truth", **settings)
    assert made.values("prompt") == ["a photo of a car", "a photo of a car and a bus"]
    assert set(made.values("task")) == {"mask2img"} and set(made.values("layout.until")) == {0.5}
    assert made.values("source_id") == streets.values("id")[:2]
    first, second = made
    assert np.array_equal(first.layout_mask.get_mask(), ids(car=CAR))
    assert np.array_equal(second.layout_mask.get_mask(), ids(car=CAR, bus=BUS))
    assert [each.label for each in second.layout_instances.detections] == ["car", "bus"]
    assert second.heatmap_car is not None and 0 <= second.agreement_layout_attention <= 1
    failed = made.get_run_info(made.list_runs(method="diffucurate/generate")[0]).config.facts["failed"]
    reasons = [failed[sample_id] for sample_id in streets.values("id")[2:]]
    assert "'truth' has none of the classes car, bus; it has cat" in reasons[0] and "it has nothing" in reasons[1]

    assert all(each.identical for each in repaint(made))
    origin = provenance(second)
    assert (origin.job.job_id, origin.changed) == (second.job_id, ())
    described = of_image(origin)
    assert described["Task"] == "Image by a mask" and "until 0.5 of the steps" in described["Mask"]
    assert generate(recipe_of(second)).name == name and len(made) == 2  # its only image is there
    assert dc.mask2img(streets, "truth", **settings) is made and len(made) == 2
    other = regenerate(second, seeds=[7]).first()
    assert (other.seed, other.source_id) == (7, second.id) and other.layout_instances is not None


def test_attributes_beside_the_classes_of_each_mask(streets: fo.Dataset, name: str, quick: dict[str, Any]) -> None:
    made = dc.mask2img(
        streets[1:2],
        "truth",
        prompt="{labels} on a {place}",
        attributes={"place": ["road", "beach"]},
        save_as=name,
        **quick,
    )
    assert made.values("prompt") == ["a bus and a car on a road", "a bus and a car on a beach"]
    assert made.values("attributes.labels") == ["a bus and a car"] * 2
    other = regenerate(made.first(), attributes={"place": "park"}).first()
    assert other.prompt == "a bus and a car on a park" and repaint(other)[0].identical


def test_classes_are_guided_to_their_masks_too(streets: fo.Dataset, name: str, quick: dict[str, Any]) -> None:
    plain = dc.mask2img(streets[:1], "truth", save_as=name, **quick)
    made = dc.mask2img(streets[:1], "truth", guide=5, save_as=name, **quick)
    first, second = made
    assert made is plain and (first.layout.guide, second.layout.guide) == (0, 5)
    assert not np.array_equal(read_image(first.filepath), read_image(second.filepath))
    assert all(each.identical for each in repaint(made)) and "guided by 5" in of_image(provenance(second))["Mask"]
    generate(recipe_of(second))
    assert len(made) == 2


def test_images_from_text_are_guided(name: str, quick: dict[str, Any]) -> None:
    recipe = {
        "dataset": name,
        "classes": {"car": ["car"], "bus": ["bus"]},
        "templates": ["a {object} on a road"],
        "attributes": {"object": ["car", "bus"]},
        "size": [64, 64],
        "guide": {"car": {"center": [0.2, 0.8], "size": 0.1}},
        **quick,
    }
    made = generate(recipe)
    free = generate({name: value for name, value in recipe.items() if name != "guide"})
    assert free is made and made.values("prompt") == ["a car on a road", "a bus on a road", "a car on a road"]
    assert made.first().job_id != made.last().job_id
    assert not np.array_equal(read_image(made.first().filepath), read_image(made.last().filepath))
    assert all(each.identical for each in repaint(made))
    assert of_image(provenance(made.first()))["Guided"] == "car at (0.2, 0.8), 0.1 of the image (weight 12)"
    assert "Guided" not in of_image(provenance(made.last()))
    generate(recipe_of(made.first()))
    assert len(made) == 3
    (other,) = regenerate(made.first(), seeds=[3])
    assert "Guided" in of_image(provenance(other))


def test_a_prompt_of_its_own_labels_what_it_names(streets: fo.Dataset, name: str, quick: dict[str, Any]) -> None:
    made = dc.mask2img(streets, "truth", prompt="a red car at night", save_as=name, **quick)
    (sample,) = made  # the bus is not named, so that both masks are one
    assert sample.prompt == "a red car at night" and np.array_equal(sample.layout_mask.get_mask(), ids(car=CAR))
    with pytest.raises(InvalidSetting, match=r"classes: .*none of 'truth' is named in the prompt; use {labels} in it"):
        dc.mask2img(streets, "truth", prompt="a piano", save_as=name, **quick)


def test_labels_that_changed_are_not_painted_by(streets: fo.Dataset, name: str, quick: dict[str, Any]) -> None:
    made = dc.mask2img(streets[:1], "truth", save_as=name, **quick)
    sample = streets.first()
    sample.truth.detections[0] = masked("car", BUS)
    sample.save()
    with pytest.raises(DatasetError, match="the labels in 'truth' were changed since"):
        repaint(made)


def content(name: str, folder: Path, quick: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "dataset": name,
        "task": "mask2img",
        "source": {"folder": str(folder)},
        "classes": {"car": ["car"], "bus": ["bus"]},
        **quick,
        **more,
    }


@pytest.mark.parametrize("palette", [False, True])
def test_a_folder_of_masks(name: str, tmp_path: Path, quick: dict[str, Any], palette: bool) -> None:
    folder = tmp_path / f"{name}-pngs"
    folder.mkdir()
    image = Image.fromarray(20 * ids(car=CAR, bus=BUS))
    if palette:  # as those of Pascal VOC
        image = image.convert("P")
        image.putpalette([value for index in range(256) for value in (index, 255 - index, 7)])
    image.save(folder / "a.png")
    made = generate(content(name, folder, quick, layout={"values": {"car": 20, "bus": 40}}))
    (sample,) = made
    assert np.array_equal(sample.layout_mask.get_mask(), ids(car=CAR, bus=BUS))
    with pytest.raises(RecipeError, match=r"layout.values: .*say which value of a mask's pixels is which class"):
        generate(content(name, folder, quick))


def test_folders_of_coco_and_of_yolo(name: str, tmp_path: Path, quick: dict[str, Any]) -> None:
    coco = tmp_path / f"{name}-coco"
    (coco / "data").mkdir(parents=True)
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(coco / "data" / "a.png")
    box = [4, 20, 26, 30]
    outline = [[4, 20, 30, 20, 30, 50, 4, 50]]
    annotation = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "bbox": box,
        "segmentation": outline,
        "area": 780,
        "iscrowd": 0,
    }
    (coco / "labels.json").write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 64}],
                "categories": [{"id": 1, "name": "car"}],
                "annotations": [annotation],
            }
        )
    )
    (sample,) = generate(content(name, coco, quick))
    drawn = sample.layout_mask.get_mask() > 0
    assert np.count_nonzero(drawn ^ (ids(car=CAR) > 0)) <= 60  # a pixel at the outline

    yolo = tmp_path / f"{name}-yolo"
    for part in ("images", "labels"):
        (yolo / part / "train").mkdir(parents=True)
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(yolo / "images" / "train" / "b.png")
    points = " ".join(str(value / 64) for value in outline[0])
    (yolo / "labels" / "train" / "b.txt").write_text(f"0 {points}\n")
    (yolo / "data.yaml").write_text("path: .\ntrain: images/train\nnames:\n  0: bus\n")
    (other,) = generate(content(f"{name}-2", yolo, quick))
    assert [each.label for each in other.layout_instances.detections] == ["bus"]
    with pytest.raises(RecipeError, match=r"layout.values: .*says itself what its labels mean"):
        generate(content(name, yolo, quick, layout={"values": {"car": 1}}))


def test_folders_that_hold_no_masks(name: str, tmp_path: Path, quick: dict[str, Any]) -> None:
    layout = {"values": {"car": 1}}
    with pytest.raises(DatasetError, match="there is no folder"):
        generate(content(name, tmp_path / "nowhere", quick, layout=layout))
    with pytest.raises(DatasetError, match="there are no masks in"):
        generate(content(name, tmp_path, quick, layout=layout))
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(DatasetError, match="its pixels are colours"):
        generate(content(name, tmp_path, quick, layout=layout))
    assert not fo.dataset_exists(name)
