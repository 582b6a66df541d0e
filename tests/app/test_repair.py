"""FiftyOne's "Annotate" tab on a label source's instances: what is ticked as a person's survives relabelling."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import Page

pytestmark = [pytest.mark.app, pytest.mark.slow]

FIELD = "attention_instances"


def test_what_is_ticked_as_a_person_s_survives(
    streets: fo.Dataset, open_app: Callable[[fo.Dataset], Page], screenshot: Callable[[str], Path]
) -> None:
    from diffucurate.generator.labels.settings import LabelSettings
    from diffucurate.plugin.labelling.label import label

    label(streets, source="attention")
    streets.reload()
    first = streets.first()
    page = open_app(streets)
    page.locator('[data-cy="looker"]').first.click()
    page.get_by_text("Annotate", exact=True).click()
    page.get_by_text(first[FIELD].detections[0].label, exact=True).first.click()
    page.get_by_label("human").check()
    screenshot("modal-annotate")

    deadline = time.monotonic() + 60
    while not streets.count_label_tags(FIELD).get("human") and time.monotonic() < deadline:
        time.sleep(0.5)  # the App saves by itself
    assert streets.count_label_tags(FIELD) == {"human": 1}

    streets.reload()
    label(streets, source="attention", settings=LabelSettings(min_confidence=1.0))  # which finds nothing else
    kept = [each for sample in streets for each in sample[FIELD].detections]
    assert [each.tags for each in kept] == [["human"]] and kept[0].label == first[FIELD].detections[0].label
