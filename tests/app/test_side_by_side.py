"""The panel "Side by side" of an opened image: two views and a slider between them, which calls no server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import Page

pytestmark = [pytest.mark.app, pytest.mark.slow]


def test_a_slider_between_two_views(
    streets: fo.Dataset, open_app: Callable[[fo.Dataset], Page], screenshot: Callable[[str], Path]
) -> None:
    from playwright.sync_api import expect

    from diffucurate.plugin.labelling.label import label

    label(streets, source="attention")
    page = open_app(streets)
    page.locator('[data-cy="looker"]').first.click()
    page.locator('[data-cy="panel-tab-side_by_side"]').click()
    panel = page.locator('[data-cy="panel-content-side_by_side"]')
    slider = panel.get_by_label("Share of the left view")
    expect(slider).to_be_visible()
    right = panel.locator("img").nth(1)

    calls = []
    page.on("request", lambda request: calls.append(request.url) if "operators" in request.url else None)
    before = right.evaluate("image => getComputedStyle(image).clipPath")
    slider.fill("20")
    assert right.evaluate("image => getComputedStyle(image).clipPath") != before
    assert not calls
    screenshot("panel-side-by-side")

    panel.get_by_label("Beside each other").check()
    expect(slider).to_have_count(0)
    boxes = [panel.locator("img").nth(index).bounding_box() for index in (0, 1)]
    assert boxes[0] and boxes[1] and boxes[1]["x"] >= boxes[0]["x"] + boxes[0]["width"]

    shown = panel.locator("img").first.get_attribute("src")
    page.keyboard.press("ArrowRight")
    expect(panel.locator("img").first).not_to_have_attribute("src", shown or "")
