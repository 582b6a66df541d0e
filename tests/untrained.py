"""Untrained pipelines of the real classes, small enough to paint in milliseconds.

One for each family of models that can be traced. Untrained attention is flat, so that nothing would show in it: the
queries and keys between image and text are made larger everywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PixArtAlphaPipeline,
    PixArtTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker, cosine_distance
from PIL import Image
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

from diffucurate.generator.tiny.words import CONTEXT_LENGTH, vocabulary, write_tokenizer_files


def untrained_tokenizer(folder: Path, context: int = CONTEXT_LENGTH) -> CLIPTokenizer:
    """The tiny world's tokenizer, its files in ``folder``, for prompts of up to ``context`` tokens."""
    write_tokenizer_files(folder)
    return CLIPTokenizer.from_pretrained(folder, model_max_length=context)


def untrained_t5_tokenizer() -> T5TokenizerFast:
    """A SentencePiece tokenizer of T5's kind: the tiny world's words are one token each, others are spelled out."""
    words = [(f"▁{word}", -3.0) for word in vocabulary() if word.isalpha()]
    pieces = [(piece, -5.0) for piece in ("▁", "s", "es", "▁pi", "an", "ano", *map(chr, range(33, 127)))]
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    unique = {piece: score for piece, score in [*pieces, *words]}
    return T5TokenizerFast(vocab=[*special, *unique.items()], extra_ids=0, model_max_length=512)


def untrained_pipeline(
    tokenizer: CLIPTokenizer,
    *,
    channels: tuple[int, ...] = (32, 64),
    width: int = 32,
    side: int = 128,
    kind: type = StableDiffusionPipeline,
    inputs: int = 4,
    prediction: str = "epsilon",
    **more: Any,
) -> Any:
    """Stable Diffusion 1.x or 2.x: cross-attention at every level (of ``channels``) over 16 x 16 latents of ``side``
    px images. ``kind`` is the pipeline's class, ``inputs`` its UNet's channels, ``prediction`` what that predicts,
    ``more`` the rest of its configuration."""
    torch.manual_seed(0)
    text_encoder, unet = _clip(tokenizer, width), _unet(channels, width, inputs, **more)
    schedule = DDIMScheduler(steps_offset=1, clip_sample=False, prediction_type=prediction)
    pipe = kind(_autoencoder(side), text_encoder, tokenizer, unet, schedule, None, None, requires_safety_checker=False)
    return ready(pipe, unet, (".attn2.to_q", ".attn2.to_k"))


def save_untrained(folder: Path) -> Path:
    """The folder of a saved ``untrained_pipeline`` below ``folder``: 64 px images of noise in milliseconds."""
    pipe = untrained_pipeline(untrained_tokenizer(folder / "words"), channels=(16, 32), width=16, side=64)
    pipe.save_pretrained(folder / "pipeline")
    return folder / "pipeline"


def add_safety_checker(pipe: Any, threshold: float) -> Any:
    """Give a Stable Diffusion an untrained safety checker, which blacks out each image whose ``unsafe_score`` is above
    ``threshold``, from -1 to 1."""
    torch.manual_seed(1)
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(vision_config={**vision, "image_size": 32, "patch_size": 8}, projection_dim=8)
    checker = StableDiffusionSafetyChecker(config).eval()
    with torch.no_grad():
        for parameter in checker.vision_model.parameters():
            parameter.mul_(20)  # so that images differ
        checker.visual_projection.weight.normal_()
        checker.concept_embeds.copy_(torch.randn(8).expand(17, 8))
        checker.concept_embeds_weights.fill_(threshold)
        checker.special_care_embeds_weights.fill_(2)  # never
    extractor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    pipe.register_modules(safety_checker=checker, feature_extractor=extractor)
    pipe.register_to_config(requires_safety_checker=True)
    return pipe


def unsafe_score(pipe: Any, image: np.ndarray) -> float:
    """What the untrained safety checker compares with its threshold, for an (H, W, 3) uint8 image."""
    pixels = pipe.feature_extractor(Image.fromarray(image), return_tensors="pt").pixel_values
    checker = pipe.safety_checker
    with torch.no_grad():
        embedded = checker.visual_projection(checker.vision_model(pixels)[1])
    return float(cosine_distance(embedded, checker.concept_embeds[:1]))


def untrained_xl(tokenizer: CLIPTokenizer, other: CLIPTokenizer) -> Any:
    """Stable Diffusion XL: two text encoders of different widths, and what it is told of the image's size."""
    torch.manual_seed(0)
    unet = _unet(
        (32, 64),
        24 + 40,
        4,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 40,
    )
    pipe = StableDiffusionXLPipeline(
        _autoencoder(128),
        _clip(tokenizer, 24),
        _clip(other, 40, CLIPTextModelWithProjection),
        tokenizer,
        other,
        unet,
        DDIMScheduler(steps_offset=1, clip_sample=False),
        add_watermarker=False,
    )
    return ready(pipe, unet, (".attn2.to_q", ".attn2.to_k"))


def untrained_sd3(
    tokenizer: CLIPTokenizer, *, layers: int = 3, dual: tuple[int, ...] = (), norm: str | None = None, channels: int = 4
) -> Any:
    """Stable Diffusion 3: CLIP twice and T5. ``dual`` blocks and a ``norm`` make it 3.5; real ones have latents of 16
    ``channels``, without which diffusers does not inpaint."""
    torch.manual_seed(0)
    transformer = SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=channels,
        out_channels=channels,
        num_layers=layers,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=32,
        caption_projection_dim=16,
        pooled_projection_dim=12 + 16,
        pos_embed_max_size=24,
        dual_attention_layers=dual,
        qk_norm=norm,
    )
    pipe = StableDiffusion3Pipeline(
        transformer,
        FlowMatchEulerDiscreteScheduler(),
        _autoencoder(128, channels),
        _clip(tokenizer, 12, CLIPTextModelWithProjection),
        tokenizer,
        _clip(tokenizer, 16, CLIPTextModelWithProjection),
        tokenizer,
        _t5(32),
        untrained_t5_tokenizer(),
    )
    return ready(pipe, transformer, (".attn.to_q", ".attn.add_k_proj", ".attn.norm_q", ".attn.norm_added_k"))


def untrained_flux(tokenizer: CLIPTokenizer, *, layers: int = 4, singles: int = 1) -> Any:
    """Flux: CLIP for one vector, T5 for the words, rotary positions, guidance as a number."""
    torch.manual_seed(0)
    transformer = FluxTransformer2DModel(
        in_channels=16,
        num_layers=layers,
        num_single_layers=singles,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=12,
        guidance_embeds=True,
        axes_dims_rope=(2, 2, 4),
    )
    pipe = FluxPipeline(
        FlowMatchEulerDiscreteScheduler(),
        _autoencoder(128),
        _clip(tokenizer, 12),
        tokenizer,
        _t5(32),
        untrained_t5_tokenizer(),
        transformer,
    )
    return ready(pipe, transformer, (".attn.norm_q", ".attn.norm_added_k"))


def untrained_pixart(*, layers: int = 2) -> Any:
    """PixArt: T5 alone, read by cross-attention in every block."""
    torch.manual_seed(0)
    transformer = PixArtTransformer2DModel(
        sample_size=16,
        num_layers=layers,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=2,
        in_channels=4,
        out_channels=8,
        caption_channels=32,
        cross_attention_dim=16,
        use_additional_conditions=False,
    )
    pipe = PixArtAlphaPipeline(
        untrained_t5_tokenizer(), _t5(32), _autoencoder(128), transformer, DDIMScheduler(clip_sample=False)
    )
    return ready(pipe, transformer, (".attn2.to_q", ".attn2.to_k"))


def _unet(channels: tuple[int, ...], width: int, inputs: int, **more: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=channels,
        layers_per_block=1,
        cross_attention_dim=width,
        in_channels=inputs,
        down_block_types=("CrossAttnDownBlock2D",) * len(channels),
        up_block_types=("CrossAttnUpBlock2D",) * len(channels),
        attention_head_dim=4,
        norm_num_groups=8,
        **more,
    )


def _clip(tokenizer: CLIPTokenizer, width: int, kind: type = CLIPTextModel) -> Any:
    return kind(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            projection_dim=width,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _t5(width: int) -> T5EncoderModel:
    words = len(untrained_t5_tokenizer())
    return T5EncoderModel(T5Config(vocab_size=words, d_model=width, d_kv=8, d_ff=32, num_layers=2, num_heads=2)).eval()


def _autoencoder(side: int, channels: int = 4) -> AutoencoderKL:
    levels = (side // 16).bit_length()
    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels,
        block_out_channels=[8] * levels,
        norm_num_groups=4,
        sample_size=side,
        mid_block_add_attention=False,
        shift_factor=0.0,
        latent_channels=channels,
    )


def ready(pipe: Any, model: torch.nn.Module, sharpened: tuple[str, ...]) -> Any:
    """Sharpens the weights whose names have these parts, and readies the pipeline for the CPU."""
    for name, parameter in model.named_parameters():
        if any(part in name for part in sharpened) and name.endswith("weight"):
            torch.nn.init.normal_(parameter, std=2.0 if parameter.ndim == 1 else 0.6)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to("cpu")
