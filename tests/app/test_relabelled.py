"""Images that were opened before they were labelled anew show the new labels when they are opened again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.app, pytest.mark.slow]


def test_new_labels_are_shown_in_an_image_that_was_open_before(
    open_app: Callable[[fo.Dataset | None], Page],
    open_form: Callable[[Page, str], Locator],
    open_sample: Callable[[Page], Locator],
    streets: fo.Dataset,
    screenshot: Callable[[str], Path],
) -> None:
    from playwright.sync_api import expect

    from diffucurate.plugin.labelling.label import label

    label(streets, source="attention")
    page = open_app(streets)

    def look() -> bytes:
        """The first image as it is drawn when it is opened; closed again."""
        image = open_sample(page)
        page.mouse.move(5, 5)
        page.wait_for_timeout(2000)  # labels are drawn after the image
        pixels = image.screenshot()
        page.keyboard.press("Escape")
        expect(page.locator('[data-cy="modal"]')).to_have_count(0)
        return pixels

    before = look()
    assert look() == before

    form = open_form(page, "Label images")
    form.get_by_role("checkbox", name="Show settings").check()
    threshold = form.get_by_role("slider").first
    threshold.focus()
    threshold.press("End")
    threshold.press("ArrowLeft")
    expect(form.get_by_text("Threshold: 0.99")).to_be_visible()
    form.get_by_role("button", name="Label", exact=True).click()
    expect(page.get_by_text(f"{len(streets)} images labelled by attention")).to_be_visible()
    page.get_by_role("button", name="Done").click()
    page.wait_for_timeout(1000)
    after = look()
    screenshot("relabelled")
    assert after != before
    page.reload()
    page.locator('[data-cy="looker"]').first.wait_for()
    assert look() == after  # what the page shows when it is loaded anew
