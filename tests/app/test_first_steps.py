"""From an empty App to a first dataset that two sources have labelled and that is compared, in six clicks."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.app, pytest.mark.slow]


@pytest.fixture
def new_datasets() -> Iterator[Callable[[], list[str]]]:
    """The names of the datasets that came since; they are deleted at the end."""
    import fiftyone as fo

    before = set(fo.list_datasets())
    yield lambda: sorted(set(fo.list_datasets()) - before)
    for name in set(fo.list_datasets()) - before:
        fo.delete_dataset(name)


def test_six_clicks_to_a_compared_dataset(
    open_app: Callable[[fo.Dataset | None], Page],
    field: Callable[[Locator, str], Locator],
    new_datasets: Callable[[], list[str]],
    screenshot: Callable[[str], Path],
) -> None:
    import fiftyone as fo
    from playwright.sync_api import expect

    page = open_app(None)
    panel, form = page.locator('[data-cy="panel-content-curation"]'), page.locator('[data-cy="operators-prompt-modal"]')
    clicks, started = 0, time.perf_counter()

    def click(target: Locator) -> None:
        nonlocal clicks
        target.click()
        clicks += 1

    click(page.get_by_text("browse operations"))
    click(page.locator('[data-cy="operators-browser"]').get_by_text("Generate images", exact=True))
    # Typing is no click, and few images are painted soon.
    field(form, "Colour").fill("red, blue")
    field(form, "Time").fill("noon")
    field(form, "Images per prompt").fill("1")
    expect(form.get_by_text(re.compile("^4 images for dataset"))).to_be_visible()
    click(form.get_by_role("button", name="Generate", exact=True))
    expect(page.get_by_text(re.compile("4 images added to"))).to_be_visible()
    screenshot("first-steps-generated")
    click(page.get_by_role("button", name="Done"))
    follow = panel.get_by_role("button", name="Label with YOLOv8 and compare")
    expect(follow).to_be_visible()  # the panel opened by itself
    screenshot("first-steps-panel")
    click(follow)
    click(form.get_by_role("button", name="Label and compare", exact=True))
    expect(panel.get_by_text("Mean agreement of attention and yolov8")).to_be_visible()
    screenshot("first-steps-compared")
    print(f"{clicks} clicks, {time.perf_counter() - started:.0f} s")
    assert clicks <= 6
    (name,) = new_datasets()
    assert fo.load_dataset(name, reload=True).list_evaluations() == ["compare_attention_yolov8"]
