"""The Curation panel as a person meets it: empty at first, then full of numbers that lead to images."""

from __future__ import annotations

import re
from collections.abc import Callable
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


def label_again_and_compare(dataset: fo.Dataset) -> None:
    """A second source that lacks the last instance of each sample, its comparison, and attributes of a recipe."""
    import fiftyone as fo

    from diffucurate.plugin.comparison.compare import compare
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
    compare(dataset, "attention", "yolov8")


def click_bar(page: Page, chart: Locator, index: int) -> None:
    """Plotly listens on a layer above its bars."""
    bar = chart.locator(".bars .point").nth(index)
    bar.scroll_into_view_if_needed()
    box = bar.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


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
    from playwright.sync_api import expect

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

    label_again_and_compare(streets)
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
    panel.get_by_role("button", name="Generate what is missing").click()
    recipe: Any = form.get_by_role("textbox").filter(has_text="{colour=green}")
    expect(recipe.first).to_be_visible()
    screenshot("panel-generate-missing")
