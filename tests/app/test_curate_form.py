"""Curate as a person does it: watch the count while typing rules, curate, undo, and export to a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fiftyone import ViewField as F

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.app, pytest.mark.slow]


@pytest.fixture
def streets(streets: fo.Dataset) -> fo.Dataset:
    """The scenes with labels, a score, and a copy of one image."""
    import fiftyone as fo

    from diffucurate.plugin.labelling.label import label

    streets.add_sample(fo.Sample(streets.first().filepath, attention_maps=streets.first().attention_maps))
    label(streets, source="attention")
    streets.set_values("uniqueness", [index / 16 for index in range(len(streets))])
    return streets


def test_count_curate_undo_and_export(
    page: Page,
    streets: fo.Dataset,
    open_form: Callable[[Page, str], Locator],
    field: Callable[[Locator, str], Locator],
    screenshot: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    from playwright.sync_api import expect

    counts = page.locator('[data-cy="entry-counts"]')
    expect(counts).to_contain_text("13 samples")
    large = streets.filter_labels("attention_instances", F("area") >= 0.1)
    unique = large.match(F("uniqueness") >= 0.25)
    assert 2 < len(unique) < len(large) < 13, "one of the rules would change nothing"

    form = open_form(page, "Curate samples")
    expect(form.get_by_text("13 of 13 images kept")).to_be_visible()
    field(form, "Minimum area").fill("0.1")
    expect(form.get_by_text(f"{len(large)} of 13 images kept")).to_be_visible()
    expect(form.get_by_text(f"Dropped: {13 - len(large)} by area")).to_be_visible()
    field(form, "Minimum confidence").fill("3")
    expect(form.get_by_text("3: it must be from 0 to 1")).to_be_visible()
    expect(form.get_by_role("button", name="Curate", exact=True)).to_be_disabled()
    screenshot("curate-form-problem")
    field(form, "Minimum confidence").fill("")
    field(form, "Scores").fill("uniqueness")
    field(form, "Scores").press("Enter")
    field(form, "Least uniqueness").fill("0.25")
    expect(form.get_by_text(f"{len(unique)} of 13 images kept")).to_be_visible()
    screenshot("curate-form")
    form.get_by_text("Leave out near-duplicates").click()
    expect(form.get_by_text(f"At most {len(unique)} of 13 images kept")).to_be_visible()
    expect(field(form, "Nearer than")).to_be_visible()
    screenshot("curate-form-duplicates")

    form.get_by_role("button", name="Curate", exact=True).click()
    expect(page.get_by_text("13 samples kept as view 'curated'")).to_be_visible()
    screenshot("curate-done")
    streets.reload()
    kept = len(streets.load_saved_view("curated"))
    assert 0 < kept == len(streets.match_tags("curated")) <= len(unique)
    expect(counts).to_contain_text(f"{kept} samples")
    expect(page.locator('[data-cy="saved-views-selection"]')).to_contain_text("curated")
    expect(page.get_by_text("does not exist")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"[?&]view=curated\b"))
    expect(page.get_by_role("button", name="Export", exact=True)).to_be_visible()
    page.get_by_role("button", name="Undo", exact=True).click()
    form = page.locator('[data-cy="operators-prompt-modal"]').filter(has_text="The latest comes first")
    expect(form.get_by_text(f"{kept} of 13 images kept")).to_be_visible()
    screenshot("undo-form")
    form.get_by_role("button", name="Undo", exact=True).click()
    expect(page.get_by_text("Curation 'curated' is undone")).to_be_visible()
    page.get_by_role("button", name="Done").last.click()
    expect(counts).to_contain_text("13 samples")
    streets.reload()
    assert (streets.list_saved_views(), streets.distinct("tags")) == ([], [])

    folder = tmp_path / "exported"
    form = open_form(page, "Export samples")
    field(form, "Folder").fill("exported")
    expect(form.get_by_text("'exported' is not a full path")).to_be_visible()
    field(form, "Folder").fill(str(folder))
    field(form, "Splits").fill("train=0.5,val=0.5")
    expect(form.get_by_text("13 images with")).to_be_visible()
    screenshot("export-form")
    form.get_by_role("button", name="Export", exact=True).click()
    expect(page.get_by_text(f"13 images exported to {folder}")).to_be_visible()
    screenshot("export-done")
    documents = [json.loads((folder / "annotations" / f"{name}.json").read_text()) for name in ("train", "val")]
    assert sum(len(document["images"]) for document in documents) == 13
    objects = streets.count("attention_instances.detections")
    assert sum(len(document["annotations"]) for document in documents) == objects
