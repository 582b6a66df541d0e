"""Label images as a person does it: try a threshold on one image first, then label by both sources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.app, pytest.mark.slow]


def test_preview_a_threshold_then_label_by_both_sources(
    page: Page, streets: fo.Dataset, open_form: Callable[[Page, str], Locator], screenshot: Callable[[str], Path]
) -> None:
    from playwright.sync_api import expect

    form = open_form(page, "Label images")
    expect(form.get_by_text(f"{len(streets)} images keep their heatmaps")).to_be_visible()
    form.get_by_role("checkbox", name="YOLOv8").check()
    expect(form.get_by_text(f"{len(streets)} images are looked at by YOLOv8")).to_be_visible()
    screenshot("label-form")

    form.get_by_role("checkbox", name="Show settings").check()
    form.get_by_role("checkbox", name="Preview on one image").check()
    picture = form.locator('img[src^="data:image/jpeg"]').last
    expect(picture).to_be_visible()
    page.wait_for_timeout(1000)
    before = picture.get_attribute("src")
    screenshot("label-form-preview")
    threshold = form.get_by_role("slider").first
    threshold.focus()
    threshold.press("End")
    threshold.press("ArrowLeft")
    expect(form.get_by_text("Threshold: 0.99")).to_be_visible()
    expect(picture).not_to_have_attribute("src", before)
    screenshot("label-form-preview-high")

    form.get_by_role("button", name="Label", exact=True).click()
    expect(page.get_by_text(f"{len(streets)} images labelled by attention")).to_be_visible()
    screenshot("label-form-done")
    page.get_by_role("button", name="Done").click()
    for source in ("attention", "yolov8"):
        expect(page.locator(f'[data-cy="checkbox-{source}_instances"]')).to_be_visible()
    # The new sources have groups of their own at once, not only in a page that is loaded anew.
    for group in ("Attention", "YOLOv8"):
        expect(page.locator(f'[data-cy^="sidebar-group-{group}" i]').first).to_be_visible()
    screenshot("label-groups")
    streets.reload()
    assert streets.count("attention_instances") == streets.count("yolov8_instances") == len(streets)

    form = open_form(page, "Preview threshold")
    expect(form.get_by_text("With these settings")).to_be_visible()
    expect(form.locator('img[src^="data:image/jpeg"]')).to_have_count(3)
    form.get_by_role("slider").first.focus()
    form.get_by_role("slider").first.press("ArrowRight")
    expect(form.get_by_text("Threshold: 0.76")).to_be_visible()
    screenshot("preview-threshold")
    form.get_by_role("button", name="Use these settings").click()  # the next form opens, no dialog between
    expect(form.get_by_text("labels from Attention already, which are replaced")).to_be_visible()
    expect(form.get_by_text("Threshold: 0.76")).to_be_visible()
    screenshot("preview-threshold-label")
