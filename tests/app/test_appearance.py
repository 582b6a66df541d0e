"""A fresh dataset in the App, as nobody has set anything up: colours by source, heat, groups and icons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.app, pytest.mark.slow]

SIZE = 96


@pytest.fixture
def quarters(dataset: fo.Dataset, tmp_path: Path) -> fo.Dataset:
    """A grey image: attention sees a car at the top left, YOLOv8 one at the top right, and it is warm below."""
    import fiftyone as fo

    from diffucurate.generator.labels.model import Instance, Labels
    from diffucurate.plugin.appearance.scheme import apply_default_appearance
    from diffucurate.plugin.store.classes import extend_classes
    from diffucurate.plugin.store.heatmap_image import HEATMAP_RANGE
    from diffucurate.plugin.store.label_values import label_fields
    from diffucurate.plugin.store.media_files import write_png
    from diffucurate.plugin.store.schema import declare_heatmaps, declare_label_fields

    classes, values, half = list(extend_classes(dataset, {"car": ["car"]})), {}, SIZE // 2
    for source, columns in (("attention", slice(half)), ("yolov8", slice(half, None))):
        before = set(dataset.get_field_schema())
        declare_label_fields(dataset, source, classes)
        declare_heatmaps(dataset, classes)
        apply_default_appearance(dataset, source, before)
        mask = np.zeros((SIZE, SIZE), np.bool_)
        mask[:half, columns] = True
        labels = Labels.from_instances([Instance("car", mask, 0.9)], classes, mask.shape)
        values |= label_fields(source, labels, str(write_png(tmp_path / f"{source}.png", labels.semantic)))
    heat = np.zeros((SIZE, SIZE), np.uint8)
    heat[half:] = 150
    values["heatmap_car"] = fo.Heatmap(map_path=str(write_png(tmp_path / "heat.png", heat)), range=list(HEATMAP_RANGE))
    image = write_png(tmp_path / "grey.png", np.full((SIZE, SIZE, 3), 128, np.uint8))
    dataset.add_sample(fo.Sample(filepath=str(image), **values))
    return dataset


def colour(tile: Locator, across: float, down: float) -> np.ndarray:
    """Red, green and blue of the tile at a place given in shares of its size."""
    picture = cv2.imdecode(np.frombuffer(tile.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    return picture[round(down * picture.shape[0]), round(across * picture.shape[1]), ::-1].astype(int)


def test_fresh_dataset_looks_right(
    open_app: Callable[[fo.Dataset | None], Page], quarters: fo.Dataset, screenshot: Callable[..., Path]
) -> None:
    from playwright.sync_api import expect

    page = open_app(quarters)
    tile = page.locator('[data-cy="looker"]').first
    page.wait_for_timeout(2500)
    red, _, blue = colour(tile, 0.25, 0.3)
    assert red > blue + 60
    red, _, blue = colour(tile, 0.75, 0.3)
    assert blue > red + 60
    assert np.ptp(colour(tile, 0.5, 0.75)) < 12  # heatmaps are off ...
    page.locator('[data-cy="checkbox-heatmap_car"]').click()
    page.wait_for_timeout(2500)
    red, green, _ = colour(tile, 0.5, 0.75)
    assert red > green + 30  # ... and not of the App's own scale, which is green here

    for group in ("Attention", "YOLOv8", "Details"):
        expect(page.locator(f'input[value="{group}" i]')).to_be_visible()
    expect(page.locator('[data-cy="checkbox-attention_maps"]')).not_to_be_in_viewport()  # folded

    page.keyboard.press("Backquote")
    browser = page.locator('[data-cy="operators-browser"]')
    browser.locator("input").fill("Compare sources")
    icon = browser.locator('img[src*="compare_sources-dark.svg"]')
    expect(icon).to_be_visible()
    assert icon.evaluate("image => image.naturalWidth") > 0
    screenshot("looks")
