"""The error of a diffusion model on noised latents: what an optimiser lowers. Knows no words and no files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from diffucurate.generator.errors import ModelError
from diffucurate.generator.inversion.examples import Prepared


def noise_schedule(pipe: Any) -> DDPMScheduler:
    """The noise schedule that the model was trained with, read from its sampler.

    Raises:
        ModelError: it was not trained with a schedule of noise steps.
    """
    config = pipe.scheduler.config
    kind = config.get("prediction_type")
    if kind not in ("epsilon", "v_prediction", "sample"):
        raise ModelError(
            f"{type(pipe).__name__} learns no words: its sampler {type(pipe.scheduler).__name__} does not "
            "say whether the model predicts noise, velocity or the image"
        )
    return DDPMScheduler.from_config(config)


def error(
    pipe: Any, schedule: DDPMScheduler, batch: Prepared, prompts: Sequence[str], generator: torch.Generator
) -> Tensor:
    """The mean squared error of one batch, a scalar with gradients: each image at a noise step of its own.

    Noise is drawn on the CPU, so that it is the same on every device. The steps are spread evenly over the schedule,
    which makes a small batch's error vary less (Kingma et al. 2021, "Variational diffusion models", appendix I.1).
    """
    device, count, total = batch.means.device, len(batch), schedule.config["num_train_timesteps"]
    clean = batch.means + batch.deviations * _normal(batch.means, generator)
    noise = _normal(clean, generator)
    spread = (torch.rand(count, generator=generator) + torch.randperm(count, generator=generator)) / count
    steps = (spread * total).long().clamp_max(total - 1).to(device)
    noisy = schedule.add_noise(clean, noise, steps)
    arguments = _condition(pipe, prompts, batch)
    predicted = pipe.unet(noisy.to(pipe.unet.dtype), steps, return_dict=False, **arguments)[0].float()
    squares = (predicted - _target(schedule, clean, noise, steps)).square().mean(dim=1, keepdim=True)
    return (squares * batch.weights).sum() / batch.weights.sum().clamp_min(1e-6)


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator).to(like.device)


def _target(schedule: DDPMScheduler, clean: Tensor, noise: Tensor, steps: Tensor) -> Tensor:
    kind = schedule.config["prediction_type"]
    if kind == "v_prediction":
        velocity: Tensor = schedule.get_velocity(clean, noise, steps)
        return velocity
    return noise if kind == "epsilon" else clean


def _condition(pipe: Any, prompts: Sequence[str], batch: Prepared) -> dict[str, Any]:
    """The UNet's conditioning, exactly as the pipeline itself encodes prompts."""
    encoded = pipe.encode_prompt(
        list(prompts), device=pipe.device, num_images_per_prompt=1, do_classifier_free_guidance=False
    )
    if getattr(pipe, "text_encoder_2", None) is None:
        return {"encoder_hidden_states": encoded[0]}
    states, _, pooled, _ = encoded
    added = {"text_embeds": pooled, "time_ids": batch.boxes.to(pooled.device, pooled.dtype)}
    return {"encoder_hidden_states": states, "added_cond_kwargs": added}
