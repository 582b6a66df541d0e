"""The panel "Side by side" without a browser: which views an image has, and that what is drawn is what was chosen."""

from __future__ import annotations

import asyncio
import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    import fiftyone as fo
    from numpy.typing import NDArray

URI = "@diffucurate/diffucurate/side_by_side"

#: Of the images, which are of one colour each.
GREY, BLUE = (100, 100, 100), (20, 40, 200)


@pytest.fixture
def related(app: Any, dataset: fo.Dataset, tmp_path: Path) -> fo.Dataset:
    """A grey image with the left half labelled by one source and the right by another, and a blue variant of it."""
    import fiftyone as fo

    from diffucurate.plugin.store.classes import extend_classes
    from diffucurate.plugin.store.media_files import write_png
    from diffucurate.plugin.store.schema import declare_heatmaps, declare_label_fields

    classes = extend_classes(dataset, {"car": ["car"]})
    declare_heatmaps(dataset, classes)
    for source in ("attention", "yolov8"):
        declare_label_fields(dataset, source, classes)
    for name, colour in (("grey", GREY), ("blue", BLUE)):
        write_png(tmp_path / f"{name}.png", np.full((40, 60, 3), colour, np.uint8))
    heat = np.zeros((40, 60), np.uint8)
    heat[:20] = 255
    Image.fromarray(heat).save(tmp_path / "heat.png")
    halves = {
        source: fo.Detections(detections=[fo.Detection(label="car", bounding_box=box, confidence=0.9)])
        for source, box in (("attention_instances", [0, 0, 0.5, 1]), ("yolov8_instances", [0.5, 0, 0.5, 1]))
    }
    grey = fo.Sample(filepath=str(tmp_path / "grey.png"), heatmap_car=fo.Heatmap(map_path=str(tmp_path / "heat.png")))
    dataset.add_sample(grey)
    for field, value in halves.items():
        grey[field] = value
    grey.save()
    dataset.add_sample(fo.Sample(filepath=str(tmp_path / "blue.png"), source_id=grey.id))
    return dataset


def _drawn(dataset: fo.Dataset, sample: str, method: str = "on_change_current_sample", **params: Any) -> dict[str, Any]:
    from fiftyone.operators.executor import execute_or_delegate_operator

    params |= {"__method__": method, "panel_id": "p", "panel_state": {}}
    request = {"dataset_name": dataset.name, "filters": {}, "view": [], "current_sample": sample, "params": params}
    result = asyncio.run(execute_or_delegate_operator(URI, request))
    assert result.error is None, result.error
    requests = result.to_json()["executor"]["requests"]
    assert not any("panel_state" in each["operator_uri"] for each in requests)
    (output,) = (each for each in requests if each["operator_uri"] == "show_panel_output")
    properties: dict[str, Any] = output["params"]["output"]["type"]["properties"]
    return properties


def _pixels(uri: str) -> NDArray[np.uint8]:
    """At the stored image's 60 x 40 pixels, the middle of each."""
    image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")
    assert image.width == 640
    return np.asarray(image.resize((60, 40), Image.Resampling.NEAREST))


def test_two_sources_first_then_what_is_chosen(related: fo.Dataset) -> None:
    from diffucurate.operators.panel import choices

    choices._panels.clear()
    grey, blue = related.values("id")
    both = _drawn(related, grey)["both"]["view"]
    assert (both["left_caption"], both["right_caption"]) == ("attention", "yolov8")
    left, right = _pixels(both["left"]), _pixels(both["right"])
    assert tuple(left[20, 50]) == GREY != tuple(left[20, 15])
    assert tuple(right[20, 15]) == GREY != tuple(right[20, 50])

    both = _drawn(related, grey, "choose", name="right", value="heatmap:car")["both"]["view"]
    right = _pixels(both["right"])
    assert tuple(right[35, 30]) == GREY and right[5, 30, 0] > GREY[0] + 50

    both = _drawn(related, grey, "choose", name="right", value="variant:1")["both"]["view"]
    assert tuple(_pixels(both["right"])[0, 0]) == BLUE

    both = _drawn(related, blue)["both"]["view"]  # has neither labels nor variants
    assert (both["left_caption"], both["right_caption"]) == ("painted from", "Image")
    assert tuple(_pixels(both["left"])[0, 0]) == GREY and tuple(_pixels(both["right"])[0, 0]) == BLUE


def test_what_is_gone_is_said(related: fo.Dataset) -> None:
    grey, blue = related.values("id")
    related.delete_samples([grey])
    assert "both" in _drawn(related, blue)
    assert "deleted meanwhile" in str(_drawn(related, grey))
    Path(related[blue].filepath).unlink()
    assert "cannot be read" in str(_drawn(related, blue))
