"""Labels against the truth: figures worked out by hand, and FiftyOne's own panel, which opens on the evaluation."""

from __future__ import annotations

from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pytest
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.tiny.scenes import Scene
from diffucurate.plugin.evaluation.evaluate import evaluate
from diffucurate.plugin.evaluation.measures import MEASURES
from diffucurate.plugin.fiftyone_private import evaluation_scenarios

SHAPE = (40, 80)
CLASSES = ("car", "bus")


def bars(*spans):
    """Labels of bars: (class, first column, one past the last, confidence)."""
    instances = []
    for name, left, right, confidence in spans:
        mask = np.zeros(SHAPE, np.bool_)
        mask[:, left:right] = True
        instances.append(Instance(name, mask, confidence))
    return Labels.from_instances(instances, CLASSES, SHAPE)


@pytest.fixture
def labelled(dataset, add_scenes):
    truth = [bars(("car", 0, 20, 1), ("bus", 40, 60, 1)), bars(("car", 0, 20, 1)), bars(("car", 0, 20, 1)), bars()]
    one = [
        bars(("car", 0, 20, 0.9), ("bus", 40, 55, 0.8)),  # IoU 1 and 3/4
        bars(("bus", 0, 20, 0.7)),  # the other class
        bars(("car", 0, 5, 0.3)),  # IoU 1/4: no match
        bars(),
    ]
    add_scenes([Scene(np.zeros((*SHAPE, 3), np.uint8), (), "", {}, 0)] * 4, truth=truth, one=one)
    dataset.set_values("truth_instances.detections.confidence", [[None] * len(each.instances) for each in truth])
    dataset.set_values("weather", ["fog", "sun", "sun", None])
    return dataset


class Panel:
    """FiftyOne's Model Evaluation panel on a dataset, without the App."""

    def __init__(self, dataset: fo.Dataset) -> None:
        self.operator = foo.get_operator("@voxel51/panels/model_evaluation_panel_builtin")
        self.dataset = dataset

    def evaluation(self, key: str) -> dict[str, Any]:
        return self.operator.get_evaluation_data(self._context(key))

    def listed(self) -> list[str]:
        return [
            key for key in self.dataset.list_evaluations() if self.operator.has_evaluation_results(self.dataset, key)
        ]

    def scenario(self, key: str, scenario: dict[str, Any]) -> dict[str, Any]:
        checked, changes = self.operator.validate_scenario_subsets(self._context(key), scenario)
        assert not changes
        return self.operator.get_scenario_data(self._context(key), checked)["subsets_data"]

    def _context(self, key: str) -> ExecutionContext:
        request = {"dataset_name": self.dataset.name, "params": {"key": key, "panel_id": "p", "panel_state": {}}}
        return ExecutionContext(request, operator_uri="@voxel51/panels/model_evaluation_panel_builtin")


def test_figures_are_what_the_masks_say(labelled):
    result = evaluate(labelled, "one", "truth", scenarios=[])
    assert (result.samples, result.skipped, result.matched_by) == (4, 0, "masks")
    car, bus = result.classes
    assert (car.label, car.truth, car.predictions, car.matched) == ("car", 3, 2, 1)
    assert (bus.label, bus.truth, bus.predictions, bus.matched) == ("bus", 1, 2, 1)
    assert (car.precision, car.recall, car.f1) == (1 / 2, 1 / 3, 2 / 5)
    # Pixels of cars: 20 + 5 columns of 60 are shared; of buses 15 of 20 + 20.
    assert car.semantic_iou == pytest.approx(25 / 60) and bus.semantic_iou == pytest.approx(15 / 40)
    assert result.overall.semantic_iou == pytest.approx((25 / 60 + 15 / 40) / 2)
    # One of three cars comes first: precision 1 up to a recall of 1/3, which is 34 of COCO's 101 points.
    assert car.ap50 == pytest.approx(34 / 101, abs=0.001) and bus.ap50 == pytest.approx(1.0)
    assert bus.ap == pytest.approx(0.6)  # an IoU of 3/4 passes 0.50 to 0.75, six of ten
    assert (result.overall.truth, result.overall.predictions, result.overall.matched) == (4, 4, 2)
    # Confidences 0.9 and 0.8 (right), 0.7 and 0.3 (wrong), each in an interval of its own.
    assert result.calibration_error == pytest.approx((0.1 + 0.2 + 0.7 + 0.3) / 4)
    assert result.confidence_ranking == pytest.approx(0.949, abs=0.001)  # ranks 4 3 2 1 against 4 3 1.5 1.5
    # An outline is the same or it is not: an image counts 1, a half where one of two edges is elsewhere, or 0.
    assert 0 < car.boundary_f < 1 and bus.boundary_f < 1
    (run,) = labelled.list_runs(method="diffucurate/evaluate")
    assert labelled.get_run_info(run).config.facts["eval_key"] == "evaluate_one_truth"


def test_the_panel_opens_on_it(labelled):
    result = evaluate(labelled, "one", "truth", scenarios=["weather"])
    labelled.reload()
    panel = Panel(labelled)
    assert panel.listed() == ["evaluate_one_truth", "evaluate_one_truth_masks"]
    shown = panel.evaluation(result.eval_key)
    assert shown["metrics"]["mAP"] == pytest.approx(result.overall.ap)
    assert (shown["metrics"]["tp"], shown["metrics"]["fp"], shown["metrics"]["fn"]) == (2, 2, 2)
    figures = {each["key"]: each for each in shown["custom_metrics"].values()}
    assert figures["semantic_iou"]["value"] == pytest.approx(result.overall.semantic_iou)
    assert figures["boundary_f_score"]["value"] == pytest.approx(result.overall.boundary_f)
    assert figures["calibration_error"]["lower_is_better"] and not figures["semantic_iou"]["lower_is_better"]
    assert set(figures) == {measure.name for measure in MEASURES}
    masks = panel.evaluation(result.masks_key)
    assert masks["per_class_metrics"]["bus"]["recall"] == pytest.approx(0.75)
    # A scenario per field: the values' own evaluations.
    (scenario,) = evaluation_scenarios(labelled).values()
    assert (scenario["name"], scenario["field"], scenario["subsets"]) == ("By weather", "weather", ["sun", "fog"])
    subsets = panel.scenario(result.eval_key, scenario)
    assert (subsets["fog"]["metrics"]["tp"], subsets["sun"]["metrics"]["tp"]) == (2, 0)
    evaluate(labelled, "one", "truth", scenarios=["weather"])
    assert len(evaluation_scenarios(labelled)) == 1


def test_attributes_of_prompts_have_scenarios(labelled):
    documents = [fo.DynamicEmbeddedDocument(colour=colour) for colour in ("red", "blue", "red", "red")]
    labelled.add_sample_field("attributes", fo.EmbeddedDocumentField, embedded_doc_type=fo.DynamicEmbeddedDocument)
    labelled.add_sample_field("attributes.colour", fo.StringField)
    labelled.set_values("attributes", documents)
    result = evaluate(labelled, "one", "truth")
    assert result.scenarios == ("By colour",)
    (scenario,) = evaluation_scenarios(labelled).values()
    assert Panel(labelled).scenario(result.eval_key, scenario)["blue"]["metrics"]["fp"] == 1


def test_fields_of_others_by_boxes(labelled):
    boxes = [[fo.Detection(label="Car", bounding_box=[0, 0, 0.25, 1], confidence=0.5)] for _ in range(4)]
    labelled.add_sample_field("predictions", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    labelled.set_values("predictions", [fo.Detections(detections=each) for each in boxes])
    result = evaluate(labelled, "predictions", "truth", classes=["car"], scenarios=[])
    (car,) = result.classes
    assert (car.label, car.truth, car.matched, car.semantic_iou) == ("car", 3, 3, None)
    assert (result.matched_by, result.masks_key) == ("boxes", None)
    shown = Panel(labelled).evaluation(result.eval_key)
    assert {each["key"] for each in shown["custom_metrics"].values()} == {"calibration_error"}
    # Truth as the prediction has no confidences, hence no average precision, and is shown all the same.
    back = evaluate(labelled, "truth", "predictions", key="back", scenarios=[])
    assert back.overall.ap is None and back.calibration_error is None
    assert Panel(labelled).evaluation("back")["metrics"]["tp"] == 3


def test_across_classes_says_which_class_is_taken_for_which(labelled):
    evaluate(labelled, "one", "truth", across_classes=True, scenarios=[])
    matrix = Panel(labelled).evaluation("evaluate_one_truth")["confusion_matrix"]
    classes = list(matrix["classes"])
    assert matrix["matrix"][classes.index("car"), classes.index("bus")] == 1


def test_repeated_evaluation_replaces_the_earlier_one(labelled):
    evaluate(labelled, "one", "truth", scenarios=[])
    evaluate(labelled[:1], "one", "truth", scenarios=[])
    assert labelled.list_evaluations() == ["evaluate_one_truth", "evaluate_one_truth_masks"]
    assert Panel(labelled).evaluation("evaluate_one_truth")["metrics"]["tp"] == 2


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("one", "none"), {}, DatasetError, "has no field 'none_instances'"),
        (("one", "one"), {}, InvalidSetting, "truth: 'one' - name labels other than"),
        (("one", "truth"), {"iou": 0}, InvalidSetting, "iou: 0 - give the least IoU"),
        (("one", "truth"), {"key": "my key"}, InvalidSetting, "key: 'my key' - use letters"),
        (("one", "truth"), {"classes": ["lorry"]}, InvalidSetting, "'lorry' - the dataset has no such class"),
        (("one", "truth"), {"scenarios": ["mood"]}, InvalidSetting, "scenarios: 'mood' - name a field of texts"),
        (("one", "truth"), {"scenarios": "weather"}, InvalidSetting, "give a list of fields"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(labelled, arguments, options, error, message):
    with pytest.raises(error, match=message):
        evaluate(labelled, *arguments, **options)
    assert not labelled.list_evaluations() and not labelled.list_runs()
