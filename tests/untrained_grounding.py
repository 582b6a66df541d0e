"""Untrained detectors of the real classes that are asked for phrases, small enough to look in milliseconds.

With random weights a box means nothing: these show that phrases, sizes and boxes fit together.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertConfig,
    BertTokenizerFast,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2ImageProcessor,
    Owlv2Processor,
    OwlViTConfig,
    OwlViTForObjectDetection,
    OwlViTImageProcessor,
    OwlViTProcessor,
    SwinConfig,
)
from untrained import untrained_tokenizer

_WORDS = ["car", "fire", "truck", "traffic", "light", "dog", "a", "photo", "of", "##s"]


def save_grounding_dino(folder: Path) -> Path:
    """Grounding DINO: twelve queries over three levels of a Swin transformer, and BERT; texts of up to 24 tokens."""
    torch.manual_seed(0)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?"]
    vocabulary = {word: index for index, word in enumerate([*special, *_WORDS])}
    tokenizer = BertTokenizerFast(vocab=vocabulary, model_max_length=24)
    text = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
    )
    backbone = SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=["stage2", "stage3", "stage4"],
    )
    config = GroundingDinoConfig(
        backbone_config=backbone,
        text_config=text,
        num_queries=12,
        encoder_layers=1,
        decoder_layers=2,
        d_model=32,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        max_text_len=24,
    )
    images = GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    return _saved(folder, GroundingDinoForObjectDetection(config), GroundingDinoProcessor(images, tokenizer))


def save_owlv2(folder: Path) -> Path:
    """OWLv2, which looks at an image padded to a square."""
    images = Owlv2ImageProcessor(size={"height": 64, "width": 64})
    return _save_owl(folder, Owlv2Config, Owlv2ForObjectDetection, images, Owlv2Processor)


def save_owlvit(folder: Path) -> Path:
    """OWL-ViT, which looks at an image stretched to a square."""
    images = OwlViTImageProcessor(size={"height": 64, "width": 64})
    return _save_owl(folder, OwlViTConfig, OwlViTForObjectDetection, images, OwlViTProcessor)


#: What saves such a model to a folder.
DETECTORS: dict[str, Callable[[Path], Path]] = {
    "grounding_dino": save_grounding_dino, "owlv2": save_owlv2, "owlvit": save_owlvit,
}  # fmt: skip


def _save_owl(folder: Path, config: type, kind: type, images: Any, processor: type) -> Path:
    torch.manual_seed(0)
    tokenizer = untrained_tokenizer(folder / "words", context=16)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {
        **sizes,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 16,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    model = kind(
        config(text_config=text, vision_config={**sizes, "image_size": 64, "patch_size": 16}, projection_dim=16)
    )
    return _saved(folder, model, processor(images, tokenizer))


def _saved(folder: Path, model: Any, processor: Any) -> Path:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
