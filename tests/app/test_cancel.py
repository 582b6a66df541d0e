"""A run that takes too long is cancelled beside its progress bar; what it made is there, and it can be continued."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from diffucurate.operators.generate_images import EXAMPLE

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.app, pytest.mark.slow]

NAME = "cancelled-streets"


@pytest.fixture
def _deleted() -> Iterator[None]:
    import fiftyone as fo

    yield
    if fo.dataset_exists(NAME):
        fo.delete_dataset(NAME)


@pytest.mark.usefixtures("_deleted")
def test_cancel_beside_the_progress_bar(
    page: Page, tmp_path: Path, open_form: Callable[[Page, str], Locator], screenshot: Callable[[str], Path]
) -> None:
    import fiftyone as fo
    from playwright.sync_api import expect

    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(EXAMPLE.replace("my-streets", NAME).replace("seeds: 2", "seeds: 100"))
    form = open_form(page, "Generate images")
    form.get_by_text("Read a recipe file").click()
    expect(form.get_by_text("Full path of a YAML")).to_be_visible()
    form.get_by_role("textbox").first.fill(str(recipe))
    expect(form.get_by_text("800 images for dataset")).to_be_visible()
    form.get_by_role("button", name="Generate", exact=True).click()
    expect(page.get_by_text(re.compile(r"[1-9]\d* of 800, .* images/s, .* left"))).to_be_visible()
    screenshot("cancel-progress")
    page.get_by_role("button", name="Done").click()  # hides the bar, which comes back
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.get_by_text("Generate images: cancelled")).to_be_visible()
    expect(page).to_have_url(re.compile(NAME))
    screenshot("cancelled")
    assert 0 < len(fo.load_dataset(NAME)) < 800
    page.get_by_role("button", name="Continue").click()
    expect(form.get_by_role("textbox").first).to_have_value(str(recipe))
    expect(form.get_by_text("only what is missing is painted")).to_be_visible()
    screenshot("continue")
