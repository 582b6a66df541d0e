"""Features of images by a frozen diffusion model: the hidden states of some of its blocks in one pass.

Each image is encoded, noised to one level, and given to the model once with an empty prompt. Of a UNet the middle block
and all upward blocks are read, of a transformer the blocks at three depths.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from diffusers import DDPMScheduler
from numpy.typing import NDArray
from torch import Tensor

from diffucurate.generator.attention.families import family_of
from diffucurate.generator.attention.probe.image_latents import encode, noise_steps, resized_image, working_size
from diffucurate.generator.errors import ModelError

#: Depths at which a transformer's blocks are read, 0 the first and 1 the last.
_DEPTHS = (0.3, 0.55, 0.8)


class FeatureReader:
    """Reads a pipeline's features; the pipeline stays as it is.

    Args:
        pipe: a text-to-image pipeline.
        noise: of the pass, as a share of the schedule; kept as ``noise``.
        seed: of the noise, which is the same for all images.

    Raises:
        ModelError: a model that is given more than a noisy image and a prompt, or of an unknown family.
    """

    def __init__(self, pipe: Any, noise: float, seed: int = 0) -> None:
        self.pipe, self.noise, self._seed = pipe, noise, seed
        self._family = family_of(pipe)
        self._image_pass = self._family.image_pass()
        unet = getattr(pipe, "unet", None)
        if unet is None and self._image_pass is None:
            raise ModelError(
                f"no way is known to show {type(pipe).__name__} an image that it need not have painted; use a Stable "
                "Diffusion, Stable Diffusion XL or 3, Flux, Qwen-Image or Z-Image model"
            )
        if unet is not None and unet.config.in_channels != pipe.vae.config.latent_channels:
            raise ModelError(f"{type(pipe).__name__} inpaints; use a text-to-image model of its kind")
        #: Side in pixels of the square that images are brought to.
        self.side = working_size(pipe, 1, 1)[0] if self._image_pass is None else self._image_pass.size(1, 1)[0]

    @property
    def device(self) -> torch.device:
        """Where the features are."""
        return torch.device(self.pipe._execution_device)

    @torch.no_grad()
    def read(self, images: Sequence[NDArray[np.uint8]]) -> list[Tensor]:
        """The features of (H, W, 3) uint8 RGB images of any sizes, which are stretched to a square.

        Returns:
            For each block (images, channels, h, w) float32, on the model's device, the coarser ones first.
        """
        squares = [resized_image(image, (self.side, self.side)) for image in images]
        with self._tapped() as states:
            if self._image_pass is None:
                self._through_unet(squares)
            else:
                for square in squares:
                    self._through_transformer(square)
        count = len(squares) if self._image_pass is not None else 1
        levels = len(states) // count
        joined = [torch.cat([states[level + turn * levels] for turn in range(count)]) for level in range(levels)]
        return sorted((each.float() for each in joined), key=lambda each: each.shape[-1])

    def blocks(self) -> list[Any]:
        """The blocks that are read."""
        unet = getattr(self.pipe, "unet", None)
        if unet is not None:
            return [unet.mid_block, *unet.up_blocks]
        model = self._family.model
        stacks = [getattr(model, name, ()) for name in ("transformer_blocks", "single_transformer_blocks", "layers")]
        blocks = [block for stack in stacks for block in (stack or ())]
        return [blocks[round(depth * (len(blocks) - 1))] for depth in _DEPTHS]

    @contextmanager
    def _tapped(self) -> Iterator[list[Tensor]]:
        states: list[Tensor] = []
        handles = [
            block.register_forward_hook(lambda *call: states.append(self.grid(call[-1], (self.side, self.side))))
            for block in self.blocks()
        ]
        try:
            yield states
        finally:
            for handle in handles:
                handle.remove()

    def grid(self, output: Any, size: tuple[int, int]) -> Tensor:
        """A block's state of an image of (width, height) ``size`` as (rows, channels, h, w)."""
        tensors = [each for each in (output if isinstance(output, tuple) else (output,)) if isinstance(each, Tensor)]
        if tensors[0].ndim == 4:
            return tensors[0]
        assert self._image_pass is not None
        height, width = self._image_pass.tokens(size)
        whole = [each for each in tensors if each.shape[1] == height * width]
        tokens = whole[-1] if whole else max(tensors, key=lambda each: each.shape[1])
        kept = tokens[:, : height * width] if self._image_comes_first() else tokens[:, -height * width :]
        return kept.transpose(1, 2).unflatten(2, (height, width))

    def _image_comes_first(self) -> bool:
        return "ZImage" in type(self.pipe).__name__

    def _generator(self) -> torch.Generator:
        return torch.Generator("cpu").manual_seed(self._seed)

    def _through_unet(self, squares: Sequence[NDArray[np.uint8]]) -> None:
        pipe, device = self.pipe, self.pipe._execution_device
        latents = encode(pipe, squares, (self.side, self.side)).to(pipe.unet.dtype)
        noise = torch.randn(latents.shape[1:], generator=self._generator()).to(latents).expand_as(latents)
        step = min(noise_steps(pipe) - 1, max(0, round(self.noise * noise_steps(pipe))))
        steps = torch.full((len(latents),), step, device=device)
        noisy = DDPMScheduler.from_config(pipe.scheduler.config).add_noise(latents, noise, steps)
        encoded = pipe.encode_prompt("", device=device, num_images_per_prompt=1, do_classifier_free_guidance=False)
        context = encoded[0].expand(len(latents), -1, -1)
        more = {}
        if pipe.unet.config.get("addition_embed_type") == "text_time":
            size = (self.side, self.side)
            told = torch.tensor([[*size, 0, 0, *size]], device=device).to(context).expand(len(latents), -1)
            more = {"added_cond_kwargs": {"text_embeds": encoded[2].expand(len(latents), -1), "time_ids": told}}
        pipe.unet(noisy, steps, encoder_hidden_states=context, **more)

    def _through_transformer(self, square: NDArray[np.uint8]) -> None:
        assert self._image_pass is not None
        pixels = torch.from_numpy(square).permute(2, 0, 1)[None]
        latents = self._image_pass.latents(pixels.to(self.pipe._execution_device, self.pipe.vae.dtype) / 127.5 - 1)
        noise = torch.randn(latents.shape, generator=self._generator()).to(latents)
        noised = (1 - self.noise) * latents + self.noise * noise
        self._image_pass.call(noised, self.noise, self._image_pass.text(""), (self.side, self.side))
