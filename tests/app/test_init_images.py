"""New images from those that are there, as a person makes them: vary some, then put other objects into them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from diffucurate.generator.tiny.scenes import real_scenes

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.app, pytest.mark.slow]


@pytest.fixture
def drawn(streets: fo.Dataset) -> Iterator[fo.Dataset]:
    """``streets`` with its objects as a person would draw them; what the forms make of it is deleted at the end."""
    import fiftyone as fo

    scenes = real_scenes(len(streets), seed=5)
    objects = [
        fo.Detections(detections=[fo.Detection.from_mask(thing.mask, label=thing.label) for thing in scene.objects])
        for scene in scenes
    ]
    streets.set_values("truth", objects)
    yield streets
    for ending in ("varied", "inpainted"):
        if fo.dataset_exists(f"{streets.name}-{ending}"):
            fo.delete_dataset(f"{streets.name}-{ending}")


def test_vary_images_then_replace_an_object(
    drawn: fo.Dataset, open_app: Callable[[fo.Dataset | None], Page], open_form: Callable[[Page, str], Locator],
    field: Callable[[Locator, str], Locator], screenshot: Callable[[str], Path],
) -> None:  # fmt: skip
    import fiftyone as fo
    from playwright.sync_api import expect

    page = open_app(drawn)
    button = page.get_by_role("button", name="Paint", exact=True)

    def paint(form: Locator, prompt: str, count: int, ending: str) -> fo.Dataset:
        """Fill in the form, take a picture, send it off, and load the dataset that the App then shows."""
        name = f"{drawn.name}-{ending}"
        expect(button).to_be_disabled()  # what to paint is not said yet
        field(form, "Prompt").fill(prompt)
        form.get_by_text("Show advanced settings").first.click()
        field(form, "Stop after").fill(str(count))
        expect(form.get_by_text(f"from 12 images, for dataset '{name}'")).to_be_visible()
        screenshot(f"form-{ending}")
        button.click()
        expect(page.get_by_text(f"{count} images added to '{name}', which now holds {count}")).to_be_visible()
        page.get_by_role("button", name="Done").click()
        expect(page.locator('[data-cy="looker"]')).to_have_count(count)
        return fo.load_dataset(name)

    varied = paint(open_form(page, "Vary images"), "a red bus on a road", 3, "varied")
    assert set(varied.values("source_id")) <= set(drawn.values("id"))

    page.goto(page.url.replace(varied.name, drawn.name))
    expect(page.locator('[data-cy="looker"]')).to_have_count(12)
    inpainted = paint(open_form(page, "Replace objects"), "a yellow car on a road", 2, "inpainted")
    page.wait_for_timeout(1500)  # tiles draw one after the other
    screenshot("inpainted")
    for sample in inpainted:
        before, after = drawn[sample.source_id].truth, sample.inpainted_instances
        new = len(sample.attention_instances.detections)
        assert len(after.detections) - new == len(before.detections) - 1  # all others stayed
