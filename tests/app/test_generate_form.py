"""A first dataset as a person makes it: build a recipe by typing, mend what is wrong, and see the images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.app, pytest.mark.slow]

NAME = "night-traffic"


@pytest.fixture
def page(open_app: Callable[[fo.Dataset | None], Page]) -> Iterator[Page]:
    """The App before there is any dataset."""
    import fiftyone as fo

    yield open_app(None)
    if fo.dataset_exists(NAME):
        fo.delete_dataset(NAME)


def test_build_a_recipe_by_typing_and_generate(
    page: Page, open_form: Callable[[Page, str], Locator], field: Callable[[Locator, str], Locator],
    screenshot: Callable[[str], Path],
) -> None:  # fmt: skip
    import fiftyone as fo
    from playwright.sync_api import expect

    form = open_form(page, "Generate images")
    expect(form.get_by_text("16 images for dataset 'my-streets'")).to_be_visible()
    screenshot("generate-form")

    field(form, "Dataset").fill(NAME)
    prompts = field(form, "Prompts")
    prompts.fill("")
    prompts.press_sequentially("a {colour} {object} at night in {weather}")
    expect(form.get_by_text("a red car at night in fog")).to_be_visible()  # the weather was filled in
    expect(form.get_by_text(f"24 images for dataset '{NAME}', labelled as car, bus.")).to_be_visible()
    field(form, "Object").press("End")
    field(form, "Object").press_sequentially(", truck")
    expect(form.get_by_text("36 images for dataset")).to_be_visible()
    expect(form.locator(".MuiChip-label")).to_have_text(["car", "bus", "truck"])

    field(form, "Weather").fill("")
    expect(form.get_by_text("write what {weather} can be").first).to_be_visible()
    expect(form.get_by_text("a red car at night in {weather}")).to_be_visible()
    expect(form.get_by_role("button", name="Generate", exact=True)).to_be_disabled()
    screenshot("generate-form-problem")
    field(form, "Weather").fill("fog")
    field(form, "Object").fill("car, tree")
    field(form, "Images per prompt").fill("1")
    expect(form.get_by_text(f"4 images for dataset '{NAME}', labelled as car, tree.")).to_be_visible()
    form.get_by_role("checkbox", name="Show as YAML").check()
    expect(form.get_by_role("textbox").last).to_have_value(re.compile(r"car: \[car\]\n  tree: \[tree\]\n"))
    screenshot("generate-form-yaml")

    form.get_by_role("button", name="Generate", exact=True).click()
    expect(page.get_by_text(f"4 images added to '{NAME}', which now holds 4")).to_be_visible()
    page.get_by_role("button", name="Done").click()
    expect(page.locator('[data-cy="looker"]')).to_have_count(4)
    assert f"/datasets/{NAME}" in page.url
    page.wait_for_timeout(1500)  # tiles draw one after the other
    screenshot("generate-done")
    made = fo.load_dataset(NAME)
    assert set(made.values("attributes.object")) == {"car", "tree"}

    form = open_form(page, "Generate images")
    form.get_by_text(f"Add to '{NAME}'").click()
    expect(form.get_by_text("The dataset exists: only what is missing is painted")).to_be_visible()
    expect(form.get_by_text("as measured in the last run")).to_be_visible()
    screenshot("generate-form-again")
