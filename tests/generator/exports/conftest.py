"""Records of odd masks: a ring, an object in two parts, a single pixel, a crowd."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffucurate.generator.exports.images import ExportRecord
from diffucurate.generator.labels.model import Instance


@pytest.fixture
def odd_records(tmp_path: Path) -> list[ExportRecord]:
    """Two images of 64 x 48 px in train and one in val, without objects; classes ``a``, ``b`` and, nowhere, ``c``."""
    y, x = np.mgrid[:48, :64]
    far = np.hypot(x - 30, y - 24)
    ring, parts, pixel = (far < 20) & (far > 11), np.zeros((48, 64), bool), np.zeros((48, 64), bool)
    parts[2:20, 1:9] = parts[40:47, 52:63] = pixel[47, 63] = True
    crowd = np.zeros((48, 64), bool)
    crowd[:4, 20:40] = True
    paths = []
    for index in range(3):
        paths.append(tmp_path / "in" / f"{index}.png")
        paths[-1].parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 255, (48, 64, 3), np.uint8)
        Image.fromarray(pixels).save(paths[-1])
    return [
        ExportRecord(paths[0], [Instance("a", ring, 0.5), Instance("b", parts, 0.75)], prompt="a ring & <two> parts"),
        ExportRecord(paths[1], [Instance("b", pixel, 1.0), Instance("a", crowd, 0.25)], crowds={1}, prompt="one pixel"),
        ExportRecord(paths[2], [], "val"),
    ]


CLASSES = ["a", "b", "c"]
