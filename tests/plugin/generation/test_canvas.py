"""A recipe of canvases becomes a dataset: labels by region, what is kept of them, and the way back to the job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import fiftyone as fo
import numpy as np
import pytest

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.labels.maps.canvas_maps import region_maps
from diffucurate.plugin.generation.generate import generate
from diffucurate.plugin.generation.regenerate import regenerate
from diffucurate.plugin.generation.repaint import repaint
from diffucurate.plugin.labelling.label import label
from diffucurate.plugin.provenance.describe import of_image
from diffucurate.plugin.provenance.provenance import provenance
from diffucurate.plugin.store.media_files import read_maps


@pytest.fixture
def content() -> Iterator[dict[str, Any]]:
    """A recipe of the built-in model, which paints what is asked for after a few steps already."""
    name = f"canvases-{uuid4()}"
    yield {
        "dataset": name,
        "task": "canvas",
        "canvas": {"regions": 2, "background": "a {place} at noon", "tries": 1},
        "classes": {"car": ["car"], "bus": ["bus"]},
        "templates": ["a photo of a {colour} {object} on a {place}"],
        "attributes": {"object": ["car", "bus"], "colour": ["red", "blue"], "place": ["road", "beach"]},
        "steps": 5,
        "sample": {"count": 1},
    }
    if fo.dataset_exists(name):
        fo.delete_dataset(name)


def test_canvases_become_samples(content: dict[str, Any]) -> None:
    dataset = generate(content)
    (sample,) = dataset
    assert sample.task == "canvas" and (sample.metadata.width, sample.metadata.height) == (240, 240)
    assert len(sample.canvas.prompts) == 2 and sample.canvas.background.endswith("at noon")
    regions = region_maps(read_maps(sample.attention_maps))
    assert [list(each.box) for each in regions.values()] == [list(box) for box in sample.canvas.boxes]
    found = [each.label for each in sample.attention_instances.detections]
    assert len(found) == 2 - sample.canvas.lost and set(found) <= {"car", "bus"}
    semantic = sample.attention_mask.get_mask()
    assert semantic.shape == (240, 240) and (255 in np.unique(semantic)) == (sample.canvas.lost > 0)
    assert generate(content) == dataset and len(dataset) == 1

    origin = provenance(sample)
    assert origin.job.canvas is not None and origin.job.job_id == sample.job_id
    described = of_image(origin)
    assert described["Task"].startswith("Several objects") and sample.canvas.prompts[0] in described["Regions"]

    label(dataset, source="attention")
    sample.reload()
    assert [each.label for each in sample.attention_instances.detections] == found
    assert np.array_equal(sample.attention_mask.get_mask(), semantic)

    (again,) = regenerate(sample, seeds=[7])
    assert again.seed == 7 and again.canvas.boxes == sample.canvas.boxes and again.source_id == sample.id


def test_lost_regions_stay_lost_where_the_same_model_is_named(content: dict[str, Any]) -> None:
    """Their classes have no map of the whole image, which is no reason to look at it again as at any other."""
    dataset = generate({**content, "canvas": {**content["canvas"], "min_confidence": 1.0}})
    (sample,) = dataset
    assert sample.canvas.lost == 2 and sample.attention_instances.detections == []
    kept = sample.attention_maps
    label(dataset, source="attention", model="tiny")
    sample.reload()
    assert sample.attention_maps == kept and sample.attention_instances.detections == []
    assert 255 in np.unique(sample.attention_mask.get_mask())


def test_canvases_are_painted_again_to_the_bit(content: dict[str, Any]) -> None:
    (result,) = repaint(generate(content))
    assert result.different == 0


def test_a_recipe_without_room_is_refused_before_anything_is_made(content: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"canvas.regions: .* have room for 4 regions of 128 x 128 px"):
        generate({**content, "canvas": {"regions": 9}})
    assert not fo.dataset_exists(content["dataset"])
