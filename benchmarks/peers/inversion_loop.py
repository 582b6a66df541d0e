"""The usual loop of textual inversion, as a peer to compare with. Not part of the library.

Written from a description of what the common training script does: the whole embedding matrix of the text encoder is
trained with AdamW, and after each step all rows but the new ones are put back; each step encodes its images anew and
runs the text encoder on tokens; timesteps are drawn uniformly; the loss is the mean squared error of the predicted
noise. It shares no code with the library's training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import DDPMScheduler
from torch import Tensor


class UsualLoop:
    """Learns one word of ``vectors`` vectors; ``step`` is what is timed."""

    def __init__(self, pipe: Any, placeholder: str, vectors: int, learning_rate: float) -> None:
        self._pipe, tokens = pipe, [placeholder, *(f"{placeholder}_{k}" for k in range(1, vectors))]
        self.text = " ".join(tokens)
        pipe.tokenizer.add_tokens(tokens)
        pipe.text_encoder.resize_token_embeddings(len(pipe.tokenizer), mean_resizing=False)
        for model in (pipe.unet, pipe.vae, pipe.text_encoder):
            model.requires_grad_(False)
        self._matrix = pipe.text_encoder.get_input_embeddings().weight
        self._matrix.requires_grad_(True)
        self._first = len(pipe.tokenizer) - vectors
        self._before = self._matrix.detach().clone()
        self._optimiser = torch.optim.AdamW([self._matrix], lr=learning_rate)
        self._schedule = DDPMScheduler.from_config(pipe.scheduler.config)

    def step(self, images: Tensor, captions: Sequence[str]) -> float:
        """One step on (N, 3, H, W) images in [-1, 1] and their captions; the loss."""
        pipe, count = self._pipe, len(images)
        with torch.no_grad():
            latents = pipe.vae.encode(images).latent_dist.sample() * pipe.vae.config.scaling_factor
        noise = torch.randn_like(latents)
        steps = torch.randint(self._schedule.config["num_train_timesteps"], (count,), device=latents.device)
        noisy = self._schedule.add_noise(latents, noise, steps)
        ids = pipe.tokenizer(
            list(captions),
            padding="max_length",
            truncation=True,
            max_length=pipe.tokenizer.model_max_length,
            return_tensors="pt",
        ).input_ids
        states = pipe.text_encoder(ids.to(latents.device))[0]
        predicted = pipe.unet(noisy, steps, states).sample
        kind = self._schedule.config["prediction_type"]
        target = noise if kind == "epsilon" else self._schedule.get_velocity(latents, noise, steps)
        loss = torch.nn.functional.mse_loss(predicted, target)
        loss.backward()
        self._optimiser.step()
        self._optimiser.zero_grad()
        with torch.no_grad():
            self._matrix[: self._first] = self._before[: self._first]
        return float(loss.detach())
