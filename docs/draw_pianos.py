"""Draws the picture of ``docs/new-words.md`` with the built-in model: ``python docs/draw_pianos.py``.

The first images that ``make demo-rare`` paints, none chosen: above "a piano on a road", which the model does not know;
below "a <piano> on a road" after the word was learned, with the outlines of attention's labels.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.painting.painter import paint
from diffucurate.generator.sources.attention_source import AttentionSource
from diffucurate.generator.tiny.rare import PLACEHOLDER, learned_piano
from diffucurate.plugin.cli.run_demo_rare import rare_recipe

TARGET = Path(__file__).parent / "images" / "pianos.png"
IMAGES, ZOOM, MARGIN, WHITE, YELLOW = 6, 2, 8, 255, (255, 200, 0)


def row(word: str, outlined: bool, **parts: object) -> np.ndarray:
    """Images of one word, side by side on white."""
    recipe = rare_recipe(word, IMAGES, **parts)
    source = AttentionSource(recipe.classes)
    tiles = []
    for painting in paint(jobs(recipe), batch_size=IMAGES):
        large = cv2.resize(painting.image, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_NEAREST)
        for thing in source.from_maps(painting.heatmaps, painting.image).instances if outlined else ():
            mask = cv2.resize(thing.mask.astype(np.uint8), large.shape[1::-1], interpolation=cv2.INTER_NEAREST)
            rings, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(large, rings, -1, YELLOW, 2)
        tiles.append(cv2.copyMakeBorder(large, 0, MARGIN, 0, MARGIN, cv2.BORDER_CONSTANT, value=[WHITE] * 3))
    return np.concatenate(tiles, axis=1)


def main() -> None:
    rows = [row("piano", False), row(PLACEHOLDER, True, **learned_piano().recipe_parts())]
    sheet = np.concatenate(rows)[:-MARGIN, :-MARGIN]
    cv2.imwrite(str(TARGET), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
