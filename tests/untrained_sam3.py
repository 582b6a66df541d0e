"""An untrained SAM 3 of the real class, small enough to look in milliseconds; what it finds means nothing."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import Sam3Config, Sam3ImageProcessor, Sam3Model, Sam3Processor
from untrained import untrained_tokenizer

#: Pixels of the square that images are stretched to, and of its patches.
_SIDE, _PATCH = 112, 14


def save_sam3(folder: Path) -> Path:
    """Twenty queries over a transformer of two layers; texts of up to 32 tokens."""
    torch.manual_seed(0)
    tokenizer = untrained_tokenizer(folder / "words", context=32)
    grid = _SIDE // _PATCH
    heads = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32}
    layers = {**heads, "num_layers": 1}
    config = Sam3Config(
        vision_config={
            "backbone_config": {
                **heads,
                "model_type": "sam3_vit_model",
                "num_hidden_layers": 2,
                "image_size": _SIDE,
                "pretrain_image_size": _SIDE,
                "patch_size": _PATCH,
                "window_size": 4,
                "global_attn_indexes": [1],
            },
            "fpn_hidden_size": 32,
            "backbone_feature_sizes": [[grid * 4] * 2, [grid * 2] * 2, [grid] * 2],
        },
        text_config={
            **heads,
            "model_type": "clip_text_model",
            "vocab_size": len(tokenizer),
            "projection_dim": 16,
            "num_hidden_layers": 1,
            "max_position_embeddings": 32,
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        geometry_encoder_config=layers,
        detr_encoder_config=layers,
        detr_decoder_config={**layers, "num_queries": 20},
        mask_decoder_config={"hidden_size": 32, "num_attention_heads": 2},
    )
    Sam3Model(config).save_pretrained(folder)
    size = {"height": _SIDE, "width": _SIDE}
    Sam3Processor(Sam3ImageProcessor(size=size), tokenizer).save_pretrained(folder)
    return folder
