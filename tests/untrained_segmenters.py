"""Untrained Segment Anything models of the real classes, small enough to look at an image in milliseconds.

With random weights a mask means nothing: these show that boxes, points, sizes and masks fit together.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    Sam2Config,
    Sam2HieraDetConfig,
    Sam2ImageProcessor,
    Sam2MaskDecoderConfig,
    Sam2Model,
    Sam2Processor,
    Sam2PromptEncoderConfig,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam2VisionConfig,
    SamConfig,
    SamImageProcessor,
    SamMaskDecoderConfig,
    SamModel,
    SamProcessor,
    SamPromptEncoderConfig,
    SamVisionConfig,
)

#: Pixels a side at which these models look at an image; their masks have half of it.
SIDE = 64

_DECODER = {
    "hidden_size": 16, "mlp_dim": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
}  # fmt: skip


def save_sam(folder: Path) -> Path:
    """SAM: one windowed and one global layer over patches of 8 pixels."""
    torch.manual_seed(0)
    config = SamConfig(
        vision_config=SamVisionConfig(
            hidden_size=16,
            output_channels=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=SIDE,
            patch_size=8,
            window_size=4,
            global_attn_indexes=[1],
            num_pos_feats=8,
            mlp_dim=16,
            initializer_range=0.02,
        ).to_dict(),
        prompt_encoder_config=SamPromptEncoderConfig(
            hidden_size=16, image_size=SIDE, patch_size=8, mask_input_channels=4
        ).to_dict(),
        mask_decoder_config=SamMaskDecoderConfig(**_DECODER).to_dict(),
    )
    square = {"height": SIDE, "width": SIDE}
    processor = SamProcessor(SamImageProcessor(size={"longest_edge": SIDE}, pad_size=square))
    return _saved(folder, SamModel(config), processor)


def save_sam2(folder: Path) -> Path:
    """SAM 2: a pyramid of four stages."""
    torch.manual_seed(0)
    return _saved(folder, Sam2Model(Sam2Config(**_sam2())), _sam2_processor())


def save_sam2_video(folder: Path) -> Path:
    """SAM 2 as its makers publish it: the model for videos, which holds the one for images."""
    torch.manual_seed(0)
    config = Sam2VideoConfig(
        **_sam2(),
        image_size=SIDE,
        memory_attention_hidden_size=16,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=16,
        memory_attention_rope_feat_sizes=[4, 4],
        memory_encoder_hidden_size=16,
        memory_encoder_output_channels=8,
        mask_downsampler_embed_dim=16,
        memory_fuser_num_layers=1,
        memory_fuser_embed_dim=16,
        memory_fuser_intermediate_dim=16,
    )
    return _saved(folder, Sam2VideoModel(config), _sam2_processor())


def save_sam3_tracker(folder: Path) -> Path:
    """The part of SAM 3 that takes boxes and points; transformers has it from version 5 on."""
    from transformers import (
        Sam3ImageProcessor,
        Sam3TrackerConfig,
        Sam3TrackerMaskDecoderConfig,
        Sam3TrackerModel,
        Sam3TrackerProcessor,
        Sam3TrackerPromptEncoderConfig,
        Sam3VisionConfig,
        Sam3ViTConfig,
    )

    torch.manual_seed(0)
    backbone = Sam3ViTConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=8,
        window_size=4,
        global_attn_indexes=[1],
        pretrain_image_size=32,
    )
    vision = Sam3VisionConfig(
        backbone_config=backbone.to_dict(), fpn_hidden_size=16, backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]]
    )
    prompts = Sam3TrackerPromptEncoderConfig(hidden_size=16, image_size=SIDE, patch_size=8, mask_input_channels=4)
    config = Sam3TrackerConfig(
        vision_config=vision.to_dict(),
        prompt_encoder_config=prompts.to_dict(),
        mask_decoder_config=Sam3TrackerMaskDecoderConfig(**_DECODER).to_dict(),
    )
    processor = Sam3TrackerProcessor(Sam3ImageProcessor(size={"height": SIDE, "width": SIDE}))
    return _saved(folder, Sam3TrackerModel(config), processor)


#: model_type -> what saves such a model to a folder.
SEGMENTERS: dict[str, Callable[[Path], Path]] = {
    "sam": save_sam, "sam2": save_sam2, "sam2_video": save_sam2_video, "sam3_tracker": save_sam3_tracker,
}  # fmt: skip


def _sam2() -> dict[str, dict[str, object]]:
    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[SIDE, SIDE],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 12, 16, 20],
        num_attention_heads_per_stage=[1, 1, 1, 1],
        window_size_per_stage=[4, 4, 4, 4],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[2, 2],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone.to_dict(),
        backbone_channel_list=[20, 16, 12, 8],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=16,
    )
    prompts = Sam2PromptEncoderConfig(hidden_size=16, image_size=SIDE, patch_size=16, mask_input_channels=4)
    return {
        "vision_config": vision.to_dict(),
        "prompt_encoder_config": prompts.to_dict(),
        "mask_decoder_config": Sam2MaskDecoderConfig(**_DECODER).to_dict(),
    }


def _sam2_processor() -> Sam2Processor:
    return Sam2Processor(Sam2ImageProcessor(size={"height": SIDE, "width": SIDE}))


def _saved(folder: Path, model: Any, processor: Any) -> Path:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
