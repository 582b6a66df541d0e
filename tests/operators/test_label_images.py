"""Label images: the form, and labels made again from kept maps, as the App, Python and a background run do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fiftyone.operators.executor import ExecutionError

if TYPE_CHECKING:
    import fiftyone as fo


def test_form_asks_for_what_the_source_takes(app, painted: fo.Dataset) -> None:
    attention, yolo = (set(app.form("label_images", painted, source=s)) for s in ("attention", "yolov8"))
    assert attention - yolo == {"model"}
    assert yolo - attention == {"weights"}
    assert {"view_target", "source", "classes"} <= attention


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"source": "yolov8", "weights": "/nowhere/best.pt"}, "weights", "'/nowhere/best.pt' is no file"),
        ({"source": "attention", "weights": "/nowhere/best.pt"}, None, ""),  # left from another choice: not asked for
        ({"source": "yolov8"}, None, ""),
    ],
)
def test_form_errors(app, painted: fo.Dataset, params: dict, field: str | None, words: str) -> None:
    problems = app.problems("label_images", painted, **params)
    assert list(problems) == ([field] if field else [])
    assert words in "".join(problems.values())


def test_dataset_without_classes_needs_them_named(app, dataset: fo.Dataset) -> None:
    assert "classes" in app.problems("label_images", dataset, source="attention")
    assert app.problems("label_images", dataset, source="attention", classes=["car"]) == {}


def test_app_run_labels_and_shows_the_labels(app, painted: fo.Dataset) -> None:
    painted.set_values("attention_instances", [None] * len(painted))
    told = app.stream("label_images", painted, source="attention")
    assert told[0][0] == "set_progress"
    assert [name for name, _ in told if name != "set_progress"] == [
        "reload_dataset", "set_active_fields", "show_output",
    ]  # fmt: skip
    found = painted.count("attention_instances.detections")
    assert found >= len(painted)
    assert app.said(told) == ("Success", f"{len(painted)} images labelled by attention: {found} instances")
    assert "attention_instances" in dict(told)["set_active_fields"]["fields"]


def test_app_run_only_touches_the_target_view(app, painted: fo.Dataset) -> None:
    first, *others = painted.values("id")
    painted.set_values("attention_instances", [None] * len(painted))
    app.stream("label_images", painted, source="attention", view_target="SELECTED_SAMPLES", selected=(first,))
    painted.reload()
    assert painted[first].attention_instances is not None
    assert [painted[other].attention_instances for other in others] == [None] * len(others)


def test_errors_of_the_library_reach_the_person(app, painted: fo.Dataset) -> None:
    painted.set_values("attention_maps", [None] * len(painted))
    told = app.stream("label_images", painted, source="attention", model="/nowhere/model")
    outcome, sentence = app.said(told)
    assert outcome == "Error" and "/nowhere/model" in sentence


def test_call_from_python(app, painted: fo.Dataset) -> None:
    import fiftyone.operators as foo

    result = foo.get_operator("@diffucurate/diffucurate/label_images")(painted.limit(2), source="attention")
    assert result["images"] == 2
    assert result["instances"] == painted.limit(2).count("attention_instances.detections")


def test_call_from_python_raises(app, painted: fo.Dataset) -> None:
    import fiftyone.operators as foo

    with pytest.raises(ExecutionError, match="is no file"):
        foo.get_operator("@diffucurate/diffucurate/label_images")(painted, source="yolov8", weights="/nowhere/best.pt")


def test_delegated_run(app, painted: fo.Dataset) -> None:
    import fiftyone.operators as foo
    from fiftyone.operators.delegated import DelegatedOperationService

    painted.set_values("attention_instances", [None] * len(painted))
    queued = foo.get_operator("@diffucurate/diffucurate/label_images")(painted, source="attention", delegate=True)
    service = DelegatedOperationService()
    operation = service.get(queued["id"])
    assert operation.run_state == "queued"
    result = service.execute_operation(operation)
    assert result.error is None
    assert result.result == {"source": "attention", "images": len(painted), "instances": result.result["instances"]}
    assert service.get(operation.id).run_state == "completed"
    assert painted.count("attention_instances.detections") == result.result["instances"] > 0
