"""Trains the tiny model's UNet and text encoder (stage 2 of ``make train-tiny``) on captions and images only.

No mask and no box ever enters this training: what the attention maps know of places, they learnt from
captions. Two choices help them learn it, both made from the captions alone:

* the text encoder has one layer, so the vector of "car" in "a red car" knows of "red" and little else;
* filler words, the end and the padding are pulled towards one constant vector. Otherwise the tokens after
  the caption, which can see all of it, become a summary that the image reads instead of the nouns.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from diffucurate.generator.tiny.muon import muon_for
from diffucurate.generator.tiny.scenes import FlatStyle, render_scene
from diffucurate.generator.tiny.training import Clock, Curve, load_state, save_state
from diffucurate.generator.tiny.words import CONTEXT_LENGTH, END, FILLERS, START, write_tokenizer_files

BATCH = 48
CAPTION_DROPOUT = 0.1
LEAK_WEIGHT = 0.05  # of the pull on filler tokens, against a diffusion loss of about 0.1
TEXT_WIDTH = 128
FIRST_SCENE_SEED = 10_000_000  # training scenes count up from here; benchmarks draw elsewhere


def build_tokenizer(folder: Path) -> CLIPTokenizer:
    """The tiny world's tokenizer; its files are written into ``folder``."""
    write_tokenizer_files(folder)
    return CLIPTokenizer(
        str(folder / "vocab.json"),
        str(folder / "merges.txt"),
        unk_token=END,
        bos_token=START,
        eos_token=END,
        pad_token=END,
        model_max_length=CONTEXT_LENGTH,
    )


def build_text_encoder(tokenizer: CLIPTokenizer, *, layers: int = 1, widening: int = 2) -> CLIPTextModel:
    """An untrained ``CLIPTextModel`` of width 128, whose MLPs are ``widening`` times as wide."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=widening * TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=layers,
            num_attention_heads=4,
            max_position_embeddings=CONTEXT_LENGTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_unet(latent_channels: int, channels: tuple[int, ...] = (64, 128)) -> UNet2DConditionModel:
    """An untrained UNet over 16 x 16 latents with cross-attention at 16 x 16 and 8 x 8."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=latent_channels,
        out_channels=latent_channels,
        block_out_channels=list(channels),
        down_block_types=["CrossAttnDownBlock2D"] * len(channels),
        up_block_types=["CrossAttnUpBlock2D"] * len(channels),
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,  # the number of heads, by diffusers' older name
        norm_num_groups=8,
    )


def build_scheduler() -> DDIMScheduler:
    """v-prediction with zero terminal SNR, so that pure noise is what sampling starts from in truth."""
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        steps_offset=1,
        clip_sample=False,
        set_alpha_to_one=True,
    )


class LatentPool:
    """Scenes as (latent mean, caption tokens), growing while training runs and kept on disk."""

    def __init__(
        self,
        folder: Path,
        vae: AutoencoderKL,
        tokenizer: CLIPTokenizer,
        capacity: int,
        style: type[FlatStyle] = FlatStyle,
    ) -> None:
        self._vae, self._tokenizer, self._style = vae, tokenizer, style
        folder.mkdir(parents=True, exist_ok=True)
        shape = (capacity, vae.config["latent_channels"], 16, 16)
        self._path, self._count_path = folder / "latents.f16", folder / "latents.count"
        mode: Literal["r+", "w+"] = "r+" if self._path.exists() else "w+"
        self._latents = np.memmap(self._path, np.float16, mode, shape=shape)
        self._tokens = np.memmap(folder / "tokens.i16", np.int16, mode, shape=(capacity, CONTEXT_LENGTH))
        self.count = int(self._count_path.read_text()) if self._count_path.exists() else 0

    @torch.inference_mode()
    def grow(self, count: int) -> None:
        """Render and encode up to ``count`` new scenes, as far as there is room."""
        count = min(count, len(self._latents) - self.count)
        if not count:
            return
        scenes = [render_scene(FIRST_SCENE_SEED + self.count + i, style=self._style) for i in range(count)]
        images = torch.from_numpy(np.stack([scene.image for scene in scenes]))
        images = images.to(self._vae.device).permute(0, 3, 1, 2).float() / 127.5 - 1
        means = self._vae.encode(images).latent_dist.mean
        here = slice(self.count, self.count + count)
        self._latents[here] = means.half().cpu().numpy()
        self._tokens[here] = tokenize(self._tokenizer, [scene.caption for scene in scenes]).numpy()
        self.count += count
        self._count_path.write_text(str(self.count))

    def batch(self, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """(size, C, 16, 16) float32 latents and (size, CONTEXT_LENGTH) int64 token ids, drawn at random."""
        rows = np.sort(rng.integers(self.count, size=size))
        return torch.from_numpy(self._latents[rows]).float(), torch.from_numpy(self._tokens[rows]).long()


def tokenize(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """(N, CONTEXT_LENGTH) int64 token ids, padded and cut as the pipeline does it."""
    encoded = tokenizer(captions, padding="max_length", truncation=True, max_length=CONTEXT_LENGTH, return_tensors="pt")
    ids: Tensor = encoded.input_ids
    return ids


def leak(states: Tensor, filler: Tensor) -> Tensor:
    """How far the text states (B, T, D) at ``filler`` positions (B, T bool) are from being one constant."""
    values = states[filler]
    return (values - values.mean(dim=0)).square().mean()


class Learner(nn.Module):
    """The two networks that are trained, as one module."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder


def diffusion_loss(
    learner: Learner, latents: Tensor, tokens: Tensor, alphas: Tensor, fillers: Tensor
) -> tuple[Tensor, Tensor]:
    """The v-prediction error and the filler tokens' leak of one batch.

    Timesteps are stratified over the batch, which makes small batches learn as if they were larger.
    """
    size, device = len(latents), latents.device
    steps = (torch.rand(size, device=device) + torch.arange(size, device=device)) / size * len(alphas)
    steps = steps.long().clamp_max(len(alphas) - 1)
    signal, sigma = alphas[steps].sqrt().view(-1, 1, 1, 1), (1 - alphas[steps]).sqrt().view(-1, 1, 1, 1)
    noise = torch.randn_like(latents)
    states = learner.text_encoder(tokens).last_hidden_state
    predicted = learner.unet(signal * latents + sigma * noise, steps, states).sample
    error = (predicted - (signal * noise - sigma * latents)).square().mean()
    return error, leak(states, torch.isin(tokens, fillers))


def train_diffusion(
    folder: Path,
    vae: AutoencoderKL,
    *,
    minutes: float,
    peak_rate: float = 2e-3,
    scenes: int = 40_000,
    batch: int = BATCH,
    device: str = "cpu",
    start: Path | None = None,
    learner: Learner | None = None,
    leak_weight: float = LEAK_WEIGHT,
    decay: float = 0.5,
    style: type[FlatStyle] = FlatStyle,
) -> StableDiffusionPipeline:
    """Train for ``minutes`` of wall-clock time, going on from ``folder``'s checkpoint where there is one.

    Args:
        folder: of the checkpoint, the curve and the pool of encoded scenes.
        vae: the trained autoencoder.
        peak_rate: learning rate after the warm-up; it falls linearly in the last share ``decay`` of the time.
        scenes: how many different scenes are drawn in all.
        start: a packed pipeline whose weights are gone on from where there is no checkpoint.
        learner: networks to train instead of the built-in model's.
        leak_weight: of the pull on filler tokens; 0 trains by the diffusion loss alone.
        decay: above 0.
        style: how the scenes are painted.

    Raises:
        FloatingPointError: the loss is no longer finite.
    """
    tokenizer = build_tokenizer(folder / "tokenizer")
    vae = vae.eval().requires_grad_(False).to(device)
    if learner is None:
        learner = Learner(build_unet(vae.config["latent_channels"]), build_text_encoder(tokenizer))
    if start is not None:
        learner.unet.load_state_dict(UNet2DConditionModel.from_pretrained(start / "unet").state_dict())
        learner.text_encoder.load_state_dict(CLIPTextModel.from_pretrained(start / "text_encoder").state_dict())
    learner = learner.to(device)
    ema = AveragedModel(learner, multi_avg_fn=get_ema_multi_avg_fn(0.998))
    optimizer = muon_for(learner, lr=peak_rate)
    state = load_state(folder / "diffusion.pt", learner=learner, ema=ema, optimizer=optimizer)
    step = first_step = state.get("step", 0)
    pool = LatentPool(folder, vae, tokenizer, scenes, style)
    while pool.count < min(2_048, scenes):
        pool.grow(64)  # more at once would need gigabytes
    scheduler = build_scheduler()
    alphas = scheduler.alphas_cumprod.to(device)
    fillers = torch.tensor(
        [*tokenizer.convert_tokens_to_ids([word + "</w>" for word in FILLERS]), *tokenizer.all_special_ids]
    )
    fillers = fillers.unique().to(device)
    blank = tokenize(tokenizer, [""]).to(device)
    rng, curve, clock = np.random.default_rng(step), Curve(folder / "diffusion.jsonl"), Clock(minutes)
    sums = {"loss": 0.0, "leak": 0.0, "steps": 0}
    last_saved = 0.0
    while clock.running():
        fade = min(1.0, (1 - clock.share()) / decay)
        rate = peak_rate * min(1.0, (step - first_step + 1) / 100) * max(fade, 0.02)
        for group in optimizer.param_groups:
            group["lr"] = rate
        pool.grow(8)
        latents, tokens = (part.to(device) for part in pool.batch(batch, rng))
        tokens[torch.from_numpy(rng.random(batch) < CAPTION_DROPOUT)] = blank
        error, leaked = diffusion_loss(learner, latents, tokens, alphas, fillers)
        optimizer.zero_grad(set_to_none=True)
        (error + leak_weight * leaked).backward()
        nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()
        ema.update_parameters(learner)
        step += 1
        if not math.isfinite(error.item()):
            raise FloatingPointError(f"diffusion training diverged at step {step}; lower peak_rate ({peak_rate})")
        sums = {"loss": sums["loss"] + error.item(), "leak": sums["leak"] + leaked.item(), "steps": sums["steps"] + 1}
        if step % 50 == 0:
            curve.add(
                step=step,
                images=step * batch,
                scenes=pool.count,
                minutes=clock.minutes(),
                rate=rate,
                loss=sums["loss"] / sums["steps"],
                leak=sums["leak"] / sums["steps"],
            )
            sums = dict.fromkeys(sums, 0)
        if clock.minutes() - last_saved > 3:
            last_saved = clock.minutes()
            save_state(folder / "diffusion.pt", learner=learner, ema=ema, optimizer=optimizer, step=step)
    save_state(folder / "diffusion.pt", learner=learner, ema=ema, optimizer=optimizer, step=step)
    return pipeline(vae, ema.module, tokenizer, scheduler)


def pipeline(
    vae: AutoencoderKL, learner: Any, tokenizer: CLIPTokenizer, scheduler: DDIMScheduler
) -> StableDiffusionPipeline:
    """The parts as a standard ``StableDiffusionPipeline``."""
    vae.register_to_config(_name_or_path="tiny")  # not the folder of the machine it was trained on
    return StableDiffusionPipeline(
        vae=vae,
        unet=learner.unet,
        text_encoder=learner.text_encoder,
        tokenizer=tokenizer,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
