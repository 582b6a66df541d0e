"""What a single ``.safetensors`` file holds, by the names of its tensors. Reads nothing itself."""

from __future__ import annotations

from collections.abc import Collection

#: What a file is by a part of one of its tensors' names, the first that fits; and what to do with it instead.
_OTHERS = (
    (("lora_", ".lora.", "hada_w", "lokr_w"), "a LoRA; name it under loras of a recipe, beside the model it is for"),
    (
        ("control_model.", "controlnet_cond_embedding."),
        "a ControlNet, which paints nothing alone; give its base model",
    ),
    (("joint_blocks.",), "Stable Diffusion 3; give the folder of the whole pipeline in diffusers' format"),
    (("double_blocks.",), "Flux; give the folder of the whole pipeline in diffusers' format"),
    (("motion_modules.",), "a motion module for videos; give a text-to-image model"),
)
_REFINER = "the refiner of Stable Diffusion XL, which paints no images from text; give the base model"
_EMBEDDING = "a learned word; name it under tokens of a recipe, beside the model it is for"
_AUTOENCODER = "an autoencoder (VAE) alone; give the whole model"
_UNKNOWN = "no Stable Diffusion 1.x, 2.x or XL; give the folder of its pipeline in diffusers' format"

#: The most tensors that a learned word has.
_WORD = 4


def other_kind(names: Collection[str]) -> str | None:
    """What a file with tensors of these names is, and what to do with it; None where it is a Stable Diffusion."""
    for parts, kind in _OTHERS:
        if any(part in name for name in names for part in parts):
            return kind
    starts = {name.split(".", 1)[0] for name in names}
    if any(name.startswith("conditioner.embedders.0.model.") for name in names) and not any(
        name.startswith("conditioner.embedders.1.") for name in names
    ):
        return _REFINER
    if "model" in starts and any(name.startswith("model.diffusion_model.") for name in names):
        return None
    if starts & {"first_stage_model", "decoder", "encoder", "quant_conv"}:
        return _AUTOENCODER
    if 0 < len(names) <= _WORD:
        return _EMBEDDING
    return _UNKNOWN
