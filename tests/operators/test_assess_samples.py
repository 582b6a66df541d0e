"""Assess samples: what can be chosen, and what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import fiftyone as fo


def test_form_offers_checks_and_asks_for_what_they_need(app, twice_labelled: fo.Dataset) -> None:
    form = app.form("assess_samples", twice_labelled)
    assert form["check_image"]["default"] and form["check_masks"]["default"] and not form["check_flip"]["default"]
    assert [choice["value"] for choice in form["source"]["view"]["choices"]] == ["attention", "shifted"]
    assert "against" not in form and "clip_model" not in form
    chosen = app.form("assess_samples", twice_labelled, check_mistakenness=True, check_clip=True)
    assert [choice["value"] for choice in chosen["against"]["view"]["choices"]] == ["shifted"]
    problems = app.problems("assess_samples", twice_labelled, check_mistakenness=True, check_clip=True)
    assert problems == {"against": "choose one of shifted"} and chosen["clip_model"]["required"]
    nothing = {"check_image": False, "check_masks": False}
    assert "at least one" in app.problems("assess_samples", twice_labelled, **nothing)["check_image"]


def test_a_dataset_without_labels_has_its_images_assessed(app, dataset: fo.Dataset) -> None:
    form = app.form("assess_samples", dataset)
    assert form["check_image"]["default"] and not form["check_masks"]["default"]
    assert "Label images" in app.problems("assess_samples", dataset, check_masks=True)["no_source"]


def test_run_leaves_numbers_that_curation_explains(app, painted: fo.Dataset) -> None:
    steps = app.stream("assess_samples", painted, source="attention")
    outcome, message = app.said(steps)
    assert outcome == "Success" and "attention_coverage" in message
    assert "reload_dataset" in dict(steps)
    painted.reload()
    assert all(0 < value < 1 for value in painted.values("attention_coverage"))
    form = app.form("curate_samples", painted, score_fields=["sharpness"])
    assert "low where the image is blurred" in form["least_sharpness"]["view"]["description"]


def test_noise_learning_takes_a_second_source_or_folds(app, painted: fo.Dataset) -> None:
    noise = {"check_noise": True}
    assert "run 'Label images' first" in app.problems("assess_samples", painted, **noise)["no_against"]
    assert not app.problems("assess_samples", painted, **noise, folds=3)
    assert "at least 2" in app.problems("assess_samples", painted, **noise, folds=1)["folds"]
