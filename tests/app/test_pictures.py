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
    drawn: fo.Dataset, open_app: Callable[..., Page], open_form: Callable[[Page, str], Locator],
    field: Callable[[Locator, str], Locator], screenshot: Callable[[str], Path], tmp_path: Path,
) -> None:  # fmt: skip
    import fiftyone as fo
    from playwright.sync_api import expect

    page = open_app(drawn, DIFFUCURATE_MEDIA_DIR=str(tmp_path / "media"))
    form = open_form(page, "Vary images")
    expect(form.get_by_role("button", name="Paint", exact=True)).to_be_disabled()  # what to change is not said yet
    field(form, "Prompt").fill("a red bus on a road")
    field(form, "Stop after").fill("3")
    expect(form.get_by_text(f"From 12 images, up to 1 of each, for dataset '{drawn.name}-varied'.")).to_be_visible()
    screenshot("vary-form")
    form.get_by_role("button", name="Paint", exact=True).click()
    expect(page.get_by_text(f"3 images added to '{drawn.name}-varied', which now holds 3")).to_be_visible()
    page.get_by_role("button", name="Done").click()
    expect(page.locator('[data-cy="looker"]')).to_have_count(3)
    varied = fo.load_dataset(f"{drawn.name}-varied")
    assert set(varied.values("source_id")) <= set(drawn.values("id"))

    page.goto(page.url.replace(varied.name, drawn.name))
    expect(page.locator('[data-cy="looker"]')).to_have_count(12)
    form = open_form(page, "Replace objects")
    field(form, "Prompt").fill("a yellow car on a road")
    field(form, "Stop after").fill("2")
    expect(form.get_by_text(f"From 12 images, up to 1 of each, for dataset '{drawn.name}-inpainted'.")).to_be_visible()
    screenshot("replace-form")
    form.get_by_role("button", name="Paint", exact=True).click()
    expect(page.get_by_text(f"2 images added to '{drawn.name}-inpainted', which now holds 2")).to_be_visible()
    page.get_by_role("button", name="Done").click()
    expect(page.locator('[data-cy="looker"]')).to_have_count(2)
    page.wait_for_timeout(1500)  # tiles draw one after the other
    screenshot("replace-done")
    for sample in fo.load_dataset(f"{drawn.name}-inpainted"):
        before, after = drawn[sample.source_id].truth, sample.inpainted_instances
        new = len(sample.attention_instances.detections)
        assert len(after.detections) - new == len(before.detections) - 1  # all others stayed
