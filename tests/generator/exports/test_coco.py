"""The COCO writer, read back by pycocotools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from diffucurate.generator.errors import ExportError
from diffucurate.generator.exports.about import About
from diffucurate.generator.exports.coco import write_coco
from diffucurate.generator.exports.images import ExportRecord
from diffucurate.generator.labels.model import Instance
from diffucurate.generator.tiny.scenes import iter_scenes
from diffucurate.generator.tiny.shapes import CLASSES


def image_file(folder: Path, name: str, size: tuple[int, int] = (64, 48)) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return path


def odd_masks() -> list[np.ndarray]:
    y, x = np.mgrid[:48, :64]
    far = np.hypot(x - 30, y - 24)
    ring, parts, pixel = (far < 20) & (far > 11), np.zeros((48, 64), bool), np.zeros((48, 64), bool)
    parts[2:20, 1:20] = parts[30:47, 40:63] = pixel[47, 63] = True
    return [ring, parts, pixel, np.ones((48, 64), bool)]


def test_everything_comes_back(tmp_path: Path) -> None:
    masks = odd_masks()
    instances = [Instance("b" if index else "a", mask, 0.25 * index) for index, mask in enumerate(masks)]
    records = [
        ExportRecord(image_file(tmp_path, "in/one.png"), instances),
        ExportRecord(image_file(tmp_path, "in/none.png"), []),
    ]
    summary = write_coco(records, tmp_path / "out", ["a", "b"])
    assert (summary.images, summary.instances) == ({"train": 2}, {"train": 4})

    coco = COCO(str(summary.annotations["train"]))
    assert [coco.cats[index]["name"] for index in (1, 2)] == ["a", "b"]
    assert [(image["file_name"], image["width"], image["height"]) for image in coco.imgs.values()] == [
        ("one.png", 64, 48),
        ("none.png", 64, 48),
    ]
    assert (tmp_path / "out/images/train/none.png").is_file()
    assert coco.getAnnIds(imgIds=[2]) == []
    for annotation, instance, mask in zip(coco.loadAnns(coco.getAnnIds()), instances, masks, strict=True):
        assert np.array_equal(coco.annToMask(annotation), mask)
        assert annotation["area"] == mask.sum()
        assert annotation["score"] == instance.confidence
        assert annotation["iscrowd"] == 0
        assert coco.cats[annotation["category_id"]]["name"] == instance.label
        assert isinstance(annotation["segmentation"]["counts"], str)
    assert coco.loadAnns([2])[0]["bbox"] == [1, 2, 62, 45]
    assert coco.loadAnns([3])[0]["bbox"] == [63, 47, 1, 1]


def test_rendered_scenes_come_back_per_split(tmp_path: Path) -> None:
    truth: dict[str, list[np.ndarray]] = {}

    def records() -> Iterator[ExportRecord]:
        for index, scene in enumerate(iter_scenes(6, seed=3)):
            path = tmp_path / f"{index}.png"
            Image.fromarray(scene.image).save(path)
            truth[path.name] = [thing.mask for thing in scene.objects]
            instances = [Instance(thing.label, thing.mask, 1.0) for thing in scene.objects]
            yield ExportRecord(path, instances, "val" if index % 3 else "train")

    summary = write_coco(records(), tmp_path / "out", CLASSES)
    assert summary.images == {"train": 2, "val": 4}
    for split, file in summary.annotations.items():
        coco = COCO(str(file))
        for image in coco.imgs.values():
            assert np.array_equal(
                np.array(Image.open(tmp_path / "out/images" / split / image["file_name"])),
                np.array(Image.open(tmp_path / image["file_name"])),
            )
            found = [coco.annToMask(a) for a in coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]]))]
            assert np.array_equal(found, truth[image["file_name"]])


MASK = np.ones((48, 64), bool)


@pytest.mark.parametrize(
    ("instance", "name", "message"),
    [
        (Instance("c", MASK, 1.0), "a.png", "class 'c', expected one of a, b"),
        (Instance("a", MASK[:20], 1.0), "a.png", "64 x 48 px, its mask 64 x 20"),
        (Instance("a", MASK, 1.0), "missing.png", "is not there"),
        (Instance("a", MASK, 1.0), "no-image.png", "cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_left(
    tmp_path: Path, instance: Instance, name: str, message: str
) -> None:
    image_file(tmp_path, "in/a.png")
    (tmp_path / "in/no-image.png").write_text("text")
    with pytest.raises(ExportError, match=message):
        write_coco([ExportRecord(tmp_path / "in" / name, [instance])], tmp_path / "out", ["a", "b"])
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_classes_may_have_odd_names(tmp_path: Path) -> None:
    names = ['quote " and \\', "Straße", "a: b"]
    record = ExportRecord(image_file(tmp_path, "a.png"), [Instance(names[0], MASK, 1.0)])
    summary = write_coco([record], tmp_path / "out", names)
    read = json.loads(summary.annotations["train"].read_text("utf-8"))
    assert [category["name"] for category in read["categories"]] == names


def test_every_part_that_readers_take_for_granted_is_there(tmp_path: Path) -> None:
    """``loadRes`` copies ``info``, and ``getCatIds`` filters by ``supercategory``, in each version that is allowed."""
    instances = [Instance("a", mask, 0.5) for mask in odd_masks()]
    written = write_coco([ExportRecord(image_file(tmp_path, "x.png"), instances)], tmp_path / "out", ["a", "b"])
    coco = COCO(str(written.annotations["train"]))
    assert coco.getCatIds(supNms=["b"]) == [2]
    results = coco.loadRes([{**annotation, "score": 0.5} for annotation in coco.dataset["annotations"]])
    assert len(results.anns) == len(instances) and coco.dataset["info"]["description"]
    assert list(coco.dataset["licenses"]) == []


def test_info_licence_supercategories_and_captions(tmp_path: Path, odd_records: list[ExportRecord]) -> None:
    about = About(description="Made for tests", licence="https://a.org/by", supercategories={"a": "thing"})
    records = [ExportRecord(odd_records[2].image_path, []), *odd_records]
    written = write_coco(records, tmp_path / "out", ["a", "b"], about=about)
    coco, captions = COCO(str(written.annotations["train"])), COCO(str(written.captions["train"]))
    assert coco.dataset["info"] == captions.dataset["info"]
    assert coco.dataset["info"]["description"] == "Made for tests"
    assert coco.dataset["licenses"] == [{"id": 1, "name": "https://a.org/by", "url": "https://a.org/by"}]
    assert [image["license"] for image in coco.imgs.values()] == [1, 1, 1]
    assert [category["supercategory"] for category in coco.cats.values()] == ["thing", "b"]
    assert [annotation["iscrowd"] for annotation in coco.anns.values()] == [0, 0, 0, 1]
    texts = {captions.imgs[each["image_id"]]["file_name"]: each["caption"] for each in captions.anns.values()}
    assert texts == {"0.png": "a ring & <two> parts", "1.png": "one pixel"}
    assert all(coco.imgs[image_id]["file_name"] == image["file_name"] for image_id, image in captions.imgs.items())
    assert list(written.captions) == ["train"], "none of val's images has a prompt"


def test_a_split_named_like_anothers_captions_is_refused(tmp_path: Path, odd_records: list[ExportRecord]) -> None:
    odd = ExportRecord(odd_records[0].image_path, [], "captions_train")
    with pytest.raises(ExportError, match=r"captions_train\.json cannot be written"):
        write_coco([*odd_records, odd], tmp_path / "out", ["a", "b"])
    assert not (tmp_path / "out").exists()
