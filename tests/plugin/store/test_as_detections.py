"""Fields that were not made by us as sides of every verb: any kind of labels, any name, never altered beyond marks."""

from __future__ import annotations

import json

import fiftyone as fo
import numpy as np
import pytest

from diffucurate.generator.errors import DatasetError
from diffucurate.plugin.comparison.compare import compare
from diffucurate.plugin.curation.curate import curate
from diffucurate.plugin.exporting.export import export
from diffucurate.plugin.fusion.fuse import fuse
from diffucurate.plugin.store.as_detections import classes_of, detections_field, sources_and_fields
from diffucurate.plugin.store.media_files import write_png

HEIGHT, WIDTH = 40, 80

#: A rectangle that every field below has: rows 10 to 30, columns 8 to 40.
BOX = [0.1, 0.25, 0.4, 0.5]
CORNERS = [[(0.1, 0.25), (0.5, 0.25), (0.5, 0.75), (0.1, 0.75)]]


@pytest.fixture
def imported(dataset, tmp_path):
    """Two images as a dataset of other tools has them: no metadata, and fields of every kind of label."""
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[10:30, 8:40] = 3
    mask = np.ones((20, 32), np.bool_)
    samples = []
    for index in range(2):
        path = write_png(tmp_path / "images" / f"{index}.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
        sample = fo.Sample(
            filepath=str(path),
            ground_truth=fo.Detections(
                detections=[fo.Detection(label="bird", bounding_box=BOX, mask=mask, area=640.0, iscrowd=0)]
            ),
            outlines=fo.Polylines(polylines=[fo.Polyline(label="bird", points=CORNERS, closed=True, filled=True)]),
            semantic=fo.Segmentation(mask=pixels),
            single=fo.Detection(label="bird", bounding_box=BOX),
        )
        sample["by-hand"] = fo.Detections(detections=[fo.Detection(label="Bird", bounding_box=BOX, mask=mask)])
        samples.append(sample)
    dataset.add_samples(samples)
    dataset.add_dynamic_sample_fields()
    dataset.mask_targets = {"semantic": {3: "bird"}}
    return dataset


def test_every_kind_of_label_is_offered(imported):
    imported.add_sample_field("nameless", fo.EmbeddedDocumentField, embedded_doc_type=fo.Segmentation)
    imported.set_values("nameless", [fo.Segmentation(mask=np.ones((4, 4), np.uint8))] * 2)
    assert sources_and_fields(imported) == ["by-hand", "ground_truth", "outlines", "semantic", "single"]
    assert classes_of(imported, "semantic") == classes_of(imported, "outlines") == ["bird"]
    with pytest.raises(DatasetError, match=r"what the ids in 'nameless' mean; set dataset.mask_targets\['nameless'\]"):
        compare(imported, "nameless", "ground_truth")


@pytest.mark.parametrize("name", ["outlines", "semantic", "single", "by-hand"])
def test_a_field_is_a_side_of_every_verb_and_stays_as_it_is(imported, tmp_path, name):
    before = imported.first()[name].to_dict()
    result = compare(imported, name, "ground_truth")
    assert (result.overall.matched, result.overall.mean_iou, result.agreement) == (
        2,
        pytest.approx(1),
        pytest.approx(1),
    )
    assert result.matched_by == ("boxes" if name == "single" else "masks")
    back = compare(imported, "ground_truth", name)
    assert (back.overall.matched, back.overall.only_a, back.overall.only_b) == (2, 0, 0)
    if name == "single":
        with pytest.raises(DatasetError, match="the labels of single are boxes without masks, those of ground_truth"):
            fuse(imported, [name, "ground_truth"])
    else:
        fusion = fuse(imported, [name, "ground_truth"])
        assert dict(fusion.found_by) == {f"{name} + ground_truth": 2}
        written = export(imported, tmp_path / "coco", format="coco", source=name)
        assert written.instances == {"train": 2} and not written.left_out
        annotations = json.loads((tmp_path / "coco" / "annotations" / "train.json").read_text())["annotations"]
        assert [each["area"] for each in annotations] == [20 * 32] * 2
    assert len(curate(imported, source=name, min_agreement=0.9, against="ground_truth", min_area=0.1)) == 2
    assert not curate(imported, source=name, min_area=0.3)
    imported.reload()
    if name != "by-hand":
        assert imported.first()[name].to_dict() == before
    field = detections_field(imported, imported, name)
    assert imported.values(f"{field}.detections.matched_ground_truth") == [[True], [True]]


def test_pixels_as_areas_of_another_tool_are_no_shares(imported):
    """COCO's ``area`` is in pixels: the box's share of the image, 0.2, counts."""
    assert len(curate(imported, source="ground_truth", min_area=0.19, max_area=0.21)) == 2
    assert not curate(imported, source="ground_truth", min_area=0.21)


def test_boxes_are_fused_with_boxes(imported):
    boxes = [fo.Detections(detections=[fo.Detection(label="bird", bounding_box=BOX, confidence=0.9)])] * 2
    imported.add_sample_field("predictions", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    imported.set_values("predictions", boxes)
    result = fuse(imported, ["predictions", "single"])
    assert dict(result.found_by) == {"predictions + single": 2} and not result.left_out
    detection = imported.first().fused_instances.detections[0]
    assert detection.bounding_box == pytest.approx(BOX) and detection.mask is None


def test_detections_follow_their_field_and_keep_their_marks_where_it_stays(imported):
    field = detections_field(imported, imported, "outlines")
    first, second = imported.values(f"{field}.detections.id")
    imported.tag_labels("seen", label_fields=field)
    sample = imported.first()
    sample.outlines.polylines[0].tags = ["human"]
    sample.outlines.polylines[0].points = [[(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]]
    sample.save()
    assert detections_field(imported, imported, "outlines") == field
    imported.reload()
    assert (
        imported.values(f"{field}.detections.id")[0] != first and imported.values(f"{field}.detections.id")[1] == second
    )
    assert imported.values(f"{field}.detections.tags") == [[["human"]], [["seen"]]]
    assert imported.values(f"{field}.detections.bounding_box")[0] == [pytest.approx([0, 0, 0.5, 1], abs=0.03)]
    sample.outlines = None
    sample.save()
    detections_field(imported, imported, "outlines")
    assert imported.values(field)[0] is None
    view = imported[1:]
    view.set_values("outlines.polylines.label", [["boat"]])
    assert compare(view, "outlines", "ground_truth").overall.matched == 0


def test_detections_of_somebody_else_are_not_replaced(imported):
    """``outlines_instances`` was there before: it is a source called ``outlines``."""
    imported.clone_sample_field("ground_truth", "outlines_instances")
    ids = imported.values("outlines_instances.detections.id")
    assert detections_field(imported, imported, "outlines") == "outlines_instances"
    assert imported.values("outlines_instances.detections.id") == ids


def test_what_cannot_be_read_is_left_out(imported, tmp_path):
    sample = imported.first()
    sample.semantic = fo.Segmentation(mask=np.ones((7, 7), np.uint8) * 3)
    sample.outlines.polylines.append(fo.Polyline(label="bird", points=[[(0, 0), (float("nan"), 1), (1, 1)]]))
    sample.save()
    result = compare(imported, "semantic", "ground_truth")
    assert (result.samples, result.skipped) == (1, 1)
    assert compare(imported, "outlines", "ground_truth").overall.matched == 2
