"""What a person sees first: the grid, a heatmap over an image, and what is said when something is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from diffucurate.operators.generate_images import EXAMPLE

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.app


def pixels(locator: Locator) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(locator.screenshot(), np.uint8), cv2.IMREAD_COLOR).astype(int)


def changed_share(before: np.ndarray, after: np.ndarray) -> float:
    """The share of pixels that differ clearly."""
    return float((np.abs(after - before).max(axis=-1) > 24).mean())


def test_grid_sample_and_heatmap(
    page: Page, streets: fo.Dataset, open_sample: Callable[[Page], Locator], screenshot: Callable[[str], Path]
) -> None:
    from playwright.sync_api import expect

    expect(page.locator('[data-cy="looker"]')).to_have_count(len(streets))
    expect(page.locator('[data-cy="entry-counts"]')).to_contain_text(f"{len(streets)} samples")
    page.wait_for_timeout(1500)  # tiles draw one after the other
    screenshot("grid")

    image = open_sample(page)
    screenshot("modal-heatmap")
    with_heatmap = pixels(image)
    first = streets.first()
    shown = [name for name in first.field_names if name.startswith("heatmap_") and first[name] is not None]
    for name in shown:
        page.locator(f'[data-cy="modal"] [data-cy="checkbox-{name}"]').click()
    page.wait_for_timeout(1500)
    without = pixels(image)
    screenshot("modal-plain")
    assert changed_share(with_heatmap, without) > 0.01


def test_errors_in_the_form_and_in_the_run(
    page: Page, tmp_path: Path, open_form: Callable[[Page, str], Locator], screenshot: Callable[[str], Path]
) -> None:
    from playwright.sync_api import expect

    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(EXAMPLE.replace("seeds: 2", "seeds: 0"))
    form = open_form(page, "Generate images")
    form.get_by_text("Write or paste a recipe").click()
    text = form.get_by_role("textbox").first
    expect(text).to_have_value(EXAMPLE)
    expect(form.get_by_text("16 images for dataset")).to_be_visible()
    screenshot("generate-images-form")
    text.press("Control+End")
    text.press_sequentially("oops: 1")
    expect(form.get_by_text("oops").last).to_be_visible()
    text.press("Enter")  # a new line, not the form's button
    screenshot("generate-images-problem")
    form.get_by_text("Read a recipe file").click()
    expect(form.get_by_text("Full path of a YAML")).to_be_visible()  # the form has been drawn anew
    form.get_by_role("textbox").first.fill(str(recipe))
    expect(form.get_by_text("seeds: 0").first).to_be_visible()
    recipe.write_text(f"{EXAMPLE}\nscheduler: flow-euler\n")  # which only the loaded model can tell
    form.get_by_role("textbox").first.fill(str(recipe) + " ")
    form.get_by_role("textbox").first.fill(str(recipe))
    expect(form.get_by_text("16 images for dataset")).to_be_visible()
    screenshot("generate-images-summary")
    form.get_by_role("button", name="Generate", exact=True).click()
    expect(page.get_by_text("Not done")).to_be_visible()
    expect(page.get_by_text("flow-euler").first).to_be_visible()
    screenshot("generate-images-failure")
