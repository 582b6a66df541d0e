"""The review queue in the real App: decided by keys alone, fast, and gone on with where it stopped."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import Page

pytestmark = [pytest.mark.app, pytest.mark.slow]

#: Decisions that are timed; the figure is printed, since it depends on what else the machine does.
DECISIONS = 20

#: Milliseconds for which a person looks before each key.
LOOK_MS = 300


@pytest.fixture
def reviewed(streets: fo.Dataset) -> fo.Dataset:
    """Two compared sources, the second of which lacks the last object of each image."""
    import fiftyone as fo

    from diffucurate.plugin.comparison.compare import compare
    from diffucurate.plugin.labelling.label import label
    from diffucurate.plugin.store.classes import read_classes
    from diffucurate.plugin.store.schema import declare_label_fields

    label(streets, source="attention")
    streets.reload()
    declare_label_fields(streets, "yolov8", read_classes(streets))
    for sample in streets:
        kept = [detection.copy() for detection in sample.attention_instances.detections][:-1]
        sample["yolov8_instances"] = fo.Detections(detections=kept)
        sample.save()
    compare(streets, "attention", "yolov8")
    return streets


def test_decisions_by_keys_alone(
    reviewed: fo.Dataset, open_app: Callable[[fo.Dataset], Page], screenshot: Callable[[str], Path]
) -> None:
    from playwright.sync_api import expect

    page = open_app(reviewed)
    page.set_viewport_size({"width": 1800, "height": 1100})
    panel = page.locator('[data-cy="panel-content-review"]')
    progress = panel.get_by_text(re.compile(r"[\d,]+ of [\d,]+ decided"))

    def expect_decided(number: int) -> None:
        expect(progress).to_contain_text(re.compile(rf"^{number} of"))

    page.locator('[data-cy="new-panel-btn"]').click()
    page.locator('[data-cy="new-panel-option-review"]').click()
    expect(panel.get_by_text("Source B")).to_be_visible()
    panel.get_by_role("button", name="Begin").click()
    expect_decided(0)
    image = panel.locator("img").first
    expect(image).to_be_visible()
    screenshot("panel-review")

    first = image.get_attribute("src")
    page.keyboard.press("s")
    expect(panel.get_by_text("shown: attention", exact=False)).to_be_visible()
    expect(image).not_to_have_attribute("src", first)

    seconds = []
    for number in range(1, DECISIONS + 1):
        before = image.get_attribute("src")
        page.wait_for_timeout(LOOK_MS)
        started = time.perf_counter()
        page.keyboard.press("12345"[number % 5])
        page.wait_for_function(
            """([done, before]) => {
                const panel = document.querySelector('[data-cy="panel-content-review"]');
                const shown = panel.querySelector("img");
                return panel.innerText.includes(`${done} of `) && shown && shown.src !== before && shown.complete;
            }""",
            arg=[number, before],
            polling="raf",
        )
        seconds.append(time.perf_counter() - started)
    print(f"key to next: median {statistics.median(seconds):.3f} s, greatest {max(seconds):.3f} s")

    page.keyboard.press("Backspace")
    expect_decided(DECISIONS - 1)
    reviewed.reload()
    tags = reviewed.count_label_tags("attention_instances")
    assert sum(tags.get(name, 0) for name in ("accepted", "rejected", "fix later")) <= DECISIONS
    (run,) = reviewed.list_runs(method="diffucurate/review")
    assert sum(reviewed.get_run_info(run).config.facts["counts"].values()) == DECISIONS - 1

    panel.get_by_role("button", name="Another review").click()
    panel.get_by_role("button", name="Begin").click()
    expect_decided(DECISIONS - 1)  # it goes on where it stopped
