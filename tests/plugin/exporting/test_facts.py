"""What the datasheet of an export says of painted and compared images."""

from __future__ import annotations

from pathlib import Path

import fiftyone as fo

from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.plugin.comparison.compare import compare
from diffucurate.plugin.exporting.export import export


def test_painted_images(generated: fo.Dataset, tmp_path: Path) -> None:
    export(generated, tmp_path / "out", format="coco", source="attention")
    sheet = (tmp_path / "out/README.md").read_text()
    seeds = generated.values("seed")
    assert f"- Seeds: {len(set(seeds))} different ones from {min(seeds)} to {max(seeds)}" in sheet
    assert "- Prompts: 2 different ones" in sheet and "- a red bus at noon\n- a red car at noon" in sheet
    assert "| txt2img | 4 |" in sheet and "| object | bus | 2 |" in sheet and "| 64 x 64 | 4 |" in sheet


def test_agreement(dataset: fo.Dataset, add_scenes, scenes, tmp_path: Path) -> None:
    """One of two objects matches itself: an agreement of one half on the first image, 1 on the second."""
    shape = scenes[0].image.shape[:2]
    instances = [Instance(thing.label, thing.mask, 1.0) for thing in scenes[0].objects]
    others = [Instance(thing.label, thing.mask, 1.0) for thing in scenes[1].objects]
    both = Labels.from_instances(others[:1], CLASSES, shape)
    add_scenes(
        scenes[:2],
        a=[Labels.from_instances(instances[:2], CLASSES, shape), both],
        b=[Labels.from_instances(instances[:1], CLASSES, shape), both],
    )
    compare(dataset, "a", "b")
    export(dataset, tmp_path / "out", format="coco", source="a")
    sheet = (tmp_path / "out/README.md").read_text()
    found = 2 if len(instances) > 1 else 1
    assert f"With b: {(1 / found + 1) / 2:.3f} on average of 2 images." in sheet
    assert "| Class | Mean IoU with b |" in sheet
