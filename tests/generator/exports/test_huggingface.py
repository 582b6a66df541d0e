"""Image folder and Parquet, read back by ``datasets``, Croissant by ``mlcroissant``; without these as JSON."""

from __future__ import annotations

import importlib.util
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from pycocotools import mask as coco_mask

from diffucurate.generator.errors import ExportError
from diffucurate.generator.exports.about import About
from diffucurate.generator.exports.huggingface import write_huggingface
from diffucurate.generator.exports.images import ExportRecord
from diffucurate.generator.exports.parquet import write_parquet

CLASSES = ["a", "b", "c"]
ABOUT = About(name="night streets", description="Made for tests", licence="cc0-1.0", readme=lambda written: "# Sheet\n")


def has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


needs_pyarrow = pytest.mark.skipif(not has("pyarrow"), reason="an optional extra")
WRITERS = [write_huggingface, pytest.param(write_parquet, marks=needs_pyarrow)]


@pytest.fixture
def with_objects(odd_records: list[ExportRecord]) -> list[ExportRecord]:
    """The image of val has an object too: the image folder's types come from the rows."""
    first, second, third = odd_records
    return [first, second, ExportRecord(third.image_path, first.instances[:1], "my_val", prompt="in val")]


def check_row(row: dict[str, Any], record: ExportRecord) -> None:
    """A row's objects are the record's instances, pixel by pixel."""
    objects, instances = row["objects"], record.instances
    assert (row["text"], row["width"], row["height"]) == (record.prompt, 64, 48)
    assert objects["labels"] == [instance.label for instance in instances]
    assert [CLASSES[index] for index in objects["categories"]] == objects["labels"]
    assert objects["area"] == [int(instance.mask.sum()) for instance in instances]
    assert objects["confidence"] == pytest.approx([instance.confidence for instance in instances])
    assert objects["iscrowd"] == [int(index in record.crowds) for index in range(len(instances))]
    for box, runs, instance in zip(objects["bbox"], objects["segmentation"], instances, strict=True):
        rows, columns = np.nonzero(instance.mask)
        assert list(box) == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert np.array_equal(coco_mask.decode(dict(runs)) == 1, instance.mask)


def test_rows_of_the_image_folder(tmp_path: Path, with_objects: list[ExportRecord]) -> None:
    out = tmp_path / "out"
    written = write_huggingface(with_objects, out, CLASSES, about=ABOUT)
    assert written.images == {"train": 2, "my_val": 1}
    for split, records in (("train", with_objects[:2]), ("my_val", with_objects[2:])):
        lines = (out / "images" / split / "metadata.jsonl").read_text("utf-8").splitlines()
        for line, record in zip(lines, records, strict=True):
            row = json.loads(line)
            assert (out / "images" / split / row["file_name"]).read_bytes() == record.image_path.read_bytes()
            check_row(row, record)
    head, sheet = (out / "README.md").read_text("utf-8").removeprefix("---\n").split("---\n\n")
    card = yaml.safe_load(head)
    assert (card["license"], card["pretty_name"], sheet) == ("cc0-1.0", "night streets", "# Sheet\n")
    assert card["configs"][0]["data_files"] == [
        {"split": "train", "path": "images/train/*"},
        {"split": "my_val", "path": "images/my_val/*"},
    ]


@needs_pyarrow
def test_rows_of_the_parquet_files(tmp_path: Path, odd_records: list[ExportRecord]) -> None:
    from pyarrow import parquet

    out = tmp_path / "out"
    write_parquet(odd_records, out, CLASSES, about=ABOUT)
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == [
        "README.md",
        "croissant.json",
        "data",
    ]
    table = parquet.read_table(out / "data/train-00000-of-00001.parquet")
    for row, record in zip(table.to_pylist(), odd_records[:2], strict=True):
        assert row["image"] == {"bytes": record.image_path.read_bytes(), "path": record.image_path.name}
        check_row(row, record)
    types = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert types["objects"]["categories"]["feature"] == {"names": CLASSES, "_type": "ClassLabel"}
    assert parquet.read_table(out / "data/val-00000-of-00001.parquet").schema.equals(table.schema)


@pytest.mark.skipif(not has("datasets"), reason="an optional package")
@pytest.mark.parametrize("write", WRITERS)
def test_datasets_loads_it(tmp_path: Path, with_objects: list[ExportRecord], write: Any) -> None:
    import datasets

    write(with_objects, tmp_path / "out", CLASSES, about=ABOUT)
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 2, "my_val": 1}
    for rows, records in ((loaded["train"], with_objects[:2]), (loaded["my_val"], with_objects[2:])):
        for row, record in zip(rows, records, strict=True):
            check_row(row, record)
            with Image.open(record.image_path) as image:
                assert np.array_equal(np.array(row["image"]), np.array(image))


@pytest.mark.skipif(not has("mlcroissant"), reason="an optional package")
@pytest.mark.parametrize("write", WRITERS)
def test_croissant_leads_to_the_records(tmp_path: Path, with_objects: list[ExportRecord], write: Any) -> None:
    import mlcroissant

    write(with_objects, tmp_path / "out", CLASSES, about=ABOUT)
    described = mlcroissant.Dataset(jsonld=str(tmp_path / "out/croissant.json"))
    assert not described.metadata.issues.errors if hasattr(described.metadata, "issues") else True
    for record, row in zip(with_objects, described.records("train"), strict=False):
        objects = row["train/objects"]
        assert row["train/text"].decode() == record.prompt and np.array(row["train/image"]).shape == (48, 64, 3)
        assert objects["train/objects/categories"] == [CLASSES.index(instance.label) for instance in record.instances]
        assert [runs.decode() for runs in objects["train/objects/segmentation"]] == [
            coco_mask.encode(np.asfortranarray(instance.mask, np.uint8))["counts"].decode()
            for instance in record.instances
        ]


@pytest.mark.parametrize("write", WRITERS)
def test_croissant_is_of_the_specifications_form(tmp_path: Path, with_objects: list[ExportRecord], write: Any) -> None:
    """What version 1.0 requires: types, ids that references lead to, digests, and a source of each field."""
    out = tmp_path / "out"
    write(with_objects, out, CLASSES, about=ABOUT)
    content = json.loads((out / "croissant.json").read_text("utf-8"))
    assert (content["@type"], content["conformsTo"]) == ("sc:Dataset", "http://mlcommons.org/croissant/1.0")
    assert (content["name"], content["license"]) == ("night-streets", "cc0-1.0")
    assert content["@context"]["recordSet"] == "cr:recordSet" and content["@context"]["@vocab"] == "https://schema.org/"
    resources = {each["@id"]: each for each in content["distribution"]}
    for each in resources.values():
        if each["@type"] == "cr:FileObject":
            assert sha256((out / each["contentUrl"]).read_bytes()).hexdigest() == each["sha256"]
        else:
            assert each["@type"] == "cr:FileSet" and list(out.glob(each["includes"]))
    assert [each["@id"] for each in content["recordSet"]] == ["train", "my_val"]
    for records in content["recordSet"]:
        fields = [field for each in records["field"] for field in each.get("subField", [each])]
        assert {"text", "image", "bbox", "segmentation"} <= {field["@id"].rpartition("/")[2] for field in fields}
        for field in fields:
            source = field["source"].get("fileObject") or field["source"]["fileSet"]
            assert field["@type"] == "cr:Field" and field["dataType"] and source["@id"] in resources


def test_what_datasets_does_not_read_is_refused(tmp_path: Path, odd_records: list[ExportRecord]) -> None:
    with pytest.raises(ExportError, match=r"split 'val' has no objects and others have: .* export to parquet"):
        write_huggingface(odd_records, tmp_path / "out", CLASSES)
    odd = ExportRecord(odd_records[0].image_path, [], "my-val")
    with pytest.raises(ExportError, match="split 'my-val': Hugging Face's datasets reads names of letters"):
        write_huggingface([odd], tmp_path / "out", CLASSES)
    assert not (tmp_path / "out").exists()
    write_huggingface(odd_records[2:], tmp_path / "out", CLASSES)  # no objects at all are no contradiction
