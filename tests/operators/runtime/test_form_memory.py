"""Forms that remember: filled in as last sent off on the dataset, where the App opens them empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import fiftyone as fo


def test_a_form_that_opens_empty_is_filled_in_as_it_was_sent_off(app, painted: fo.Dataset, dataset: fo.Dataset) -> None:
    import fiftyone as fo

    assert app.form("label_images", painted)["classes"]["default"] is None
    app.stream("label_images", painted, classes=["car"], show_settings=True, target="DATASET")
    form = app.form("label_images", painted)
    assert form["classes"]["default"] == ["car"] and form["show_settings"]["default"]
    assert "attention_settings" in form  # unfolded
    assert app.form("label_images", painted, use_attention=True)["classes"]["default"] is None  # not opened empty
    dataset.add_samples([fo.Sample(painted.first().filepath)])
    assert app.form("label_images", dataset)["classes"]["default"] is None  # another dataset


def test_what_is_decided_anew_each_time_is_not_remembered(dataset: fo.Dataset) -> None:
    from diffucurate.operators.runtime.form_memory import recall, remember

    assert recall(dataset, "export_samples") == recall(None, "export_samples") == {}
    remember(dataset, "export_samples", {"overwrite": True, "save_as": "x", "a.b": 1, "empty": None, "odd": object()})
    assert recall(dataset, "export_samples") == {"a.b": 1}
    remember(None, "export_samples", {"a": 1})
