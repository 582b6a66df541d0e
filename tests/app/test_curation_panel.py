"""The Curation panel as a person meets it: empty at first, then full of numbers that lead to images."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from diffucurate.generator.tiny.shapes import CLASSES

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.app, pytest.mark.slow]

RECIPE = {
    "dataset": "streets", "classes": {"car": ["car"]}, "templates": ["a {colour} car at {time}"],
    "attributes": {"colour": ["red", "blue", "green"], "time": ["noon", "night"]},
}  # fmt: skip


def label_again(dataset: fo.Dataset) -> None:
    """A second source that lacks the last instance of each sample, and attributes of a recipe."""
    import fiftyone as fo

    from diffucurate.plugin.store import runs
    from diffucurate.plugin.store.classes import read_classes
    from diffucurate.plugin.store.schema import declare_job_fields, declare_label_fields

    dataset.reload()
    declare_label_fields(dataset, "yolov8", read_classes(dataset))
    declare_job_fields(dataset, ["colour", "time"], [])
    for index, sample in enumerate(dataset):
        kept = [detection.copy() for detection in sample.attention_instances.detections][:-1]
        sample["yolov8_instances"] = fo.Detections(detections=kept)
        colour, time = ("red", "blue")[index % 2], ("noon", "noon", "night")[index % 3]
        sample["attributes"] = fo.DynamicEmbeddedDocument(colour=colour, time=time)
        sample.save()
    with runs.recorded(dataset, "generate", {"recipe": RECIPE}):
        pass


def click_bar(page: Page, chart: Locator, index: int) -> None:
    """Plotly listens on a layer above its bars."""
    bar = chart.locator(".bars .point").nth(index)
    bar.scroll_into_view_if_needed()
    box = bar.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def click_point(page: Page, chart: Locator, x: float, y: float) -> None:
    """Click at a place of a chart's own axes."""
    from playwright.sync_api import TimeoutError as PlaywrightTimeout

    chart.scroll_into_view_if_needed()
    area = chart.locator(".nsewdrag").first.bounding_box()
    (left, right), (bottom, top) = chart.evaluate("(it) => [it.layout.xaxis.range, it.layout.yaxis.range]")
    across, down = (x - left) / (right - left), (top - y) / (top - bottom)
    page.mouse.move(area["x"] + across * area["width"], area["y"] + down * area["height"])
    page.wait_for_timeout(500)
    with suppress(PlaywrightTimeout):  # Plotly finds the point below the pointer, on a busy machine late
        chart.locator(".hoverlayer .hovertext").first.wait_for(timeout=10_000)
    page.mouse.click(area["x"] + across * area["width"], area["y"] + down * area["height"])


def draw_around_everything(page: Page, chart: Locator) -> None:
    chart.scroll_into_view_if_needed()
    area = chart.locator(".nsewdrag").first.bounding_box()
    left, top, width, height = (area[key] for key in ("x", "y", "width", "height"))
    corners = [(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99), (0.01, 0.02)]
    page.mouse.move(left + 0.01 * width, top + 0.01 * height)
    page.mouse.down()
    for x, y in corners:
        page.mouse.move(left + x * width, top + y * height, steps=5)
    page.mouse.up()


def test_from_nothing_to_every_number(page: Page, streets: fo.Dataset, screenshot: Callable[[str], Path]) -> None:
    from fiftyone import ViewField as F
    from playwright.sync_api import expect

    from diffucurate.plugin.comparison.compare import compare
    from diffucurate.plugin.statistics import drilldown
    from diffucurate.plugin.statistics.agreement import agreement_scores, scatter

    page.set_viewport_size({"width": 1800, "height": 1100})
    counts, panel = page.locator('[data-cy="entry-counts"]'), page.locator('[data-cy="panel-content-curation"]')

    def expect_images(number: int) -> None:
        expect(counts).to_contain_text(re.compile(rf"\b{number} sample"))

    def back() -> None:
        panel.get_by_role("button", name="Back to the view before").click()
        expect_images(len(streets))

    def tab(name: str) -> None:
        panel.get_by_role("tab", name=name, exact=True).click()

    page.locator('[data-cy="new-panel-btn"]').click()
    page.locator('[data-cy="new-panel-option-curation"]').click()
    expect(panel.get_by_text("No labels yet")).to_be_visible()
    screenshot("panel-empty")

    panel.get_by_role("button", name="Label images").click()
    form = page.locator('[data-cy="operators-prompt-modal"]')
    form.get_by_role("button", name="Label", exact=True).click()
    expect(page.get_by_text(re.compile(f"{len(streets)} images labelled by attention"))).to_be_visible()
    page.get_by_role("button", name="Done").click()
    expect(panel.get_by_text("Objects per class")).to_be_visible()  # drawn anew without being asked
    tab("Agreement")
    expect(panel.get_by_text("Only one label source")).to_be_visible()

    label_again(streets)
    compare(streets, "attention", "yolov8")
    tab("Overview")
    expect(panel.get_by_role("columnheader", name="yolov8")).to_be_visible()
    expect(panel.locator(".bars .point").first).to_be_attached()
    screenshot("panel-overview")

    tab("Agreement")
    behind = {name: len(drilldown.with_match(streets, "attention", "yolov8", name, "only_a")) for name in CLASSES}
    label = max((name for name in CLASSES if behind[name] < len(streets)), key=behind.__getitem__)
    assert behind[label] > 0
    cell = panel.locator("table tbody tr", has_text=label).locator("td").nth(2)
    expect(panel.get_by_role("columnheader", name="Only attention")).to_be_visible()  # not the tab's before any more
    expect(cell).to_be_visible()
    page.wait_for_timeout(1500)  # charts settle
    screenshot("panel-agreement")
    cell.click()
    expect_images(behind[label])
    expect(panel.get_by_text(f"{label} found only by attention")).to_be_visible()
    expect(panel.get_by_text(re.compile(rf"Mean agreement .* on {behind[label]} images"))).to_be_visible()
    page.wait_for_timeout(1500)  # tiles draw one after the other
    screenshot("panel-row")
    back()

    histogram = agreement_scores(streets, "attention", "yolov8").histogram.counts
    bar = max(range(len(histogram)), key=histogram.__getitem__)
    assert 0 < histogram[bar] < len(streets)
    click_bar(page, panel.locator(".js-plotly-plot").first, bar)
    expect_images(histogram[bar])
    back()

    dots = scatter(streets, "attention", "yolov8", "attention")
    click_point(page, panel.locator(".js-plotly-plot").nth(1), dots.confidences[0], dots.agreements[0])
    expect(page.locator('[data-cy="modal"]')).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator('[data-cy="modal"]')).to_have_count(0)

    with_attention = scatter(streets, "attention", "yolov8", "attention").total
    draw_around_everything(page, panel.locator(".js-plotly-plot").nth(1))
    expect(panel.get_by_text("the dots that you drew around")).to_be_visible()
    expect_images(with_attention)
    back()

    tab("Disagreements")
    expect(panel.get_by_alt_text("attention on the left, yolov8 on the right").first).to_be_visible()
    screenshot("panel-disagreements")
    panel.get_by_role("button", name="Open").first.click()
    expect(page.locator('[data-cy="modal"]')).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator('[data-cy="modal"]')).to_have_count(0)

    tab("Coverage")
    expect(panel.get_by_text("2 combinations have no image")).to_be_visible()
    page.wait_for_timeout(1500)
    screenshot("panel-coverage")
    click_point(page, panel.locator(".js-plotly-plot").nth(2), 0, 0)
    expect_images(len(streets.match((F("attributes.time") == "noon") & (F("attributes.colour") == "red"))))
    expect(panel.get_by_text("The grid shows")).to_be_visible()
    back()
    panel.get_by_role("button", name="Generate what is missing").click()
    recipe: Any = form.get_by_role("textbox").filter(has_text="{colour=green}")
    expect(recipe.first).to_be_visible()
    screenshot("panel-generate-missing")


def test_compare_shows_its_result_in_the_open_panel(
    open_app: Callable[[fo.Dataset | None], Page],
    open_form: Callable[[Page, str], Locator],
    streets: fo.Dataset,
    screenshot: Callable[[str], Path],
) -> None:
    from playwright.sync_api import expect

    from diffucurate.plugin.labelling.label import label

    label(streets, source="attention")
    label_again(streets)
    page = open_app(streets)
    page.set_viewport_size({"width": 1800, "height": 1100})
    panel = page.locator('[data-cy="panel-content-curation"]')
    page.locator('[data-cy="new-panel-btn"]').click()
    page.locator('[data-cy="new-panel-option-curation"]').click()
    expect(panel.get_by_text("Objects per class")).to_be_visible()
    form = open_form(page, "Compare sources")
    form.get_by_role("button", name="Compare", exact=True).click()
    expect(panel.get_by_text("Mean agreement of attention and yolov8")).to_be_visible()
    page.get_by_role("button", name="Done").click()
    expect(panel.get_by_role("tab", name="Agreement", exact=True)).to_have_attribute("aria-selected", "true")
    screenshot("panel-compared")


def test_classes_thresholds_duplicates_and_history(
    open_app: Callable[[fo.Dataset | None], Page], streets: fo.Dataset, screenshot: Callable[[str], Path]
) -> None:
    from playwright.sync_api import expect

    from diffucurate.plugin.comparison.compare import compare
    from diffucurate.plugin.curation.curate import curate
    from diffucurate.plugin.labelling.label import label
    from diffucurate.plugin.statistics.confusion import confusion_matrix
    from diffucurate.plugin.statistics.thresholds import with_thresholds

    label(streets, source="attention")
    label_again(streets)
    compare(streets, "attention", "yolov8")
    curate(streets, source="attention", min_confidence=0.5)
    streets.reload()
    page = open_app(streets)
    page.set_viewport_size({"width": 1800, "height": 1100})
    counts, panel = page.locator('[data-cy="entry-counts"]'), page.locator('[data-cy="panel-content-curation"]')
    page.locator('[data-cy="new-panel-btn"]').click()
    page.locator('[data-cy="new-panel-option-curation"]').click()

    def tab(name: str) -> None:
        panel.get_by_role("tab", name=name, exact=True).click()

    def back() -> None:
        panel.get_by_role("button", name="Back to the view before").click()
        expect(counts).to_contain_text(re.compile(rf"\b{len(streets)} samples"))

    tab("Classes")
    matrix = confusion_matrix(streets, "attention", "yolov8")
    name = next(name for name, row in zip(matrix.names, matrix.counts, strict=True) if row[-1])
    expect(panel.get_by_text("What attention calls what yolov8 has")).to_be_visible()
    page.wait_for_timeout(1500)
    screenshot("panel-classes")
    row, column = matrix.names.index(name), len(matrix.names) - 1
    click_point(page, panel.locator(".js-plotly-plot").first, column, row)
    expect(panel.get_by_text(f"{name} by attention, nothing by yolov8")).to_be_visible()
    screenshot("panel-classes-cell")
    back()

    panel.get_by_role("button", name="All classes").click()
    patches = streets.count("attention_instances.detections")
    expect(counts).to_contain_text(re.compile(rf"\b{min(patches, 60)} patch"))
    page.wait_for_timeout(2000)
    screenshot("panel-worst")
    back()

    tab("Thresholds")
    panel.get_by_role("button", name="0.9", exact=True).click()
    expect(panel.get_by_text("drop out, in")).to_be_visible()
    page.wait_for_timeout(1500)
    screenshot("panel-thresholds")
    panel.get_by_role("button", name="Show what is kept").click()
    first = streets.count_values("attention_instances.detections.label")
    most = max(sorted(first), key=first.__getitem__)
    kept = with_thresholds(streets, "attention", {most: 0.9})
    expect(counts).to_contain_text(re.compile(rf"\b{len(kept)} sample"))
    back()

    tab("Duplicates")
    panel.get_by_role("button", name="Look for near-duplicates").click()
    expect(panel.get_by_text("No two images look almost the same").or_(panel.get_by_text("would go"))).to_be_visible()
    tab("History")
    expect(panel.get_by_role("button", name="Undo curation 'curated'")).to_be_visible()
    screenshot("panel-history")
    tab("Classes")
    panel.get_by_role("button", name="Open in Model Evaluation").click()
    evaluation = page.locator('[data-cy="panel-content-model_evaluation_panel_builtin"]')
    expect(evaluation.get_by_text("compare_attention_yolov8").first).to_be_visible()
    page.wait_for_timeout(3000)
    screenshot("panel-model-evaluation")
