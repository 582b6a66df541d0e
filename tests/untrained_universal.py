"""Untrained segmenters of the real classes, each with four classes of its own, small enough to look in milliseconds.

With random weights a mask means nothing: these show that classes, sizes, paddings and probabilities fit together.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    DetrConfig,
    EomtConfig,
    EomtForUniversalSegmentation,
    EomtImageProcessor,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    Mask2FormerImageProcessor,
    MaskFormerConfig,
    MaskFormerForInstanceSegmentation,
    MaskFormerImageProcessor,
    OneFormerConfig,
    OneFormerForUniversalSegmentation,
    OneFormerImageProcessor,
    OneFormerProcessor,
    RfDetrConfig,
    RfDetrForInstanceSegmentation,
    RfDetrImageProcessor,
    SegformerConfig,
    SegformerForSemanticSegmentation,
    SegformerImageProcessor,
    SwinConfig,
)
from untrained import untrained_tokenizer

#: The models' own classes.
NAMES = ["Car", "sedan", "dog", "traffic light"]

_LABELS = {"id2label": dict(enumerate(NAMES)), "label2id": {name: index for index, name in enumerate(NAMES)}}

_SIZE = {"shortest_edge": 64, "longest_edge": 96}


def save_mask2former(folder: Path) -> Path:
    """Mask2Former: six queries over a Swin transformer of four stages; images are padded to multiples of 32."""
    torch.manual_seed(0)
    config = Mask2FormerConfig(
        backbone_config=_swin(),
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=6,
        **_LABELS,
    )
    model = Mask2FormerForUniversalSegmentation(config)
    _decide(model.class_predictor, model.model.transformer_module.queries_features)
    return _saved(folder, model, Mask2FormerImageProcessor(size=_SIZE, ignore_index=255))


def save_maskformer(folder: Path) -> Path:
    """MaskFormer: the same with one mask head at the end."""
    torch.manual_seed(0)
    decoder = DetrConfig(
        use_timm_backbone=False,
        backbone_config=_swin(),
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_queries=6,
    )
    config = MaskFormerConfig(
        backbone_config=_swin(), decoder_config=decoder, fpn_feature_size=32, mask_feature_size=32, **_LABELS
    )
    model = MaskFormerForInstanceSegmentation(config)
    _decide(model.class_predictor, model.model.transformer_module.queries_embedder)
    return _saved(folder, model, MaskFormerImageProcessor(size=_SIZE, ignore_index=255))


def save_oneformer(folder: Path) -> Path:
    """OneFormer, which is told its task by a sentence. The file of class names is nowhere, as without a network."""
    torch.manual_seed(0)
    tokenizer = untrained_tokenizer(folder / "words")
    config = OneFormerConfig(
        backbone_config=_swin(),
        conv_dim=32,
        mask_dim=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=3,
        query_dec_layers=1,
        num_attention_heads=2,
        num_queries=7,
        task_seq_len=tokenizer.model_max_length,
        text_encoder_width=16,
        text_encoder_num_layers=1,
        text_encoder_vocab_size=len(tokenizer),
        text_encoder_context_length=tokenizer.model_max_length,
        **_LABELS,
    )
    model = OneFormerForUniversalSegmentation(config)
    images = OneFormerImageProcessor(size=_SIZE, ignore_index=255)
    images.class_info_file = "coco_panoptic.json"
    return _saved(folder, model, OneFormerProcessor(images, tokenizer, task_seq_length=tokenizer.model_max_length))


def save_eomt(folder: Path, *, semantic: bool = False) -> Path:
    """EoMT: six queries in a plain vision transformer. One for semantic segmentation looks at squares of an image one
    after another, another at the image padded to a square."""
    torch.manual_seed(0)
    config = EomtConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=64,
        patch_size=8,
        num_blocks=1,
        num_queries=6,
        num_upscale_blocks=1,
        **_LABELS,
    )
    model = EomtForUniversalSegmentation(config)
    _decide(model.class_predictor, model.query)
    size = {"shortest_edge": 64, "longest_edge": None if semantic else 64}
    return _saved(folder, model, EomtImageProcessor(size=size, do_split_image=semantic, do_pad=not semantic))


def save_segformer(folder: Path) -> Path:
    """SegFormer, made for semantic segmentation alone: four stages over an image that is stretched to a square."""
    torch.manual_seed(0)
    config = SegformerConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 16, 16],
        num_attention_heads=[1, 1, 2, 2],
        mlp_ratios=[1, 1, 1, 1],
        decoder_hidden_size=16,
        **_LABELS,
    )
    model = SegformerForSemanticSegmentation(config)
    with torch.no_grad():
        model.decode_head.classifier.weight.normal_(std=2)
    return _saved(folder, model, SegformerImageProcessor(size={"height": 64, "width": 64}))


def save_rf_detr(folder: Path) -> Path:
    """RF-DETR: six queries in a plain vision transformer; its classes do not exclude each other."""
    torch.manual_seed(0)
    backbone = {
        "model_type": "rf_detr_dinov2",
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 64,
        "patch_size": 16,
        "num_windows": 1,
        "num_register_tokens": 0,
        "out_features": ["stage1", "stage2"],
    }
    config = RfDetrConfig(
        backbone_config=backbone,
        d_model=16,
        decoder_ffn_dim=16,
        decoder_layers=1,
        decoder_self_attention_heads=2,
        decoder_cross_attention_heads=2,
        num_queries=6,
        group_detr=1,
        intermediate_size=16,
        **_LABELS,
    )
    model = RfDetrForInstanceSegmentation(config)
    return _saved(folder, model, RfDetrImageProcessor(size={"height": 64, "width": 64}))


#: What saves such a model to a folder.
UNIVERSAL: dict[str, Callable[[Path], Path]] = {
    "mask2former": save_mask2former, "maskformer": save_maskformer, "oneformer": save_oneformer, "eomt": save_eomt,
    "rf_detr": save_rf_detr, "segformer": save_segformer,
}  # fmt: skip


def _swin() -> SwinConfig:
    return SwinConfig(
        image_size=64,
        patch_size=4,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )


def _decide(head: torch.nn.Linear, queries: torch.nn.Embedding) -> None:
    """Make queries differ and be sure of their classes."""
    with torch.no_grad():
        queries.weight.mul_(10)
        head.weight.normal_(std=2)


def _saved(folder: Path, model: Any, processor: Any) -> Path:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
