"""What a model paints well with: size, steps, guidance and precision, by its family and what its configurations say.

The values are those that the makers of each family publish. Loads no weights; imports neither torch nor diffusers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from diffucurate.generator.models.configs import Configs, read_configs
from diffucurate.generator.models.few_steps import FewSteps, few_steps
from diffucurate.generator.recipe.model_options import ModelOptions

_LARGEST_SAMPLE = 1024


@dataclass(frozen=True)
class ModelDefaults:
    """What a recipe's keys are where it leaves them out, and which of them have an effect.

    Attributes:
        family: the model's, for people, such as ``Stable Diffusion XL``; with what it was distilled to.
        reason: by what that was recognised, where the family alone does not say it.
        size: (width, height) in pixels.
        steps, guidance: as in a recipe.
        dtype: of the weights on a CUDA device, as torch names it: ``float16`` or ``bfloat16``.
        guided: whether its guidance scale changes an image.
        negative: whether a negative prompt does, where the guidance scale is above ``off``.
        off: the guidance scale up to which there is no classifier-free guidance.
    """

    family: str
    size: tuple[int, int]
    steps: int
    guidance: float
    dtype: str = "float16"
    guided: bool = True
    negative: bool = True
    off: float = 1.0
    reason: str = ""


def defaults_of(model: str, options: ModelOptions | None = None, *, local_only: bool = False) -> ModelDefaults:
    """What a model paints well with.

    Args:
        model: "tiny", a folder, a ``.safetensors`` file or a hub id.
        options: LoRAs that were distilled to few steps count too, by their names; of LCM only with the sampler ``lcm``.
        local_only: whether the configurations of a hub id have to be in the local cache.

    Raises:
        ModelError: there is no such model, or its configurations cannot be read or downloaded.
    """
    configs = read_configs(model, local_only=local_only)
    defaults = _of_family(configs)
    return defaults if options is None else _with_loras(defaults, configs, options)


def _of_family(configs: Configs) -> ModelDefaults:
    family = next((make for start, make in _FAMILIES.items() if configs.pipeline.startswith(start)), _unknown)
    defaults, named = family(configs), few_steps(configs.name)
    if named is None or defaults.reason:
        return defaults
    return _as_named(defaults, named, "by its name")


def _with_loras(defaults: ModelDefaults, configs: Configs, options: ModelOptions) -> ModelDefaults:
    for lora in options.loras:
        named = few_steps(lora.path)
        if named is not None and (named.kind != "LCM" or _sampler(configs, options) == "lcm"):
            return _as_named(defaults, named, f"by LoRA {lora.path}")
    return defaults


def _as_named(defaults: ModelDefaults, named: FewSteps, reason: str) -> ModelDefaults:
    """The same, distilled as a name says. Guidance that is an input of the network, as Flux's, stays."""
    guidance = 1.0 if named.kind == "LCM" else 0.0
    keeps = named.guided or not defaults.negative
    return _distilled(defaults, named.kind, named.steps, defaults.guidance if keeps else guidance, reason)


def _sampler(configs: Configs, options: ModelOptions) -> str | None:
    if options.scheduler is not None:
        return options.scheduler
    return "lcm" if configs.scheduler.get("_class_name") == "LCMScheduler" else None


def _distilled(defaults: ModelDefaults, kind: str, steps: int, guidance: float, reason: str) -> ModelDefaults:
    return replace(defaults, family=f"{defaults.family} {kind}", steps=steps, guidance=guidance, reason=reason)


def _size(configs: Configs, side: int | None = None, missing: int = 64) -> tuple[int, int]:
    """The (width, height) that a model was made for.

    Args:
        configs: the model's.
        side: of its latents, where the pipeline says it and not the configuration.
        missing: the same, where the configuration lacks it.
    """
    levels = configs.vae.get("block_out_channels") or configs.vae.get("dim_mult")
    scale = 2 ** (len(levels) - 1) if isinstance(levels, list) and levels else 8
    named: Any = side if side is not None else configs.denoiser.get("sample_size")
    height, width = named if isinstance(named, list) and len(named) == 2 else (named, named)
    if not all(isinstance(each, int) and 0 < each <= _LARGEST_SAMPLE for each in (width, height)):
        width = height = missing
    return _multiple(width * scale), _multiple(height * scale)


def _multiple(pixels: int) -> int:
    return max(8, pixels // 8 * 8)


def _stable_diffusion(configs: Configs) -> ModelDefaults:
    is_2 = configs.denoiser.get("cross_attention_dim") == 1024
    missing = 96 if is_2 and configs.scheduler.get("prediction_type") == "v_prediction" else 64
    family = f"Stable Diffusion {2 if is_2 else 1}"
    return _few_step_unet(configs, ModelDefaults(family, _size(configs, missing=missing), 30, 7.5))


def _stable_diffusion_xl(configs: Configs) -> ModelDefaults:
    size = _size(configs, missing=128)
    if str(configs.scheduler.get("_class_name")).startswith("EDM"):
        return ModelDefaults("Playground", size, 50, 3.0, reason="by its scheduler")
    return _few_step_unet(configs, ModelDefaults("Stable Diffusion XL", size, 30, 5.0))


def _few_step_unet(configs: Configs, defaults: ModelDefaults) -> ModelDefaults:
    """The same for a UNet that was distilled, by what it is told or by how its scheduler takes its steps."""
    scheduler = configs.scheduler
    kind = str(scheduler.get("_class_name"))
    if configs.denoiser.get("time_cond_proj_dim"):  # guidance is an input of the network
        return replace(_distilled(defaults, "LCM", 4, 8.0, "by its time_cond_proj_dim"), negative=False)
    if kind == "LCMScheduler":
        return _distilled(defaults, "LCM", 4, 1.0, "by its scheduler")
    trailing = scheduler.get("timestep_spacing") == "trailing" and kind.startswith("Euler")
    plain = scheduler.get("prediction_type", "epsilon") == "epsilon" and not scheduler.get("rescale_betas_zero_snr")
    if trailing and plain:
        return _distilled(defaults, "Turbo", 4, 0.0, "by its scheduler's timestep_spacing")
    return defaults


def _stable_diffusion_3(configs: Configs) -> ModelDefaults:
    size = _size(configs, missing=128)
    if configs.denoiser.get("qk_norm") is None:
        return ModelDefaults("Stable Diffusion 3", size, 28, 7.0, "bfloat16")
    layers = configs.denoiser.get("num_layers")
    if isinstance(layers, int) and layers >= 38:
        return ModelDefaults("Stable Diffusion 3.5 Large", size, 28, 3.5, "bfloat16")
    return ModelDefaults("Stable Diffusion 3.5", size, 40, 4.5, "bfloat16")


def _flux(configs: Configs) -> ModelDefaults:
    size = _size(configs, 128)
    if configs.denoiser.get("guidance_embeds"):
        return ModelDefaults("Flux dev", size, 28, 3.5, "bfloat16", negative=False)
    reason = "by its guidance_embeds"
    return ModelDefaults("Flux schnell", size, 4, 0.0, "bfloat16", guided=False, negative=False, reason=reason)


def _flux_2(configs: Configs) -> ModelDefaults:
    return ModelDefaults("Flux.2", _size(configs, 128), 50, 4.0, "bfloat16", negative=False)


def _flux_2_klein(configs: Configs) -> ModelDefaults:
    size = _size(configs, 128)
    if configs.index.get("is_distilled"):
        reason = "by its is_distilled"
        return ModelDefaults("Flux.2 klein", size, 4, 1.0, "bfloat16", guided=False, negative=False, reason=reason)
    return ModelDefaults("Flux.2 klein base", size, 50, 4.0, "bfloat16", negative=False)


def _qwen_image(configs: Configs) -> ModelDefaults:
    return ModelDefaults("Qwen-Image", _size(configs, 128), 50, 4.0, "bfloat16")


def _z_image(configs: Configs) -> ModelDefaults:
    defaults = ModelDefaults("Z-Image", _size(configs, 128), 50, 4.0, "bfloat16", off=0.0)
    # Of 9 steps the last one leaves the image as it is.
    if few_steps(configs.name) is not None:
        return _distilled(defaults, "Turbo", 9, 0.0, "by its name")
    shift = configs.scheduler.get("shift")
    if isinstance(shift, int | float) and shift <= 3:
        return _distilled(defaults, "Turbo", 9, 0.0, "by its scheduler's shift")
    return defaults


def _pixart(configs: Configs) -> ModelDefaults:
    defaults = ModelDefaults("PixArt", _size(configs, missing=128), 20, 4.5)
    if configs.scheduler.get("_class_name") == "LCMScheduler":
        return _distilled(defaults, "LCM", 4, 0.0, "by its scheduler")
    return defaults


def _unknown(configs: Configs) -> ModelDefaults:
    return ModelDefaults(configs.pipeline, _size(configs), 30, 5.0, reason="a family that is not known here")


#: How the name of a pipeline's class begins -> what such a model paints well with; the first that fits.
_FAMILIES: dict[str, Callable[[Configs], ModelDefaults]] = {
    "StableDiffusion3": _stable_diffusion_3,
    "StableDiffusionXL": _stable_diffusion_xl,
    "StableDiffusion": _stable_diffusion,
    "LatentConsistencyModel": _stable_diffusion,
    "Flux2Klein": _flux_2_klein,
    "Flux2": _flux_2,
    "Flux": _flux,
    "QwenImage": _qwen_image,
    "ZImage": _z_image,
    "PixArt": _pixart,
}
