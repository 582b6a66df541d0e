"""Preview threshold: the picture in the form, the way on to labelling, and the same from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fiftyone.operators.executor import ExecutionError

from diffucurate.generator.labels.settings import LabelSettings
from diffucurate.operators.runtime.uris import OPEN_FORM

if TYPE_CHECKING:
    import fiftyone as fo


def pictures(form: dict[str, Any]) -> dict[str, str]:
    """What stands above each picture of the form -> the picture."""
    return {prop["view"]["label"]: prop["default"] for prop in form["preview"]["type"]["properties"].values()}


def test_picture_follows_the_settings(app, painted: fo.Dataset) -> None:
    usual, strict = (pictures(app.form("preview_threshold", painted, attention_floor=floor)) for floor in (0.75, 1.0))
    assert strict["With these settings: 0 objects"] == strict["The image"] == usual["The image"]
    assert len(set(usual.values())) == 2  # the labels now are those at the default settings


def test_it_is_about_the_sample_that_is_selected(app, painted: fo.Dataset) -> None:
    first, *_, last = painted.values("id")
    for selected, shown in ((), first), ((last,), last):
        form = app.form_of("preview_threshold", painted, selected=selected)
        assert form["sample"]["view"]["label"] == painted[shown].filename


def test_wrong_numbers_stand_on_their_field(app, painted: fo.Dataset) -> None:
    assert app.problems("preview_threshold", painted, attention_min_area=2) == {
        "attention_min_area": "it must be from 0 to 1"
    }


def test_without_kept_maps_it_says_what_to_do(app, painted: fo.Dataset) -> None:
    painted.set_values("attention_maps", [None] * len(painted))
    form = app.form("preview_threshold", painted)
    assert "label them with attention first" in form["no_preview"]["view"]["label"]


def test_run_changes_nothing_and_leads_on_to_labelling(app, painted: fo.Dataset) -> None:
    before = [sample.to_dict() for sample in painted]
    chosen = {"attention_floor": 0.6, "attention_edge_reach": 0.2, "classes": ["car"]}
    ((name, told),) = app.stream("preview_threshold", painted, **chosen)
    assert [sample.to_dict() for sample in painted] == before and painted.list_runs() == []
    # No dialog between: the form of the next operator opens at once.
    assert (name, told["operator_uri"]) == (OPEN_FORM, "@diffucurate/diffucurate/label_images")
    assert told["params"] == {**chosen, "source": ["attention"], "show_settings": True}
    form = app.form("label_images", painted, **told["params"])
    assert form["attention_floor"]["view"]["label"] == "Threshold: 0.60"
    # What has no field of its own is shown all the same.
    assert form["attention_edge_reach"]["view"]["label"] == "Edge reach"
    assert "attention_gamma" not in form and "attention_edge_reach" not in app.form("label_images", painted)
    app.stream("label_images", painted, **told["params"])
    (key,) = painted.list_runs()
    settings = painted.get_run_info(key).config.settings
    assert (settings["settings"]["floor"], settings["classes"]) == (0.6, ["car"])
    assert settings["settings"]["edge_reach"] == 0.2


def test_call_from_python(app, painted: fo.Dataset) -> None:
    import fiftyone.operators as foo

    preview_threshold = foo.get_operator("@diffucurate/diffucurate/preview_threshold")
    sample = painted.last()
    result = preview_threshold(sample)
    assert (result["sample"], result["instances"]) == (sample.id, len(sample.attention_instances.detections))
    assert preview_threshold(sample, settings=LabelSettings(floor=1.0))["found"] == []
    sample["attention_maps"] = None
    sample.save()
    with pytest.raises(ExecutionError, match="keeps no heatmaps"):
        preview_threshold(sample)
