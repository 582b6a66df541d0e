"""Augment images: what the form offers and says, and what a run adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import fiftyone as fo


def test_form_offers_labels_that_can_be_kept(app: Any, painted: fo.Dataset) -> None:
    painted.clone_sample_field("attention_instances", "truth")
    form = app.form("augment_images", painted)
    assert form["field"]["type"]["values"] == ["truth"] and "margin" not in form
    assert form["prompt"]["default"] == "a photo of {labels}" and form["strength"]["default"] == "0.25, 0.5, 0.75, 1"
    assert "variants for dataset" in form["summary"]["view"]["label"]
    assert "- a photo of " in form["preview"]["default"]
    assert "margin" in app.form("augment_images", painted, part="background")
    assert set(app.problems("augment_images", painted, part="objects", margin=9)) == {"margin"}


def test_form_without_labels(app: Any, painted: fo.Dataset) -> None:
    assert set(app.problems("augment_images", painted)) == {"no_field"}


def test_run_adds_variants(app: Any, painted: fo.Dataset) -> None:
    painted.clone_sample_field("attention_instances", "truth")
    before = len(painted)
    chosen = next(sample.id for sample in painted if sample.truth.detections)
    told = app.stream("augment_images", painted, selected=(chosen,), field="truth", variants=2, steps=2,
                      strength="0.5, 1", target="SELECTED_SAMPLES", view_target="SELECTED_SAMPLES")  # fmt: skip
    outcome, message = app.said(told)
    assert outcome == "Success" and "with the tag 'augmented'" in message, message
    painted.reload()
    variants = painted.match_tags("augmented")
    assert len(painted) == before + len(variants) and variants.count("truth.detections") > 0
