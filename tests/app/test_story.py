"""The whole story, as a person lives it who never opens a terminal: from an empty App to files for training."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fiftyone import ViewField as F

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.app, pytest.mark.slow]

NAME = "six-streets"


@pytest.fixture
def made() -> Iterator[Callable[[], fo.Dataset]]:
    """Loads the dataset that the story makes, as it is in the database now; it is deleted at the end."""
    import fiftyone as fo

    yield lambda: fo.load_dataset(NAME, reload=True)
    if fo.dataset_exists(NAME):
        fo.delete_dataset(NAME)


def test_from_an_empty_app_to_files_for_training(
    open_app: Callable[[fo.Dataset | None], Page],
    open_form: Callable[[Page, str], Locator],
    field: Callable[[Locator, str], Locator],
    screenshot: Callable[[str], Path],
    made: Callable[[], fo.Dataset],
    tmp_path: Path,
) -> None:
    from playwright.sync_api import expect
    from pycocotools.coco import COCO

    page = open_app(None)
    tiles, counts = page.locator('[data-cy="looker"]'), page.locator('[data-cy="entry-counts"]')

    def send(form: Locator, button: str, sentence: str, name: str) -> None:
        """Send the form off, wait for the sentence that ends the run, take a picture and close it."""
        form.get_by_role("button", name=button, exact=True).click()
        ended = page.get_by_text(sentence).or_(page.get_by_text("Not done"))
        expect(ended).to_be_visible()
        expect(page.get_by_text(sentence)).to_be_visible(timeout=1_000)
        screenshot(name)
        page.get_by_role("button", name="Done").click()
        expect(page.get_by_text(sentence)).to_be_hidden()

    form = open_form(page, "Generate images")
    field(form, "Dataset").fill(NAME)
    field(form, "Colour").fill("red, blue, yellow")
    field(form, "Time").fill("noon")
    field(form, "Images per prompt").fill("1")
    expect(form.get_by_text(re.compile(f"^6 images for dataset '{NAME}'"))).to_be_visible()
    screenshot("story-1-generate-form")
    send(form, "Generate", f"6 images added to '{NAME}'", "story-1-generated")
    expect(tiles).to_have_count(6)
    assert made().distinct("attributes.colour") == ["blue", "red", "yellow"]

    form = open_form(page, "Label images")
    form.get_by_role("checkbox", name="YOLOv8").check()
    expect(form.get_by_text("6 images are looked at by YOLOv8")).to_be_visible()
    screenshot("story-2-label-form")
    send(form, "Label", "6 images labelled by attention", "story-2-labelled")
    assert made().count("attention_instances") == made().count("yolov8_instances") == 6

    form = open_form(page, "Compare sources")
    screenshot("story-3-compare-form")
    send(form, "Compare", "attention and yolov8 agree to", "story-3-compared")
    assert made().list_evaluations() == ["compare_attention_yolov8"]

    panel = page.locator('[data-cy="panel-content-curation"]')  # it opened by itself, on the comparison
    expect(panel.get_by_text("Mean agreement of attention and yolov8")).to_be_visible()
    row = panel.get_by_role("row").filter(has=page.get_by_text("bus", exact=True))
    expect(row).to_be_visible()
    screenshot("story-4-panel")
    row.get_by_text("bus", exact=True).click()
    both = F("attention_instances.detections").extend(F("yolov8_instances.detections"))
    with_bus = len(made().match(both.map(F("label")).contains("bus")))
    assert 0 < with_bus < 6, "the click would change nothing"
    expect(counts).to_contain_text(f"{with_bus} samples")
    expect(tiles).to_have_count(with_bus)
    screenshot("story-4-row-clicked")
    panel.get_by_role("button", name="Back to the view before").click()
    expect(counts).to_contain_text("6 samples")

    areas = [max(each, default=0.0) for each in made().values("attention_instances.detections.area")]
    middle = round(sum(sorted(areas)[2:4]) / 2, 3)
    kept = sum(area >= middle for area in areas)
    form = open_form(page, "Curate samples")
    field(form, "Minimum area").fill(str(middle))
    expect(form.get_by_text(re.compile(f"^{kept} of 6 images kept"))).to_be_visible()
    screenshot("story-5-curate-form")
    send(form, "Curate", f"{kept} of 6 samples kept", "story-5-curated")
    expect(counts).to_contain_text(f"{kept} samples")
    assert made().list_saved_views() == ["curated"]

    folder = tmp_path / "exported"
    form = open_form(page, "Export samples")
    field(form, "Folder").fill(str(folder))
    screenshot("story-6-export-form")
    send(form, "Export", f"{kept} images exported to {folder}", "story-6-exported")

    written = COCO(str(folder / "annotations" / "train.json"))
    assert len(written.getImgIds()) == kept
    assert all((folder / "images" / "train" / image["file_name"]).is_file() for image in written.imgs.values())
    assert {written.annToMask(annotation).shape for annotation in written.anns.values()} == {(128, 128)}
    assert len(written.anns) == made().load_saved_view("curated").count("attention_instances.detections")
