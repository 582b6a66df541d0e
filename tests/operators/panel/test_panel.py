"""The panel without a browser: what it draws when, where clicks lead, and that it draws nothing for nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    import fiftyone as fo

URI = "@diffucurate/diffucurate/curation"


class Answer(NamedTuple):
    """What the App is told: what to draw (None: nothing new), what is chosen then, and all else it shall do."""

    drawn: dict[str, Any] | None
    state: dict[str, Any]
    told: dict[str, dict[str, Any]]

    def text(self, name: str) -> str:
        return self.drawn[name]["default"]


@pytest.fixture
def event(app):
    """``event(dataset, "on_load", tab="agreement")``: one event of the panel, as the App sends it."""
    from fiftyone.operators.executor import execute_or_delegate_operator

    from diffucurate.operators.panel import choices

    choices._panels.clear()

    def send(
        dataset: fo.Dataset | None,
        method: str = "on_load",
        *,
        view: Any = None,
        params: dict[str, Any] | None = None,
        **state: Any,
    ) -> Answer:
        choices._panels.pop("p", None)
        request = {
            "dataset_name": None if dataset is None else dataset.name,
            "filters": {},
            "view": [] if view is None else view._serialize(),
            "params": {"__method__": method, "panel_id": "p", "panel_state": state, **(params or {})},
        }
        result = asyncio.run(execute_or_delegate_operator(URI, request))
        assert result.error is None, result.error
        drawn, told = None, {}
        for one in result.to_json()["executor"]["requests"]:
            if one["operator_uri"] == "show_panel_output":
                drawn = one["params"]["output"]["type"]["properties"]
            else:
                assert "panel_state" not in one["operator_uri"]  # such a write would drop the sidebar's filters
                told[one["operator_uri"]] = one["params"]
        state = dict(choices._panels[request["params"]["panel_id"]])
        json.dumps(state)
        return Answer(drawn, state, told)

    return send


#: Columns that the bars of the two sources take, per sample; every bar is a car but the last one of a sample.
BARS = [((0, 8), (16, 24)), ((4, 12),), ((0, 6), (8, 14), (16, 30)), ((20, 28),)]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fo.Dataset]:
    """Two sources, the second of which lacks the last bar of each sample, their comparison, and a recipe's run.

    Shared by all tests: those that change it take ``changed``.
    """
    import fiftyone as fo
    import numpy as np

    from diffucurate.plugin.comparison.compare import compare
    from diffucurate.plugin.store import runs
    from diffucurate.plugin.store.classes import extend_classes
    from diffucurate.plugin.store.media_files import write_png
    from diffucurate.plugin.store.schema import declare_job_fields, declare_label_fields

    dataset = fo.Dataset()
    for source in ("attention", "shifted"):
        declare_label_fields(dataset, source, extend_classes(dataset, {"car": ["car"], "bus": ["bus"]}))
    declare_job_fields(dataset, ["colour", "time"], [])
    image = write_png(tmp_path_factory.mktemp("panel") / "image.png", np.zeros((32, 32, 3), np.uint8))

    def found(bars: tuple[tuple[int, int], ...], *, last: bool) -> fo.Detections:
        labels = ["car"] * (len(bars) - 1) + ["bus"]
        return fo.Detections(
            detections=[
                fo.Detection(
                    label=label,
                    bounding_box=[left / 32, 0, (right - left) / 32, 1],
                    confidence=right / 32,
                    mask=np.ones((32, right - left), np.bool_),
                    area=(right - left) / 32,
                )
                for label, (left, right) in list(zip(labels, bars, strict=True))[: len(bars) - (not last)]
            ]
        )

    dataset.add_samples(
        fo.Sample(str(image), attention_instances=found(bars, last=True), shifted_instances=found(bars, last=False))
        for bars in BARS
    )
    compare(dataset, "attention", "shifted")
    sample = dataset.first()
    sample["attributes"] = fo.DynamicEmbeddedDocument(colour="red", time="noon")
    sample.save()
    recipe = {
        "dataset": "d",
        "classes": {"car": ["car"]},
        "templates": ["a {colour} car at {time}"],
        "attributes": {"colour": ["red", "blue"], "time": ["noon", "night"]},
    }
    with runs.recorded(dataset, "generate", {"recipe": recipe}):
        pass
    yield dataset
    dataset.delete()


@pytest.fixture
def changed(compared: fo.Dataset) -> Iterator[fo.Dataset]:
    """A copy that a test may change."""
    copy = compared.clone()
    yield copy
    copy.delete()


def _shown(answer: Answer, dataset: fo.Dataset) -> list[str]:
    """The ids of the samples that the App is told to show."""
    import fiftyone as fo

    return fo.DatasetView._build(dataset, answer.told["set_view"]["view"]).values("id")


def _objects(answer: Answer, dataset: fo.Dataset, field: str) -> list[str]:
    """The labels of the objects that the App then shows in a field."""
    import fiftyone as fo

    return fo.DatasetView._build(dataset, answer.told["set_view"]["view"]).values(
        f"{field}.detections.label", unwind=True
    )


def _cells(answer: Answer, name: str) -> list[list[str]]:
    columns = [column["key"] for column in answer.drawn[name]["view"]["columns"]]
    return [[row[key] for key in columns] for row in answer.drawn[name]["default"]]


def test_the_panel_has_all_that_its_tabs_may_call() -> None:
    import inspect

    from diffucurate.operators.panel.actions import PanelActions
    from diffucurate.operators.panel.panel import CurationPanel

    names = [name for name in vars(PanelActions) if not name.startswith("_")]
    assert "ask" in names
    for name in names:
        promised, own = getattr(PanelActions, name), getattr(CurationPanel, name)
        assert inspect.signature(own) == inspect.signature(promised), name


@pytest.mark.parametrize(
    ("state", "tab", "heading", "operator", "form"),
    [
        ("none", "overview", "No dataset is open", "generate_images", None),
        ("empty", "overview", "holds no images", "generate_images", None),
        ("unlabelled", "overview", "No labels yet", "label_images", {}),
        ("unlabelled", "agreement", "No labels yet", "label_images", {}),
        ("unlabelled", "coverage", "No attributes", "generate_images", {}),
        ("one source", "agreement", "Only one label source", "label_and_compare", {}),
        ("one source", "disagreements", "Only one label source", "label_and_compare", {}),
        ("two sources", "agreement", "Not compared yet", "compare_sources", {"a": "attention", "b": "shifted"}),
    ],
)
def test_empty_states_say_what_to_do_and_do_it(
    event, dataset: fo.Dataset, state: str, tab: str, heading: str, operator: str, form: Any
) -> None:
    import fiftyone as fo

    sources = {"one source": ["attention"], "two sources": ["attention", "shifted"]}.get(state, [])
    if state not in ("none", "empty"):
        dataset.add_sample(fo.Sample("image.png", **{f"{source}_instances": fo.Detections() for source in sources}))
    if state == "none":
        dataset = None
    answer = event(dataset, tab=tab)
    assert heading in answer.text("advice")
    button = answer.drawn["do_it"]["view"]
    assert button["operator"] == f"{URI}#ask"
    prompt = event(dataset, "ask", params=button["params"], **answer.state).told["prompt_user_for_operation"]
    assert prompt["operator_uri"] == f"@diffucurate/diffucurate/{operator}"
    assert prompt["params"] == (form or {})


def test_overview_counts_and_leads_to_the_objects(event, compared: fo.Dataset) -> None:
    answer = event(compared)
    total = compared.count("attention_instances.detections")
    assert f"attention: **{total} objects**" in answer.text("totals")
    cells = _cells(answer, "classes")
    assert cells[-1] == ["All classes", str(total), str(compared.count("shifted_instances.detections"))]
    label = cells[0][0]
    picked = event(compared, "pick_class", params={"row": 0, "column": 2}, **answer.state)
    wanted = [s.id for s in compared if label in [one.label for one in s.shifted_instances.detections]]
    assert _shown(picked, compared) == wanted
    assert _objects(picked, compared, "shifted_instances") == [label] * int(cells[0][2])
    assert f"{label} found by shifted" in picked.text("now_shown")
    assert event(compared, "pick_class", params={"row": -1, "column": 0}, **answer.state).told == {}  # the headings


def test_overview_leads_from_step_to_step(event, changed: fo.Dataset) -> None:
    from diffucurate.plugin.curation.curate import curate
    from diffucurate.plugin.store import runs

    answer = event(changed)
    assert answer.text("steps") == "✓ Images · ✓ Labels · ✓ Comparison · Curation · Export"
    assert answer.drawn["next_step"]["view"]["params"]["operator"] == "curate_samples"
    curate(changed, source="attention", min_confidence=0.1)
    changed.reload()
    assert event(changed).drawn["next_step"]["view"]["params"]["operator"] == "export_samples"
    with runs.recorded(changed, "export", {}):
        pass
    changed.reload()
    assert "next_step" not in event(changed).drawn


def test_overview_asks_for_a_second_opinion(event, dataset: fo.Dataset) -> None:
    import fiftyone as fo

    dataset.add_sample(fo.Sample("image.png", attention_instances=fo.Detections()))
    answer = event(dataset)
    assert answer.drawn["next_step"]["view"]["params"]["operator"] == "label_and_compare"
    assert answer.drawn["next_step"]["view"]["label"] == "Label with YOLOv8 and compare"


def test_bars_lead_to_what_they_count(event, compared: fo.Dataset) -> None:
    answer = event(compared, tab="agreement")
    counts = answer.drawn["scores"]["view"]["data"][0]["y"]
    bar = next(index for index, count in enumerate(counts) if count)
    picked = event(compared, "pick_agreement", params={"idx": bar}, **answer.state)
    assert len(_shown(picked, compared)) == counts[bar]
    confidences = event(compared).drawn["confidence"]["view"]["data"]
    assert [trace["name"] for trace in confidences] == ["attention", "shifted"]
    bar = next(index for index, count in enumerate(confidences[1]["y"]) if count)
    picked = event(compared, "pick_confidence", params={"trace_idx": 1, "idx": bar}, **answer.state)
    assert len(_objects(picked, compared, "shifted_instances")) == confidences[1]["y"][bar] > 0


def test_matches_lead_to_the_objects(event, compared: fo.Dataset) -> None:
    answer = event(compared, tab="agreement")
    rows = _cells(answer, "matches")
    assert rows[-1][0] == "All classes" and rows[-1][3] == "0"  # 'shifted' found nothing of its own
    assert rows[-1][2] == str(len(BARS))
    row = next(index for index, cells in enumerate(rows) if cells[2] != "0")
    picked = event(compared, "pick_match", params={"row": row, "column": 2}, **answer.state)
    assert rows[row][0] == "bus"  # the last of every sample
    assert _shown(picked, compared) == compared.values("id")
    assert _objects(picked, compared, "attention_instances") == ["bus"] * len(BARS)
    assert _objects(picked, compared, "shifted_instances") == []
    assert _shown(event(compared, "pick_match", params={"row": row, "column": 3}, **answer.state), compared) == []
    both = event(compared, "pick_match", params={"row": len(rows) - 1, "column": 1}, **answer.state)
    for field in ("attention_instances", "shifted_instances"):
        assert len(_objects(both, compared, field)) == int(rows[-1][1])


def test_dots_lead_to_the_images_and_an_empty_selection_nowhere(event, compared: fo.Dataset) -> None:
    answer = event(compared, tab="agreement")
    ids = answer.drawn["points"]["view"]["data"][0]["ids"]
    dots = [{"id": ids[0], "x": 0.5, "y": 0.5}, {"id": ids[2]}]
    assert _shown(event(compared, "pick_points", params={"data": dots}, **answer.state), compared) == [ids[0], ids[2]]
    assert event(compared, "pick_points", params={"data": []}, **answer.state).told == {}
    assert answer.drawn["points"]["view"]["on_click"].endswith("#pick_point")
    assert event(compared, "pick_point", params={"id": ids[1]}, **answer.state).told["open_sample"]["id"] == ids[1]


def test_back_returns_to_the_view_before_the_first_click(event, compared: fo.Dataset) -> None:
    import fiftyone as fo

    before = compared.limit(3)
    answer = event(compared, view=before)
    first = event(compared, "pick_class", view=before, params={"row": 0, "column": 0}, **answer.state)
    assert "back" in first.drawn
    view = fo.DatasetView._build(compared, first.told["set_view"]["view"])
    second = event(compared, "pick_class", view=view, params={"row": 0, "column": 1}, **first.state)
    back = event(compared, "back", view=view, **second.state)
    assert _shown(back, compared) == before.values("id")
    assert "back" not in back.drawn
    answer = event(compared)
    first = event(compared, "pick_class", params={"row": 0, "column": 0}, **answer.state)
    assert "clear_view" in event(compared, "back", view=view, **first.state).told


def test_everything_follows_the_view(event, compared: fo.Dataset) -> None:
    view = compared.limit(1)
    answer = event(compared, "on_change_view", view=view)
    assert f"**{view.count('attention_instances.detections')} objects**" in answer.text("totals")
    assert "**1 image**" in answer.text("totals") and "shifted: **1 object**" in answer.text("totals")
    empty = event(compared, "on_change_view", view=compared.limit(0), **answer.state)
    assert "No image in this view" in empty.text("advice")
    assert "totals" in event(compared, "on_change_view", view=view, **empty.state).drawn  # and back again
    told = event(compared, "show_all", view=compared.limit(0), **empty.state).told
    assert {"clear_view", "clear_sidebar_filters"} <= set(told)
    patches = compared.to_patches("attention_instances")
    assert "Whole images only" in event(compared, "on_change_view", view=patches).text("advice")


def test_objects_behind_a_number_can_be_shown_one_by_one(event, compared: fo.Dataset) -> None:
    import fiftyone as fo

    answer = event(compared)
    picked = event(compared, "pick_class", params={"row": 0, "column": 1}, **answer.state)
    view = fo.DatasetView._build(compared, picked.told["set_view"]["view"])
    params = picked.drawn["each"]["view"]["params"]
    each = event(compared, "show_each", view=view, params=params, **picked.state)
    patches = fo.DatasetView._build(compared, each.told["set_view"]["view"])
    assert len(patches) == view.count("attention_instances.detections") > len(view)
    drawn = event(compared, "on_change_view", view=patches, **each.state)
    assert "Whole images only" in drawn.text("advice") and "back" in drawn.drawn
    assert "clear_view" in event(compared, "back", view=patches, **drawn.state).told


def test_nothing_is_drawn_anew_until_something_changes(event, changed: fo.Dataset) -> None:
    answer = event(changed)
    for method in ("on_change_view", "on_change_dataset"):
        assert event(changed, method, **answer.state).drawn is None
    params = {"name": "tab", "value": "coverage"}
    assert event(changed, "choose", params=params, **answer.state).drawn is not None
    sample = changed.first()
    sample["shifted_instances"] = None
    sample.save()
    again = event(changed, "on_change_view", **answer.state)
    assert again.drawn is not None
    assert _cells(again, "classes") != _cells(answer, "classes")


def test_instances_newer_than_the_comparison_are_said(event, changed: fo.Dataset) -> None:
    sample = changed.first()
    kept = [one.copy() for one in sample.attention_instances.detections]
    for one in kept:
        del one["compare_attention_shifted"]
    sample["attention_instances"].detections = kept
    sample.save()
    answer = event(changed, tab="agreement")
    assert f"{len(kept)} objects came after the comparison" in answer.text("behind")
    assert answer.drawn["again"]["view"]["params"]["form"] == {"a": "attention", "b": "shifted"}


def test_thresholds_are_counted_and_handed_to_curate(event, changed: fo.Dataset) -> None:
    from diffucurate.plugin.curation.curate import curate

    answer = event(changed, tab="agreement", min_confidence=0.3, min_agreement=0.4)
    form = answer.drawn["curate"]["view"]["params"]["form"]
    assert form == {"source": "attention", "against": "shifted", "min_confidence": 0.3, "min_agreement": 0.4}
    kept = len(curate(changed, **form))
    assert f"{kept} of {len(changed)} images kept" in answer.text("kept")


def test_disagreements_side_by_side_in_pages(event, compared: fo.Dataset, monkeypatch) -> None:
    from diffucurate.operators.panel.tabs import disagreements

    monkeypatch.setattr(disagreements, "PAGE", 3)
    answer = event(compared, tab="disagreements")
    cards = [answer.drawn[f"image_{index}"]["type"]["properties"] for index in range(3)]
    assert all(card["image"]["default"].startswith("data:image/png;base64,") for card in cards)
    assert "Only attention" in cards[0]["words"]["default"]
    opened = event(compared, "open_sample", params=cards[0]["open"]["view"]["params"], **answer.state)
    worst = min(compared, key=lambda sample: (sample.agreement_attention_shifted, sample.id))
    assert opened.told["open_sample"]["id"] == worst.id
    assert answer.drawn["previous"]["view"]["disabled"] and not answer.drawn["next"]["view"]["disabled"]
    second = event(compared, "turn", params={"by": 1}, **answer.state)
    assert "image_0" in second.drawn and "image_1" not in second.drawn
    assert not second.drawn["previous"]["view"]["disabled"] and second.drawn["next"]["view"]["disabled"]
    ordered = _shown(event(compared, "pick_order", **second.state), compared)
    assert ordered[0] == worst.id or compared[ordered[0]].agreement_attention_shifted == pytest.approx(
        worst.agreement_attention_shifted
    )


def test_missing_combinations_go_to_the_form_as_a_recipe(event, compared: fo.Dataset) -> None:
    from diffucurate.generator.jobs.jobs import jobs
    from diffucurate.generator.recipe.recipe import Recipe

    answer = event(compared, tab="coverage")
    assert "3 combinations have no image" in answer.text("missing")
    assert answer.drawn["values_colour"]["view"]["data"][0]["y"] == ["red"]
    told = event(compared, "generate_missing", **answer.state).told["prompt_user_for_operation"]
    assert told["operator_uri"] == "@diffucurate/diffucurate/generate_images"
    assert told["params"]["recipe_from"] == "pasted"
    made = {tuple(job.attributes.values()) for job in jobs(Recipe.parse(told["params"]["recipe"]))}
    assert made == {("red", "night"), ("blue", "noon"), ("blue", "night")}
    cell = event(compared, "pick_cell", params={"x": "red", "y": "noon"}, **answer.state)
    assert _shown(cell, compared) == [compared.first().id]
    value = event(compared, "pick_value", params={"path": "values_colour", "idx": 0}, **answer.state)
    assert _shown(value, compared) == [compared.first().id]


def test_charts_of_coverage_have_one_scale_and_speak_of_the_view(event, compared: fo.Dataset) -> None:
    answer = event(compared, tab="coverage")
    ranges = {tuple(answer.drawn[f"values_{name}"]["view"]["layout"]["xaxis"]["range"]) for name in ("colour", "time")}
    assert ranges == {(0, 1.05)}
    assert "hidden" not in answer.drawn
    narrow = event(compared, tab="coverage", view=compared.skip(1))
    assert "1 combination has no image in this view, but in the whole dataset: noon, red." in narrow.text("hidden")
    assert "3 combinations have no image in the whole dataset" in narrow.text("missing")


def test_more_of_what_is_found_badly_goes_to_the_form_as_a_recipe(event, compared: fo.Dataset) -> None:
    from diffucurate.generator.jobs.jobs import jobs
    from diffucurate.generator.recipe.recipe import Recipe

    answer = event(compared, tab="coverage")
    assert "attention finds what shifted has least well" in answer.text("weak")
    told = event(compared, "generate_more", **answer.state).told["prompt_user_for_operation"]
    assert told["operator_uri"] == "@diffucurate/diffucurate/generate_images"
    made = jobs(Recipe.parse(told["params"]["recipe"]))
    assert {job.attributes["colour"] for job in made} == {"red", "blue"}


def test_classes_of_two_sources(event, compared: fo.Dataset) -> None:
    answer = event(compared, tab="classes")
    matrix = answer.drawn["confusion"]["view"]["data"][0]
    assert matrix["x"] == matrix["y"] == ["car", "bus", "(nothing)"]
    total = compared.count("attention_instances.detections")
    assert matrix["customdata"] == [[total - 4, 0, 0], [0, 0, 4], [0, 0, 0]]  # the last of every sample is a bus
    picked = event(compared, "pick_confusion", params={"x": "(nothing)", "y": "bus"}, **answer.state)
    assert _objects(picked, compared, "attention_instances") == ["bus"] * 4
    assert _objects(picked, compared, "shifted_instances") == []
    assert "bus by attention, nothing by shifted" in picked.text("now_shown")
    by_class = answer.drawn["agreement_class"]["view"]["data"][0]
    assert (by_class["y"], by_class["x"]) == (["bus", "car"], [0, 1])
    bar = {"path": "agreement_class", "y": "car", "x": 1}
    picked = event(compared, "pick_share", params=bar, **answer.state)
    assert set(_objects(picked, compared, "shifted_instances")) == {"car"}
    by_colour = answer.drawn["agreement_of_colour"]["view"]["data"][0]
    first = compared.first()
    assert by_colour["y"] == ["red"] and by_colour["x"] == [pytest.approx(first.agreement_attention_shifted, abs=1e-4)]
    picked = event(compared, "pick_share", params={"path": "agreement_of_colour", "y": "red"}, **answer.state)
    assert _shown(picked, compared) == [first.id]
    opened = event(compared, "open_evaluation", **answer.state).told["open_panel"]
    assert opened["name"] == "model_evaluation_panel_builtin"
    assert opened["state"]["state"]["view"]["key"] == "compare_attention_shifted"


def test_the_worst_of_a_class_each_by_itself(event, compared: fo.Dataset) -> None:
    import fiftyone as fo

    answer = event(compared, tab="classes")
    params = answer.drawn["worst_all"]["view"]["params"]
    worst = event(compared, "pick_worst", params=params, **answer.state)
    patches = fo.DatasetView._build(compared, worst.told["set_view"]["view"])
    labels = patches.values("attention_instances.label")
    assert labels[:4] == ["bus"] * 4 and set(labels[4:]) == {"car"}  # those without a match first
    cars = _button(answer, "car")["params"]
    only = event(compared, "pick_worst", params=cars, **answer.state)
    shown = fo.DatasetView._build(compared, only.told["set_view"]["view"])
    assert shown.distinct("attention_instances.label") == ["car"] and len(shown) == len(patches) - 4


def _button(answer: Answer, words: str) -> dict[str, Any]:
    """The button whose label has these words."""
    return next(one["view"] for one in answer.drawn.values() if words in (one["view"].get("label") or ""))


def test_groups_of_near_duplicates_before_they_go(event, compared: fo.Dataset) -> None:
    answer = event(compared, tab="duplicates")
    assert "groups" not in answer.drawn and "4 images" in answer.drawn["look"]["view"]["label"]
    found = event(compared, "find_duplicates", **answer.state)
    assert _cells(found, "groups") == [["1", "4", "3"]]  # one file
    group = event(compared, "pick_group", params={"row": 0, "column": 0}, **found.state)
    assert sorted(_shown(group, compared)) == sorted(compared.values("id")) and "groups" in group.drawn
    assert event(compared, "pick_group", params={"row": -1}, **found.state).told == {}
    assert found.drawn["curate"]["view"]["params"]["form"] == {"near_duplicates": True, "source": "attention"}


def test_history_says_who_did_what_and_undoes(event, changed: fo.Dataset) -> None:
    import getpass

    from diffucurate.plugin.curation.curate import curate
    from diffucurate.plugin.review.review import review

    curate(changed, source="attention", min_confidence=0.3, save_as="good")
    review(changed, "attention", "shifted").decide("a")
    changed.reload()
    answer = event(changed, tab="history")
    rows = _cells(answer, "runs")
    place = {row[1]: index for index, row in enumerate(rows)}
    assert rows[place["curate"]][2] == getpass.getuser() and "min_confidence: 0.3" in rows[place["curate"]][4]
    assert "a: attention" in rows[place["review"]][4]
    opened = event(changed, "pick_run", params={"row": place["curate"]}, **answer.state)
    assert _shown(opened, changed) == changed.load_saved_view("good").values("id")
    undo = _button(answer, "Undo curation 'good'")["params"]
    told = event(changed, "ask", params=undo, **answer.state).told["prompt_user_for_operation"]
    assert told["params"] == {"curation": "good"}
    back = _button(answer, "Take back 1 decision on attention and shifted")["params"]
    asked = event(changed, "undo_review", params=back, **answer.state)
    assert asked.told == {} and _button(asked, "Really?")
    event(changed, "undo_review", params=back, **asked.state)
    changed.reload()
    assert "accepted" not in changed.count_label_tags("attention_instances")


def test_thresholds_of_each_class_before_anything_is_stored(event, compared: fo.Dataset) -> None:
    answer = event(compared, tab="thresholds")
    assert answer.drawn["of_class"]["view"]["label"] == "Confidence of bus by attention"  # 4 of 7 objects
    assert "7 of 7 objects kept, in 4 of 4 images" in answer.text("kept") and "changed" not in answer.drawn
    moved = event(compared, "move_threshold", params={"value": 0.8}, **answer.state)
    buses = [24 / 32, 12 / 32, 30 / 32, 28 / 32]  # of BARS, the last of each
    assert "2 objects** of bus from 0.00 to 0.80 drop out, in 2 images" in moved.text("changed")
    assert [name for name in moved.drawn if name.startswith("strip_")] == ["strip_0", "strip_1"]
    assert "5 of 7 objects kept, in 3 of 4 images" in moved.text("kept")  # the second image has its bus alone
    changed = event(compared, "pick_changed", **moved.state)
    assert _objects(changed, compared, "attention_instances") == ["bus"] * sum(each < 0.8 for each in buses)
    kept = event(compared, "pick_kept", **moved.state)
    assert sorted(_objects(kept, compared, "attention_instances")) == ["bus"] * 2 + ["car"] * 3
    back = event(compared, "move_to_bar", params={"idx": 10}, **moved.state)
    assert "1 object** of bus from 0.50 to 0.80 come back, in 1 image" in back.text("changed")
    cars = event(compared, "choose", params={"name": "limited", "value": "car"}, **back.state)
    assert "changed" not in cars.drawn and _button(cars, "bus 0.50")
    assert "7 of 7" in event(compared, "reset_thresholds", **cars.state).text("kept")


def test_choices_that_are_gone_give_way(event, compared: fo.Dataset) -> None:
    gone = {"pair": "a and b", "source": "c", "x": "weather", "y": "colour", "page": -3}
    assert _chosen(event(compared, tab="gone", **gone)) == {"overview"}
    assert _chosen(event(compared, tab="agreement", **gone)) == {"agreement", "attention", "0.5"}
    assert _chosen(event(compared, tab="coverage", **gone)) == {"coverage", "colour", "time"}
    first = event(compared, tab="disagreements", **gone).text("shown")
    assert "1 to 4 of 4 images" in first and "attention and shifted" in first


def _chosen(answer: Answer) -> set[str]:
    """The tab, and the captions of all buttons that are shown as chosen."""
    buttons = {name: one["view"] for name, one in answer.drawn.items() if one["view"]["name"] == "Button"}
    selected = {n for n in buttons if buttons[n]["componentsProps"]["button"].get("aria-selected")}
    tabs = {name.removeprefix("tab_") for name in selected}
    choices = {name for name in buttons if name.rpartition("_")[2].isdigit()}
    return tabs | {buttons[name]["label"] for name in choices if buttons[name].get("variant") == "contained"}


def test_choices_are_buttons(event, compared: fo.Dataset) -> None:
    answer = event(compared, tab="agreement")
    higher = next(one["view"] for one in answer.drawn.values() if one["view"].get("label") == "0.7")
    assert higher["params"] == {"name": "min_confidence", "value": 0.7}
    again = event(compared, "choose", params=higher["params"], **answer.state)
    assert again.drawn["curate"]["view"]["params"]["form"]["min_confidence"] == 0.7
    assert not any(one.get("on_change") or one["view"].get("on_change") for one in again.drawn.values())


def test_what_was_chosen_outlives_events_but_not_the_panel(event, compared: fo.Dataset) -> None:
    from diffucurate.operators.panel import choices

    event(compared, params={"panel_id": "open"}, tab="coverage")
    assert event(compared, params={"panel_id": "open"}).state["tab"] == "coverage"  # the page was loaded again
    for index in range(choices.KEPT):
        choices.Choices(f"other {index}", {})
    assert "open" not in choices._panels and len(choices._panels) == choices.KEPT
