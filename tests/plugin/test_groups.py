"""Grouped datasets and "Group by" views: all images that a view shows, or a refusal; never one image of each group."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest
from numpy.typing import NDArray

import diffucurate as dc
from diffucurate.generator.errors import DatasetError
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.plugin.curation.curate import curations
from diffucurate.plugin.store.media_files import write_png

SLICES = ("left", "right")


def half(side: str, shape: tuple[int, int] = (16, 16)) -> NDArray[np.bool_]:
    mask = np.zeros(shape, np.bool_)
    mask[:, :8] = True
    return mask if side == "left" else ~mask


class Bright:
    """A label source of one's own: what is white is a car on the left, a bus on the right."""

    name = "bright"

    def label(self, images: list[NDArray[np.uint8]]) -> list[Labels]:
        found = []
        for image in images:
            mask = image[..., 0] == 255
            instance = Instance("car" if mask[0, 0] else "bus", mask, 0.9)
            found.append(Labels.from_instances([instance], ("car", "bus"), mask.shape))
        return found


@pytest.fixture
def grouped(dataset: fo.Dataset, tmp_path: Path) -> fo.Dataset:
    """Three groups of two images each, white on the side that their slice is called, with a person's own labels."""
    dataset.add_group_field("group", default="left")
    samples = []
    for index in range(3):
        group = fo.Group()
        for side in SLICES:
            pixels = np.where(half(side)[..., None], 255, index).repeat(3, axis=2).astype(np.uint8)
            path = write_png(tmp_path / side / f"{index}.png", pixels)
            truth = fo.Detection.from_mask(half(side), label="car" if side == "left" else "bus")
            samples.append(
                fo.Sample(
                    filepath=str(path),
                    group=group.element(side),
                    scene=f"s{index % 2}",
                    truth=fo.Detections(detections=[truth]),
                )
            )
    dataset.add_samples(samples)
    return dataset


@pytest.mark.parametrize(("slices", "count"), [(list(SLICES), 6), (["right"], 3)])
def test_slices_that_a_view_selects_are_images(grouped: fo.Dataset, tmp_path: Path, slices: Any, count: int) -> None:
    view = grouped.select_group_slices(slices)
    every = grouped.select_group_slices(media_type="image")
    dc.label(view, source=Bright())
    assert every.count("bright_instances") == count
    result = dc.compare(view, "bright", "truth")
    assert (result.samples, result.overall.matched, result.agreement) == (count, count, 1.0)
    kept = dc.curate(view, source="bright", min_confidence=0.5, exact_duplicates=True, save_as="good")
    assert len(kept) == count == len(grouped.load_saved_view("good")) == every.count_sample_tags()["good"]
    summary = dc.export(kept, tmp_path / "out", format="coco", source="bright", classes=["bus"])
    assert (summary.images, summary.instances) == ({"train": count}, {"train": 3})
    summary = dc.export(view, tmp_path / "all", format="yolo", source="truth")
    assert (summary.images, summary.instances) == ({"train": count}, {"train": count})
    # The ids of classes are of all slices, whatever the view shows.
    assert "0: car" in (tmp_path / "all" / "data.yaml").read_text()
    assert "1: bus" in (tmp_path / "all" / "data.yaml").read_text()
    dc.undo_curation(grouped, "good")
    assert every.count_sample_tags() == {} and curations(grouped) == []


def test_objects_in_selected_slices_are_replaced(grouped: fo.Dataset, model_folder: str) -> None:
    name = f"{grouped.name}-painted"
    try:
        view = grouped.select_group_slices(list(SLICES))
        made = dc.inpaint(view, "truth", "a tram", classes=["tram"], model=model_folder, steps=2, save_as=name)
        assert sorted(made.values("source_id")) == sorted(view.values("id"))
    finally:
        if fo.dataset_exists(name):
            fo.delete_dataset(name)


@pytest.mark.parametrize(
    "verb",
    [
        lambda view, folder: dc.label(view, source=Bright()),
        lambda view, folder: dc.compare(view, "truth", "other"),
        lambda view, folder: dc.curate(view, source="truth"),
        lambda view, folder: dc.export(view, folder, format="coco", source="truth"),
        lambda view, folder: dc.learn_token(view, "truth", model="tiny", folder=folder),
        lambda view, folder: dc.inpaint(view, "truth", "a tram", classes=["tram"]),
        lambda view, folder: dc.img2img(view, prompt="a tram", classes=["tram"]),
    ],
    ids=["label", "compare", "curate", "export", "learn_token", "inpaint", "img2img"],
)
def test_views_that_show_one_image_of_each_group_are_refused(
    grouped: fo.Dataset, tmp_path: Path, verb: Callable[..., Any]
) -> None:
    plain = grouped.select_group_slices(list(SLICES))
    for view in (grouped, grouped.view(), plain.group_by("scene")):
        with pytest.raises(DatasetError, match=r"shows groups of images, and one image of each; flatten it"):
            verb(view, tmp_path / "out")
    assert grouped.list_runs() == [] and not (tmp_path / "out").exists()
