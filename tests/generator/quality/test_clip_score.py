"""CLIP scores of an untrained model: the same numbers as transformers' own way, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor
from untrained import untrained_tokenizer

from diffucurate.generator.errors import ModelError
from diffucurate.generator.quality.clip_score import ClipScorer


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    tokenizer = untrained_tokenizer(folder / "tokenizer")
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    text = {**small, **ends, "vocab_size": len(tokenizer), "max_position_embeddings": tokenizer.model_max_length}
    vision = {**small, "image_size": 32, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)).save_pretrained(folder)
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPProcessor(CLIPImageProcessor(**size), tokenizer).save_pretrained(folder)
    return folder


def test_scores_are_the_softmax_of_both_texts(clip: Path) -> None:
    chance = np.random.default_rng(0)
    images = [chance.integers(0, 256, shape, np.uint8) for shape in ((40, 48, 3), (32, 32, 3), (40, 48, 3))]
    scores = ClipScorer(str(clip), "cpu").scores(images, [["car", "red bus"], [], ["bus"]])
    model, processor = CLIPModel.from_pretrained(clip).eval(), CLIPProcessor.from_pretrained(clip)

    def expected(image, phrase):
        inputs = processor(text=[f"a {phrase}", f"not a {phrase}"], images=image, return_tensors="pt", padding=True)
        with torch.inference_mode():
            return float(model(**inputs).logits_per_image.softmax(dim=-1)[0, 0])

    least = min(expected(images[0], "car"), expected(images[0], "red bus"))
    assert scores == [pytest.approx(least, abs=1e-5), None, pytest.approx(expected(images[2], "bus"), abs=1e-5)]


def test_other_models_are_refused(model_folder: str) -> None:
    with pytest.raises(ModelError, match=r"config\.json|does not compare"):
        ClipScorer(model_folder)
    with pytest.raises(ModelError, match="openai/clip-vit-base-patch32"):
        ClipScorer("/nowhere/clip")
