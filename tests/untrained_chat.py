"""Untrained pipelines of the real classes whose text encoder is a language model: Flux.2, Qwen-Image and Z-Image.

Their prompts stand in a conversation that a chat template writes. One token for each of the tiny world's words keeps
the contexts short; other words are one token per byte.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Pipeline,
    Flux2Transformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from tokenizers import pre_tokenizers
from transformers import (
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    PixtralImageProcessor,
    PixtralProcessor,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from untrained import ready

from diffucurate.generator.tiny.words import vocabulary

#: Qwen's conversation, with the empty thought that the template writes where thinking is off.
_QWEN = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
#: Mistral's: what the system says, and what the user says.
_MISTRAL = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'system' %}[SYSTEM_PROMPT]{{ message.content[0].text }}[/SYSTEM_PROMPT]"
    "{% else %}[INST]{{ message.content[0].text }}[/INST]{% endif %}{% endfor %}"
)
_QWEN_SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>",
    "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
_MISTRAL_SPECIAL = (
    "<unk>", "<s>", "</s>", "<pad>", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[INST]", "[/INST]",
    "[IMG]", "[IMG_BREAK]", "[IMG_END]",
)  # fmt: skip


def untrained_qwen_tokenizer() -> Qwen2Tokenizer:
    """A byte-level BPE tokenizer of Qwen's class, whose words begin with the space before them."""
    return _byte_level(
        _QWEN_SPECIAL,
        _QWEN,
        {"unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "eos_token": "<|im_end|>"},
    )


def untrained_mistral_processor() -> PixtralProcessor:
    """Flux.2's processor, whose tokenizer pads on the left."""
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    tokenizer = _byte_level(_MISTRAL_SPECIAL, _MISTRAL, {**names, "padding_side": "left"})
    return PixtralProcessor(PixtralImageProcessor(), tokenizer, chat_template=_MISTRAL)


def untrained_flux2(*, layers: int = 4, singles: int = 1) -> Any:
    """Flux.2 dev: Mistral's states of layers 10, 20 and 30 side by side, guidance as a number."""
    torch.manual_seed(0)
    processor = untrained_mistral_processor()
    encoder = Mistral3ForConditionalGeneration(
        Mistral3Config(
            text_config={"model_type": "mistral", **_language_model(len(processor.tokenizer), 30)},
            vision_config={
                "model_type": "pixtral",
                "hidden_size": 8,
                "intermediate_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "head_dim": 4,
                "image_size": 32,
                "patch_size": 16,
            },
            image_token_id=processor.tokenizer.convert_tokens_to_ids("[IMG]"),
        )
    ).eval()
    transformer = _flux2_transformer(layers, singles, guided=True)
    pipe = Flux2Pipeline(_schedule(), _flux2_autoencoder(), encoder, processor, transformer)
    return ready(pipe, transformer, _JOINT)


def untrained_klein(*, layers: int = 4, singles: int = 1, kind: type = Flux2KleinPipeline) -> Any:
    """Flux.2 klein: Qwen3's states of layers 9, 18 and 27, and guidance by passes with the empty prompt."""
    torch.manual_seed(0)
    tokenizer = untrained_qwen_tokenizer()
    transformer = _flux2_transformer(layers, singles, guided=False)
    pipe = kind(_schedule(), _flux2_autoencoder(), _qwen3(len(tokenizer), 27), tokenizer, transformer)
    return ready(pipe, transformer, _JOINT)


def untrained_qwen_image(*, layers: int = 5, kind: type = QwenImagePipeline, **more: Any) -> Any:
    """Qwen-Image: Qwen2.5-VL, of whose states those of the template's beginning are dropped."""
    torch.manual_seed(0)
    tokenizer = untrained_qwen_tokenizer()
    transformer = QwenImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=layers,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(2, 2, 4),
    )
    pipe = kind(
        scheduler=_schedule(),
        vae=_qwen_autoencoder(),
        text_encoder=_qwen25_vl(tokenizer),
        tokenizer=tokenizer,
        transformer=transformer,
        **more,
    )
    template = pipe.prompt_template_encode.split("{}")[0]
    pipe.prompt_template_encode_start_idx = len(tokenizer(template.split("<|vision_start|>")[0]).input_ids)
    return ready(pipe, transformer, _JOINT)


def untrained_z_image(*, layers: int = 7) -> Any:
    """Z-Image: Qwen3, and one stream in which the text follows the image."""
    torch.manual_seed(0)
    tokenizer = untrained_qwen_tokenizer()
    transformer = ZImageTransformer2DModel(
        in_channels=4,
        dim=16,
        n_layers=layers,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=16,
        axes_dims=[2, 2, 4],
        axes_lens=[256, 64, 64],
    )
    for token in (transformer.x_pad_token, transformer.cap_pad_token):
        torch.nn.init.normal_(token)
    levels = [8] * 4
    autoencoder = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=levels,
        norm_num_groups=4,
        sample_size=128,
        mid_block_add_attention=False,
        shift_factor=0.1,
    )
    pipe = ZImagePipeline(_schedule(), autoencoder, _qwen3(len(tokenizer)), tokenizer, transformer)
    return ready(pipe, transformer, (".attention.norm_q", ".attention.norm_k"))


_JOINT = (".attn.norm_q", ".attn.norm_k", ".attn.norm_added_q", ".attn.norm_added_k")


def _byte_level(special: tuple[str, ...], template: str, names: dict[str, str]) -> Qwen2Tokenizer:
    """A token for each byte, for each word with and without a space before it, and the special ones."""
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokens, merges = dict.fromkeys(sorted(alphabet)), []
    words = [word for word in vocabulary() if word.isalpha()]
    for spelling in [*("Ġ" + word for word in words), *words]:
        for length in range(2, len(spelling) + 1):
            if spelling[:length] not in tokens:
                tokens[spelling[:length]] = None
                merges.append((spelling[: length - 1], spelling[length - 1]))
    vocab = {token: number for number, token in enumerate([*special, *tokens])}
    return Qwen2Tokenizer(
        vocab=vocab, merges=merges, chat_template=template, additional_special_tokens=list(special), **names
    )


def _language_model(words: int, layers: int) -> dict[str, Any]:
    return {
        "vocab_size": words,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "max_position_embeddings": 2048,
        "bos_token_id": None,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }


def _qwen3(words: int, layers: int = 2) -> Qwen3ForCausalLM:
    return Qwen3ForCausalLM(Qwen3Config(**_language_model(words, layers))).eval()


def _qwen25_vl(tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLForConditionalGeneration:
    language = _language_model(len(tokenizer), 2)
    language["rope_scaling"] = {"type": "mrope", "mrope_section": [1, 1, 2]}
    tokens = {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{spelling}|>")
        for name, spelling in [
            ("image", "image_pad"),
            ("video", "video_pad"),
            ("vision_start", "vision_start"),
            ("vision_end", "vision_end"),
        ]
    }
    vision = {
        "depth": 1,
        "hidden_size": 8,
        "intermediate_size": 16,
        "num_heads": 2,
        "out_hidden_size": 16,
        "patch_size": 14,
        "window_size": 28,
        "fullatt_block_indexes": [0],
    }
    config = Qwen2_5_VLConfig(text_config=language, vision_config=vision, **tokens)
    return Qwen2_5_VLForConditionalGeneration(config).eval()


def _flux2_transformer(layers: int, singles: int, *, guided: bool) -> Flux2Transformer2DModel:
    return Flux2Transformer2DModel(
        in_channels=16,
        num_layers=layers,
        num_single_layers=singles,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=48,
        timestep_guidance_channels=8,
        axes_dims_rope=(2, 2, 2, 2),
        guidance_embeds=guided,
    )


def _flux2_autoencoder() -> AutoencoderKLFlux2:
    autoencoder = AutoencoderKLFlux2(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8,) * 4,
        norm_num_groups=4,
        sample_size=128,
        latent_channels=4,
        mid_block_add_attention=False,
    ).eval()
    autoencoder.bn.running_mean.normal_(std=0.1)
    autoencoder.bn.running_var.uniform_(0.5, 2)
    return autoencoder


def _qwen_autoencoder() -> AutoencoderKLQwenImage:
    return AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        latents_mean=[-0.1, 0.0, 0.1, 0.2],
        latents_std=[0.5, 1.0, 1.5, 2.0],
    ).eval()


def _schedule() -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler()
