"""The buttons above the grid that open the forms of the five steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.app, pytest.mark.slow]

STEPS = ("generate_images", "label_images", "compare_sources", "curate_samples", "export_samples")


def test_a_button_for_each_step(page: Page, screenshot: Callable[[str], Path]) -> None:
    from playwright.sync_api import expect

    page.set_viewport_size({"width": 1800, "height": 1100})
    for step in STEPS:
        expect(page.locator(f'[data-item-id="@diffucurate/diffucurate/{step}"]').first).to_be_visible()
    screenshot("toolbar")
    page.locator('[data-item-id="@diffucurate/diffucurate/label_images"]').first.click()
    form = page.locator('[data-cy="operators-prompt-modal"]')
    expect(form.get_by_role("button", name="Label", exact=True)).to_be_visible()
