"""A source that cannot do without a model, in the form."""

from __future__ import annotations

from pathlib import Path

import fiftyone as fo
from untrained_universal import save_eomt


def test_form_asks_for_the_model_and_labels(app, painted: fo.Dataset, tmp_path: Path) -> None:
    segmenter = str(save_eomt(tmp_path / "eomt"))
    ticked = {"use_attention": False, "use_mask2former": True, "classes": ["car"]}
    assert app.problems("label_images", painted, **ticked).keys() == {"segmenter"}
    form = app.form("label_images", painted, **ticked, segmenter=segmenter, show_settings=True)
    assert form["mask2former_plan"]["view"]["label"] == "4 images are looked at by Mask2Former."
    assert form["mask2former_segmentation"]["type"]["values"] == ["auto", "instance", "panoptic", "semantic"]
    assert app.problems("label_images", painted, **ticked, segmenter=segmenter) == {}
    messages = app.stream("label_images", painted, **ticked, segmenter=segmenter, mask2former_min_confidence=0.1)
    painted.reload()
    found = painted.count("mask2former_instances.detections")
    assert app.said(messages) == ("Success", f"4 images labelled by mask2former: {found} instances") and found
