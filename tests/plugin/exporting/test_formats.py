"""Every format of a dataset: read back by other readers, with a datasheet, and the same bytes for the same view."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F
from PIL import Image

from diffucurate.generator.errors import ExportError, InvalidSetting
from diffucurate.generator.exports.palette import palette
from diffucurate.generator.labels.model import IGNORE, Instance, Labels
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.plugin.cli.export import Format
from diffucurate.plugin.exporting.export import export
from diffucurate.plugin.exporting.formats import FORMATS, check_packages, format_named
from diffucurate.plugin.exporting.size import estimate_size
from diffucurate.plugin.reporting.report import report

HERE = [name for name in FORMATS if name != "parquet" or importlib.util.find_spec("pyarrow")]
MANIFEST = ".diffucurate-export.json"


def box(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((128, 128), np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


CAR, BUS = box(8, 16, 40, 60), box(70, 80, 120, 128)


@pytest.fixture
def labelled(dataset: fo.Dataset, add_scenes, scenes) -> fo.Dataset:
    """Two images of 128 px: a sure car and an unsure bus, whose mask also has a strip that is ignored; then a bus."""
    shape = scenes[0].image.shape[:2]
    assert shape == (128, 128)
    first = Labels.from_instances([Instance("car", CAR, 0.9), Instance("bus", BUS, 0.3)], CLASSES, shape)
    first.semantic[:4] = IGNORE
    add_scenes(scenes[:2], odd=[first, Labels.from_instances([Instance("bus", BUS, 0.8)], CLASSES, shape)])
    return dataset


@pytest.fixture
def importing() -> Iterator[list[fo.Dataset]]:
    """Datasets that a test reads, deleted afterwards."""
    datasets: list[fo.Dataset] = []
    yield datasets
    for each in datasets:
        each.delete()


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }


@pytest.mark.parametrize("format", HERE)
def test_the_same_view_gives_the_same_bytes(labelled: fo.Dataset, tmp_path: Path, format: str) -> None:
    for name in ("a", "b"):
        export(labelled, tmp_path / name / "out", format=format, source="odd")
    first, second = contents(tmp_path / "a/out"), contents(tmp_path / "b/out")
    assert first == second and "README.md" in first
    sheet = first["README.md"].decode()
    assert "| train | 2 | 3 |" in sheet and "Not stated." in sheet
    assert f"| car | 1 | 1 | 0.900 | {CAR.mean():.3f} |" in sheet and "| bus | 2 | 2 | 0.550 |" in sheet
    assert str(tmp_path) not in sheet


@pytest.mark.parametrize("format", [name for name in HERE if name != "yolo"])  # which is a command of a shell
def test_the_first_step_reads_it(
    labelled: fo.Dataset, tmp_path: Path, format: str, importing: list[fo.Dataset]
) -> None:
    needs = {"huggingface": "datasets", "parquet": "datasets", "lvis": "lvis"}.get(format)
    step = export(labelled, tmp_path / "o'ut", format=format, source="odd").first_step()
    if needs is not None and importlib.util.find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed")
    read: dict[str, object] = {}
    exec(step, read)
    if isinstance(read.get("dataset"), fo.Dataset):
        importing.append(read["dataset"])
        assert len(read["dataset"]) == 2


def loaded(importing: list[fo.Dataset], folder: Path, kind: object, images: str, labels: str) -> dict[str, fo.Sample]:
    """File name -> sample as FiftyOne imports them."""
    dataset = fo.Dataset.from_dir(dataset_dir=str(folder), dataset_type=kind, data_path=images, labels_path=labels)
    importing.append(dataset)
    return {Path(sample.filepath).name: sample for sample in dataset}


def test_voc_in_fiftyone(labelled: fo.Dataset, tmp_path: Path, importing: list[fo.Dataset]) -> None:
    out = tmp_path / "out"
    export(labelled, out, format="voc", source="odd")
    samples = loaded(importing, out, fo.types.VOCDetectionDataset, "JPEGImages", "Annotations")
    car, bus = samples["0.png"].ground_truth.detections
    assert (car.label, bus.label) == ("car", "bus")
    # FiftyOne takes VOC's pixels, which count from 1, as if they counted from 0.
    for detection, (x, y, width, height) in ((car, (8, 16, 32, 44)), (bus, (70, 80, 50, 48))):
        assert np.allclose(np.array(detection.bounding_box) * 128, [x, y, width, height], atol=1.01)
    with Image.open(out / "SegmentationClass/0.png") as image:
        ids = np.array(image)
    assert (ids[CAR] == 1 + CLASSES.index("car")).all() and (ids[:4] == IGNORE).all()


def test_semantic_masks_in_fiftyone(labelled: fo.Dataset, tmp_path: Path, importing: list[fo.Dataset]) -> None:
    out = tmp_path / "out"
    export(labelled, out, format="semantic", source="odd")
    samples = loaded(importing, out, fo.types.ImageSegmentationDirectory, "images/train", "masks/train")
    with Image.open(labelled.first().odd_mask.mask_path) as image:
        ids = np.array(image)
    # FiftyOne shows a PNG with a palette in its colours; Pillow, and what is built on it, reads the ids.
    assert np.array_equal(samples["0.png"].ground_truth.get_mask(), palette()[ids])
    with Image.open(out / "masks/train/0.png") as image:
        assert np.array_equal(np.array(image), ids)


def test_cvat_in_fiftyone(labelled: fo.Dataset, tmp_path: Path, importing: list[fo.Dataset]) -> None:
    out = tmp_path / "out"
    export(labelled, out, format="cvat", source="odd")
    samples = loaded(importing, out, fo.types.CVATImageDataset, "images/train", "annotations/train.xml")
    lines = samples["0.png"].polylines.polylines
    assert [line.label for line in lines] == ["car", "bus"] and all(line.closed for line in lines)
    assert float(
        lines[0].attributes["confidence"].value if "confidence" in lines[0].attributes else lines[0].confidence
    ) == pytest.approx(0.9)
    for line, mask in zip(lines, (CAR, BUS), strict=True):
        points = np.array(line.points[0]) * 128
        rows, columns = np.nonzero(mask)
        assert np.allclose(points.min(axis=0), [columns.min(), rows.min()], atol=0.05)
        assert np.allclose(points.max(axis=0), [columns.max() + 1, rows.max() + 1], atol=0.05)


def test_coco_in_fiftyone(labelled: fo.Dataset, tmp_path: Path, importing: list[fo.Dataset]) -> None:
    out = tmp_path / "out"
    labelled.info["categories"] = [{"id": 1, "name": "car", "supercategory": "vehicle"}]
    labelled.info["license"] = "CC0-1.0"
    export(labelled, out, format="coco", source="odd")
    dataset = fo.Dataset.from_dir(
        dataset_type=fo.types.COCODetectionDataset,
        data_path=str(out / "images/train"),
        labels_path=str(out / "annotations/train.json"),
        label_types="segmentations",
        include_id=True,
    )
    importing.append(dataset)
    (first,) = [sample for sample in dataset if Path(sample.filepath).name == "0.png"]
    for detection, mask in zip(
        first.detections.detections if first.has_field("detections") else first.segmentations.detections,
        (CAR, BUS),
        strict=True,
    ):
        assert detection.get_mask().sum() == mask.sum()
    content = json.loads((out / "annotations/train.json").read_text())
    above = {category["name"]: category["supercategory"] for category in content["categories"]}
    assert (above["car"], above["bus"], content["licenses"][0]["name"]) == ("vehicle", "bus", "CC0-1.0")
    assert "CC0-1.0" in (out / "README.md").read_text()
    captions = json.loads((out / "annotations/captions_train.json").read_text())
    assert [each["caption"] for each in captions["annotations"]] == labelled.values("prompt")


@pytest.mark.parametrize("stored", [True, False], ids=["stored masks", "painted from instances"])
def test_what_a_view_hides_is_unknown(labelled: fo.Dataset, tmp_path: Path, stored: bool) -> None:
    if not stored:
        labelled.set_values("odd_mask", [None, None])
    sure = labelled.filter_labels("odd_instances", F("confidence") > 0.5, only_matches=False)
    export(sure, tmp_path / "out", format="semantic", source="odd")
    with Image.open(tmp_path / "out/masks/train/0.png") as image:
        ids = np.array(image)
    assert (ids[BUS] == IGNORE).all() and (ids[CAR] == 1 + CLASSES.index("car")).all()
    assert (ids[~CAR & ~BUS][4 * 128 :] == 0).all()
    with Image.open(tmp_path / "out/masks/train/1.png") as image:
        assert (np.array(image)[BUS] == 1 + CLASSES.index("bus")).all()


def test_classes_that_are_not_exported_are_background(labelled: fo.Dataset, tmp_path: Path) -> None:
    export(labelled, tmp_path / "out", format="semantic", source="odd", classes=["car"])
    with Image.open(tmp_path / "out/masks/train/0.png") as image:
        ids = np.array(image)
    assert (ids[BUS] == 0).all() and (ids[CAR] == 1).all() and (ids[:4] == IGNORE).all()


def test_masks_that_cannot_be_read_are_painted_from_the_instances(labelled: fo.Dataset, tmp_path: Path) -> None:
    Path(labelled.first().odd_mask.mask_path).unlink()
    summary = export(labelled, tmp_path / "out", format="semantic", source="odd")
    assert (
        f"1 semantic masks cannot be read or have another size, such as that of {labelled.first().filepath}"
        in summary.notes[1]
    )
    with Image.open(tmp_path / "out/masks/train/0.png") as image:
        assert (np.array(image)[CAR] == 1 + CLASSES.index("car")).all()


def test_detections_of_other_tools_have_masks_too(dataset: fo.Dataset, scenes, tmp_path: Path) -> None:
    from diffucurate.plugin.store.media_files import write_png

    path = write_png(tmp_path / "x.png", scenes[0].image)
    zebra = fo.Detection(label="zebra", bounding_box=[0.5, 0.5, 0.25, 0.25], mask=np.ones((4, 4), bool))
    dataset.add_sample(fo.Sample(filepath=str(path), truth=fo.Detections(detections=[zebra])))
    export(dataset, tmp_path / "out", format="voc", source="truth")
    with Image.open(tmp_path / "out/SegmentationObject/x.png") as image:
        assert np.argwhere(np.array(image) == 1).tolist()[0] == [64, 64] and (np.array(image) == 1).sum() == 32 * 32


def test_segmentations_of_other_tools_are_written_as_they_are(dataset: fo.Dataset, scenes, tmp_path: Path) -> None:
    from diffucurate.plugin.store.media_files import write_png

    path = write_png(tmp_path / "x.png", scenes[0].image)
    mask = np.zeros((128, 128), np.uint8)
    mask[CAR], mask[:4] = 7, IGNORE
    dataset.add_sample(fo.Sample(filepath=str(path), truth=fo.Segmentation(mask=mask)))
    dataset.mask_targets["truth"] = {7: "car"}
    dataset.save()
    dataset.compute_metadata()
    assert estimate_size(dataset, tmp_path / "out", format="semantic", source="truth").instances == 1
    export(dataset, tmp_path / "out", format="semantic", source="truth")
    with Image.open(tmp_path / "out/masks/train/x.png") as image:
        assert np.array_equal(np.array(image), np.where(mask == 7, 1, mask))
    assert report(dataset, tmp_path / "page.html", source="truth").figures["classes"] == 1


def test_the_command_line_offers_all_formats() -> None:
    assert [each.value for each in Format] == list(FORMATS)


def test_wrong_formats_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSetting, match=r"format: 'tfrecord' - use one of coco, .*, cvat"):
        format_named("tfrecord")
    monkeypatch.setattr("diffucurate.plugin.exporting.formats.find_spec", lambda _: None)
    check_packages("coco")
    with pytest.raises(ExportError, match=r"pyarrow is not installed; run pip install 'diffucurate\[parquet\]'"):
        check_packages("parquet")
