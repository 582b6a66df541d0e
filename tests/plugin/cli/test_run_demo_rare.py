"""The demo of a rare thing: what it ships with does what it says."""

from __future__ import annotations

import json
from pathlib import Path

import fiftyone as fo
import pytest
from safetensors.torch import load_file

from diffucurate.generator.inversion.files import WORDS_DIR_VARIABLE
from diffucurate.generator.inversion.settings import Inversion
from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.labels.from_heatmaps import labels_from_heatmaps
from diffucurate.generator.painting.painter import paint
from diffucurate.generator.segmenters.files import SEGMENTERS_DIR_VARIABLE
from diffucurate.generator.sources.yolov8_source import YoloSource
from diffucurate.generator.tiny import rare_yolo_path
from diffucurate.generator.tiny.rare import EXAMPLES, PLACEHOLDER, SETTINGS, learned_piano, rare_caption
from diffucurate.plugin.cli import retrain_rare, run
from diffucurate.plugin.cli.retrain_rare import LESSONS, SEGMENTER, TEST_RENDERS
from diffucurate.plugin.cli.run_demo_rare import DATASET, EXAMPLES_DATASET, learn_piano_word, prompt_of, rare_recipe


def test_what_it_ships_with_was_learned_as_it_says() -> None:
    settings = Inversion(placeholder=PLACEHOLDER, **SETTINGS)
    word = load_file(learned_piano().word)
    assert list(word) == [PLACEHOLDER] and len(word[PLACEHOLDER]) == settings.vectors
    assert learned_piano().lora.stat().st_size < 1_000_000
    recipe = rare_recipe(PLACEHOLDER, 50, **learned_piano().recipe_parts())
    assert recipe.templates == ["a <piano> on a road"] == [prompt_of(PLACEHOLDER)]
    assert rare_caption("a red piano and two pianos on a road").count("{}") == 2


@pytest.mark.slow
def test_the_command(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SEGMENTERS_DIR_VARIABLE, str(tmp_path))
    for name, few in {
        "PIANOS": 3,
        "RENDERS": 12,
        "TESTED": 4,
        "TRAINING": {"epochs": 1, "learning_rate": 1e-6},
    }.items():
        monkeypatch.setattr(retrain_rare, name, few)
    assert run(["demo-rare", "--count", "1", "--no-app", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["before"] == {"images": 1, "pianos": 0, "mean_iou": None, "share": 0.0}
    assert told["after"]["images"] == 1 and told["recipe"] == learned_piano().recipe_parts()
    before, after = (told["detector"][name] for name in ("before", "after"))
    # One epoch at next to no learning rate: what it knew it still knows, and a piano is no class of it before.
    assert before["piano"] == 0 and after["others"] > 0.5 * before["others"] > 0.2
    assert (tmp_path / SEGMENTER / f"{SEGMENTER}.pt").is_file()
    for name in (LESSONS, TEST_RENDERS):
        fo.delete_dataset(name)
    dataset = fo.load_dataset(DATASET)
    assert sorted(dataset.values("prompt")) == ["a <piano> on a road", "a piano on a road"]
    assert None not in dataset.values("attention_mask") + dataset.values("yolov8_mask")
    fo.delete_dataset(DATASET)


def test_what_the_word_paints() -> None:
    """Most of a few images show a piano, and attention finds the same pixels as who knows pianos."""
    recipe = rare_recipe(PLACEHOLDER, 5, **learned_piano().recipe_parts()).model_copy(update={"steps": 12})
    todo = [job for job in jobs(recipe) if job.seed >= 2]
    paintings = list(paint(todo))
    labels = YoloSource(("piano",), rare_yolo_path()).label([painting.image for painting in paintings])
    ious = []
    for painting, truth in zip(paintings, labels, strict=True):
        height, width = truth.semantic.shape
        found = labels_from_heatmaps(painting.heatmaps, (height, width), ("piano",), image=painting.image)
        if truth.instances:
            seen, there = found.semantic == 1, truth.semantic == 1
            ious.append((seen & there).sum() / (seen | there).sum())
    assert len(ious) >= 2 and sum(ious) / len(ious) > 0.4


def test_the_word_can_be_learned_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORDS_DIR_VARIABLE, str(tmp_path))
    parts = learn_piano_word(steps=1, batch_size=1, preview_every=0, flip=False)
    assert Path(parts["tokens"][0]["path"]).is_file() and Path(parts["loras"][0]["path"]).is_file()
    dataset = fo.load_dataset(EXAMPLES_DATASET)
    assert len(dataset) == EXAMPLES and all(text.count("{}") == 1 for text in dataset.values("caption"))
    fo.delete_dataset(EXAMPLES_DATASET)
