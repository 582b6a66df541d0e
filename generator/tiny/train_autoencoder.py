"""Trains the tiny model's autoencoder (stage 1 of ``make train-tiny``): images to 16 x 16 latents and back.

The autoencoder sees rendered images only, no captions and no masks. Its latents are whitened at the end,
so that the diffusion model meets channels of mean 0 and variance 1.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from diffucurate.generator.tiny.muon import muon_for
from diffucurate.generator.tiny.scenes import FlatStyle, iter_scenes
from diffucurate.generator.tiny.training import Clock, Curve, load_state, save_state

LATENT_CHANNELS = 8
HELD_OUT_SEED = 900_001  # scenes no training ever draws
BATCH = 6


def build_autoencoder() -> AutoencoderKL:
    """An untrained ``AutoencoderKL``: 128 px in, 16 x 16 x 8 latents, 1.7 M parameters."""
    model = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=[16, 32, 64, 96],
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=2,  # many small groups would normalise colour away
        sample_size=128,
        scaling_factor=1.0,
        mid_block_add_attention=False,
    )
    # Residual branches start at zero, so the network starts as a linear map and learns colours first.
    for name, parameter in model.named_parameters():
        if name.endswith("conv2.weight"):
            torch.nn.init.zeros_(parameter)
    return model


def image_batch(seed: int, count: int, style: type[FlatStyle] = FlatStyle) -> Tensor:
    """``count`` rendered images as (count, 3, 128, 128) float32 in [-1, 1]."""
    images = np.stack([scene.image for scene in iter_scenes(count, seed, style=style)])
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def psnr(model: AutoencoderKL, images: Tensor) -> float:
    """Mean peak signal-to-noise ratio in dB of ``images`` (in [-1, 1]) after a round trip."""
    with torch.inference_mode():
        decoded = model.decode(model.encode(images).latent_dist.mode()).sample.clamp(-1, 1)
    errors = ((decoded - images) / 2).square().mean(dim=(1, 2, 3))
    return float((-10 * errors.log10()).mean())


def _loss(model: AutoencoderKL, images: Tensor) -> Tensor:
    posterior = model.encode(images).latent_dist
    decoded = model.decode(posterior.sample()).sample
    error = decoded - images
    # Colour and low frequencies are what a small model loses first, so they count once more.
    coarse = torch.nn.functional.avg_pool2d(error, 8)
    distance = error.abs().mean() + 2 * error.square().mean() + 4 * coarse.square().mean()
    return distance + 1e-5 * posterior.kl().mean() / (posterior.mean[0].numel() / LATENT_CHANNELS)


def train_autoencoder(
    folder: Path,
    *,
    minutes: float,
    peak_rate: float = 2e-3,
    device: str = "cpu",
    style: type[FlatStyle] = FlatStyle,
    start: Path | None = None,
) -> AutoencoderKL:
    """Train for ``minutes`` of wall-clock time, going on from ``folder``'s checkpoint where there is one.

    Args:
        folder: of the checkpoint and the curve.
        peak_rate: learning rate after the warm-up; it falls linearly over the last two thirds of the time.
        style: how the scenes are painted.
        start: a packed autoencoder whose weights are gone on from where there is no checkpoint.

    Raises:
        FloatingPointError: the loss is no longer finite.
    """
    model = build_autoencoder()
    if start is not None:
        model.load_state_dict(AutoencoderKL.from_pretrained(start, torch_dtype=torch.float32).state_dict())
    model = model.to(device)
    ema = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995))
    optimizer = muon_for(model, lr=peak_rate)
    state = load_state(folder / "autoencoder.pt", model=model, ema=ema, optimizer=optimizer)
    step = state.get("step", 0)
    held_out = image_batch(HELD_OUT_SEED, 48, style).to(device)
    curve, clock = Curve(folder / "autoencoder.jsonl"), Clock(minutes)
    while clock.running():
        # Warm up, then decay over the last two thirds of the time there is.
        fade = min(1.0, 1.5 * (1 - clock.share()))
        optimizer.param_groups[0]["lr"] = peak_rate * min(1.0, (step + 1) / 100) * max(fade, 0.01)
        loss = _loss(model, image_batch(1_000 + step, BATCH, style).to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        ema.update_parameters(model)
        step += 1
        if not math.isfinite(loss.item()):
            raise FloatingPointError(f"autoencoder training diverged at step {step}; lower peak_rate ({peak_rate})")
        if step % 50 == 0:
            curve.add(step=step, minutes=clock.minutes(), loss=loss.item(), psnr=psnr(ema.module, held_out))
        if step % 200 == 0:
            save_state(folder / "autoencoder.pt", model=model, ema=ema, optimizer=optimizer, step=step)
    save_state(folder / "autoencoder.pt", model=model, ema=ema, optimizer=optimizer, step=step)
    result = ema.module
    whiten(result, torch.cat([image_batch(7_000 + i, 32, style).to(device) for i in range(8)]))
    return result


@torch.no_grad()
def whiten(model: AutoencoderKL, images: Tensor) -> None:
    """Fold a change of basis into the 1 x 1 convolutions around the latents: mean 0, covariance identity.

    The reconstruction does not change; only the latents' coordinates do.
    """
    mean = model.encode(images).latent_dist.mean
    channels = mean.shape[1]
    flat = mean.permute(1, 0, 2, 3).reshape(channels, -1)
    centre = flat.mean(dim=1)
    scale = flat.std(dim=1)
    quant, post = model.quant_conv, model.post_quant_conv
    # Before: post(z) = P z + p with z = Q h + q. After: z' = (z - centre) / scale.
    post.bias += post.weight[:, :, 0, 0] @ centre
    post.weight *= scale[None, :, None, None]
    quant.weight[:channels] /= scale[:, None, None, None]
    quant.bias[:channels] = (quant.bias[:channels] - centre) / scale
    quant.bias[channels:] -= 2 * scale.log()  # the log variances scale along
