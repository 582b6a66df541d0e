"""The packed second model, of another make than the built-in one: it loads as any folder, and attends to its world."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from diffucurate.generator.sources.attention_source import AttentionSource
from diffucurate.generator.text.class_mentions import find_phrases
from diffucurate.generator.tiny.scenes import real_scenes
from diffucurate.generator.tiny.shapes import CLASSES

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PIPELINE = BENCHMARKS / "textured" / "weights" / "pipeline"


@pytest.fixture
def worlds(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, type]]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from worlds import WORLDS

    yield WORLDS
    for name in [name for name in sys.modules if name == "worlds" or name.partition(".")[0] == "textured"]:
        del sys.modules[name]


def test_it_is_small() -> None:
    files = [path for path in PIPELINE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 12e6
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".txt"}


@pytest.mark.slow
def test_its_attention_finds_what_its_captions_name(worlds: dict[str, type]) -> None:
    scenes = real_scenes(16, 501, style=worlds["textured"])
    phrases = {name: [name] for name in CLASSES}
    labels = AttentionSource(phrases, str(PIPELINE), contrast=True).label(
        [scene.image for scene in scenes], [scene.caption for scene in scenes]
    )
    inside, whole = np.zeros(len(CLASSES)), np.zeros(len(CLASSES))
    for scene, found in zip(scenes, labels, strict=True):
        truth = scene.class_mask()
        for label in find_phrases(scene.caption, phrases):
            value = 1 + CLASSES.index(label)
            inside[value - 1] += ((truth == value) & (found.semantic == value)).sum()
            whole[value - 1] += ((truth == value) | (found.semantic == value)).sum()
    assert float((inside[whole > 0] / whole[whole > 0]).mean()) > 0.7
