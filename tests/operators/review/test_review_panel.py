"""The panel "Review" without a browser: what it offers, what a button writes, and that nothing writes panel state."""

from __future__ import annotations

import asyncio
import base64
import io
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    import fiftyone as fo

URI = "@diffucurate/diffucurate/review"


class Answer(NamedTuple):
    """What the App is told: what to draw, and all else it shall do."""

    drawn: dict[str, Any]
    told: dict[str, dict[str, Any]]

    def text(self, name: str) -> str:
        return self.drawn[name]["default"]

    @property
    def keys(self) -> dict[str, str]:
        """Key -> the name of the button that it presses."""
        parts = {name: (each["view"] or {}).get("componentsProps", {}) for name, each in self.drawn.items()}
        keys = {name: props.get("button", {}).get("data-review-key") for name, props in parts.items()}
        return {key: name for name, key in keys.items() if key}


class Panel:
    """The panel as the App keeps it: what it was drawn with last."""

    def __init__(self, dataset: fo.Dataset) -> None:
        from diffucurate.operators.panel import choices

        choices._panels.clear()
        self.dataset = dataset
        self.answer = self.send("on_load")

    def send(self, method: str, **params: Any) -> Answer:
        from fiftyone.operators.executor import execute_or_delegate_operator

        params |= {"__method__": method, "panel_id": "p", "panel_state": {}}
        request = {"dataset_name": self.dataset.name, "filters": {}, "view": [], "params": params}
        result = asyncio.run(execute_or_delegate_operator(URI, request))
        assert result.error is None, result.error
        drawn, told = {}, {}
        for each in result.to_json()["executor"]["requests"]:
            if each["operator_uri"] == "show_panel_output":
                drawn = each["params"]["output"]["type"]["properties"]
            else:
                assert "panel_state" not in each["operator_uri"]  # such a write would drop the sidebar's filters
                told[each["operator_uri"]] = each["params"]
        self.answer = Answer(drawn, told)
        return self.answer

    def choose(self, name: str, value: str) -> Answer:
        """Press the button that chooses ``value`` for ``name``."""
        asked = {"name": name, "value": value}
        (view,) = (view for view in self.views() if view.get("params") == asked)
        return self.send(view["operator"].partition("#")[2], **view["params"])

    def chosen(self) -> dict[str, str]:
        """Name -> value of the buttons that are drawn as chosen."""
        filled = [view["params"] for view in self.views() if view.get("variant") == "contained" and view.get("params")]
        return {params["name"]: params["value"] for params in filled}

    def offered(self, name: str) -> set[str]:
        """The values that can be chosen for ``name``."""
        asked = [view["params"] for view in self.views() if view.get("params")]
        return {params["value"] for params in asked if params.get("name") == name}

    def views(self) -> list[dict[str, Any]]:
        return [each["view"] for each in self.answer.drawn.values() if each["view"]]

    def press(self, key: str) -> Answer:
        """Press the key of a button, as it was drawn last."""
        view = self.answer.drawn[self.answer.keys[key]]["view"]
        return self.send(view["operator"].partition("#")[2], **(view["params"] or {}))


@pytest.fixture
def panel(app, twice_labelled: fo.Dataset) -> Panel:
    """On two compared sources: the second lacks the last object of each image."""
    from diffucurate.plugin.comparison.compare import compare

    compare(twice_labelled, "attention", "shifted")
    return Panel(twice_labelled)


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


def test_what_it_asks_first(panel: Panel) -> None:
    assert panel.chosen() == {"a": "attention", "b": "shifted", "by": "agreement", "of": "objects"}
    assert {"agreement", "iou", "confidence", "wrong class"} <= panel.offered("by")
    panel.choose("b", "(none)")
    assert panel.chosen()["by"] == "confidence" and "iou" not in panel.offered("by")


def test_keys_decide_one_after_the_other_and_take_back(panel: Panel) -> None:
    objects = sum(map(len, panel.dataset.values("attention_instances.detections")))
    first = panel.send("begin")
    assert first.text("progress") == f"**0 of {objects:,}** decided"
    assert {"1", "2", "3", "4", "5", "backspace", "s", "o"} == set(first.keys)
    assert first.drawn["decide_a"]["view"]["label"] == "1  attention"
    second = panel.press("1")
    assert second.text("progress") == f"**1 of {objects:,}** decided · attention 1"
    assert second.text("image") != first.text("image")
    panel.dataset.reload()
    assert panel.dataset.count_label_tags()["accepted"] in (1, 2)  # with an outline where there is one
    again = panel.press("backspace")
    assert (again.text("progress"), again.text("words")) == (first.text("progress"), first.text("words"))
    for _ in range(objects):
        last = panel.press("4")
    assert "All is decided" in last.text("end")
    assert panel.send("ask", operator="curate_samples", form={}).told
    panel.send("leave")
    assert "begin" in panel.answer.drawn


def test_decisions_do_not_load_the_dataset(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    from fiftyone.operators.executor import ExecutionContext

    panel.send("begin")
    monkeypatch.setattr(ExecutionContext, "dataset", property(lambda ctx: pytest.fail("FiftyOne reads it anew")))
    assert panel.press("1").text("progress").startswith("**1 of ")
    assert panel.press("backspace").text("progress").startswith("**0 of ")


def test_a_key_pressed_twice_is_one_decision(panel: Panel) -> None:
    first = panel.send("begin")
    panel.press("1")
    panel.answer = first  # the App has not drawn the next yet
    assert panel.press("1").text("progress").startswith("**1 of ")


def test_outlines_can_be_switched_and_lie_beside_the_heatmap(panel: Panel) -> None:
    panel.send("begin")
    views = [panel.answer, *(panel.press("s") for _ in range(3))]
    shown = [view.text("words").rpartition("shown: ")[2] for view in views]
    assert shown == ["attention and shifted", "attention", "shifted", "no outlines"]
    drawn = [pixels(view.text("image")) for view in views]
    assert (drawn[1] != drawn[3]).any()
    height, width = drawn[0].shape[:2]
    assert width > 1.9 * height  # a square scene, and the heatmap of its class
    assert (drawn[0][:, width // 2 + 4 :] == drawn[3][:, width // 2 + 4 :]).all()


def test_a_review_is_read_again_by_another_process(panel: Panel) -> None:
    from diffucurate.operators.review import session

    panel.send("begin")
    panel.press("5")
    session.open_reviews.clear()
    assert panel.press("5").text("progress").endswith("fix later 2")


def test_whole_images_of_one_source(panel: Panel) -> None:
    panel.choose("b", "(none)")
    panel.choose("of", "images")
    answer = panel.send("begin")
    assert [answer.drawn[name]["view"]["label"] for name in ("decide_a", "decide_neither")] == ["1  Right", "4  Wrong"]
    assert "decide_b" not in answer.drawn
    panel.press("4")
    panel.dataset.reload()
    assert panel.dataset.count_sample_tags() == {"rejected (attention)": 1}


def test_what_went_away_is_said(panel: Panel) -> None:
    panel.send("begin")
    sample = panel.dataset
    sample.set_values("attention_instances", [None] * len(sample))
    answer = panel.press("1")
    assert "made again" in answer.told["notify"]["message"]
    from diffucurate.operators.review import session

    session.open_reviews.clear()
    panel.dataset.delete_sample_field("attention_instances")
    panel.dataset.reload()
    assert "attention_instances" in panel.send("switch").text("advice")
    assert panel.send("leave").drawn
