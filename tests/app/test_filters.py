"""The sidebar's filters while a panel is open: they have sliders, stay, and cost the panel one call."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import Locator, Page, Request

pytestmark = [pytest.mark.app, pytest.mark.slow]

CONFIDENCE = "attention_instances.detections.confidence"


def test_a_filter_stays_with_the_panel_open(
    open_app: Callable[[fo.Dataset | None], Page], streets: fo.Dataset, screenshot: Callable[[str], Path]
) -> None:
    from fiftyone import ViewField as F
    from playwright.sync_api import expect

    from diffucurate.plugin.labelling.label import label

    label(streets, source="attention")
    sure = len(streets.filter_labels("attention_instances", F("confidence") >= 0.9))
    assert 0 < sure < len(streets)
    page = open_app(streets)
    counts, panel = page.locator('[data-cy="entry-counts"]'), page.locator('[data-cy="panel-content-curation"]')
    page.locator('[data-cy="new-panel-btn"]').click()
    page.locator('[data-cy="new-panel-option-curation"]').click()
    expect(panel.get_by_text("Objects per class")).to_be_visible()
    confidence = unfolded(page)
    expect(confidence.locator('input[type="range"]').first).to_be_attached()  # the slider

    page.wait_for_timeout(3000)  # what opening the panel asked for is answered
    calls: list[Request] = []
    page.on("request", lambda request: calls.append(request) if _is_of_panel(request) else None)
    confidence.locator('input:not([type="range"])').first.fill("0.9")
    page.keyboard.press("Enter")
    expect(counts).to_contain_text(re.compile(rf"\b{sure} samples"))
    expect(panel.get_by_text(f"{sure} images")).to_be_visible()
    page.wait_for_timeout(5000)
    expect(counts).to_contain_text(re.compile(rf"\b{sure} samples"), timeout=1000)
    assert len(calls) <= 2
    panel.get_by_role("tab", name="Coverage").click()
    expect(panel.get_by_text("No attributes")).to_be_visible()
    page.wait_for_timeout(5000)
    expect(counts).to_contain_text(re.compile(rf"\b{sure} samples"), timeout=1000)
    screenshot("filter-and-panel")


def test_a_filter_stays_while_objects_are_reviewed(
    open_app: Callable[[fo.Dataset | None], Page], streets: fo.Dataset, screenshot: Callable[[str], Path]
) -> None:
    from fiftyone import ViewField as F
    from playwright.sync_api import expect

    from diffucurate.plugin.labelling.label import label

    label(streets, source="attention")
    sure = streets.filter_labels("attention_instances", F("confidence") >= 0.9)
    objects = sure.count("attention_instances.detections")
    assert 2 < objects < streets.count("attention_instances.detections")
    page = open_app(streets)
    page.set_viewport_size({"width": 1800, "height": 1100})
    counts, panel = page.locator('[data-cy="entry-counts"]'), page.locator('[data-cy="panel-content-review"]')

    def expect_filter() -> None:
        page.wait_for_timeout(4000)  # within which it was dropped
        expect(counts).to_contain_text(re.compile(rf"\b{len(sure)} samples"), timeout=1000)

    page.locator('[data-cy="new-panel-btn"]').click()
    page.locator('[data-cy="new-panel-option-review"]').click()
    expect(panel.get_by_role("button", name="Begin")).to_be_visible()
    unfolded(page).locator('input:not([type="range"])').first.fill("0.9")
    page.keyboard.press("Enter")
    expect(counts).to_contain_text(re.compile(rf"\b{len(sure)} samples"))
    expect_filter()
    panel.get_by_role("button", name="Whole images").click()
    panel.get_by_role("button", name="One object after the other").click()
    expect_filter()
    panel.get_by_role("button", name="Begin").click()
    expect(panel.get_by_text(f"0 of {objects} decided")).to_be_visible()
    expect_filter()
    page.keyboard.press("1")
    expect(panel.get_by_text(f"1 of {objects} decided")).to_be_visible()
    page.keyboard.press("s")
    expect(panel.get_by_text("shown: no outlines")).to_be_visible()
    expect_filter()
    screenshot("filter-and-review")
    panel.get_by_role("button", name="Another review").click()
    expect(panel.get_by_role("button", name="Begin")).to_be_visible()
    expect_filter()
    screenshot("filter-after-review")


def unfolded(page: Page) -> Locator:
    """The filter on the confidence of attention's objects, in the sidebar."""
    page.locator('[data-cy="sidebar-field-arrow-enabled-attention_instances"]').click()
    return page.locator(f'[data-cy="numeric-filter-{CONFIDENCE}"]')


def _is_of_panel(request: Request) -> bool:
    return request.url.endswith("/operators/execute") and "diffucurate/curation" in (request.post_data or "")
