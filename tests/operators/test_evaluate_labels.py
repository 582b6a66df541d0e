"""Evaluate labels: which can be chosen, what comes back, and our metrics in FiftyOne's own evaluations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fiftyone.operators as foo
import pytest

from diffucurate.operators.evaluation_metrics import METRICS

if TYPE_CHECKING:
    import fiftyone as fo

NAMES = ["semantic_iou", "boundary_f_score", "calibration_error", "confidence_ranking"]


def test_form_proposes_the_ground_truth(app, painted: fo.Dataset) -> None:
    assert "holds only attention" in app.problems("evaluate_labels", painted)["too_few_sources"]
    painted.clone_sample_field("attention_instances", "ground_truth")
    form = app.form("evaluate_labels", painted)
    assert form["prediction"]["type"]["values"] == ["attention", "ground_truth"]
    assert (form["prediction"]["default"], form["truth"]["default"]) == ("attention", "ground_truth")
    assert "other than" in app.problems("evaluate_labels", painted, prediction="ground_truth")["truth"]
    assert app.problems("evaluate_labels", painted, iou=0) == {
        "iou": "0: give the least IoU of a match, above 0 and at most 1"
    }


def test_run_opens_fiftyones_panel(app, twice_labelled: fo.Dataset) -> None:
    told = dict(app.stream("evaluate_labels", twice_labelled, prediction="shifted", truth="attention"))
    assert told["open_panel"]["name"] == "model_evaluation_panel_builtin"
    result = told["show_output"]["results"]
    assert result["evaluation"] == "evaluate_shifted_attention"
    assert result["rows"][-1]["class"] == "all"
    # With the plugin installed FiftyOne computes our measures by its operators, and deletes them with the evaluation.
    results = twice_labelled.load_evaluation_results("evaluate_shifted_attention")
    assert results.config.custom_metrics == [f"@diffucurate/diffucurate/{name}" for name in NAMES]
    assert {each["key"] for each in results.custom_metrics.values()} <= set(NAMES)
    assert results.metrics()["semantic_iou"] == pytest.approx(float(result["rows"][-1]["semantic iou"]), abs=0.001)


def test_metrics_serve_fiftyones_own_evaluation(app, twice_labelled: fo.Dataset) -> None:
    assert [metric().config.name for metric in METRICS] == NAMES
    uris = [f"@diffucurate/diffucurate/{name}" for name in NAMES]
    assert all(foo.operator_exists(uri) for uri in uris)
    results = twice_labelled.evaluate_detections(
        "shifted_instances",
        gt_field="attention_instances",
        eval_key="theirs",
        use_masks=True,
        compute_mAP=True,
        custom_metrics=uris,
    )
    figures = results.custom_metrics[uris[2]]
    assert figures["lower_is_better"] and 0 <= figures["value"] <= 1
    assert not results.custom_metrics[uris[0]]["lower_is_better"]
