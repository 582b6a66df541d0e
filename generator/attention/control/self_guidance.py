"""Self-guidance: the place and size of a prompted object steer the noise estimate through the model's own attention.

After Epstein et al. 2023. In each guided step one more pass of the prompts' rows, with gradients, gives the attention
of the pixels to each class's words. How far its centroid and size are from their targets is a loss, whose gradient by
the latents is added to the model's output. What is published does so to predicted noise, with weights for one model;
here the gradient is brought to a root mean square of 1 and scaled by the loss, so that one weight serves any model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from diffucurate.generator.attention.capture.encoders import Encoders, mentions
from diffucurate.generator.attention.capture.tokens import PromptTokens
from diffucurate.generator.attention.control.layout import Layout
from diffucurate.generator.attention.control.processor import AttentionCall, Change, steered
from diffucurate.generator.attention.families import Pass, family_of
from diffucurate.generator.attention.families.family import uncompiled
from diffucurate.generator.attention.families.unet import UNet
from diffucurate.generator.errors import ModelError
from diffucurate.generator.recipe.guide import Guide, ObjectGuide

#: Every step is guided in the first of these shares of all, then every second one, none in the last.
_ALWAYS, _NEVER = 3 / 16, 1 / 32

#: How sharply a map becomes a shape, whose mean is the size.
_SHARPNESS = 10.0

#: Least divisor.
_FLAT = 1e-8


def centroid(maps: Tensor) -> Tensor:
    """(..., 2): the centre (x, y) of (..., h, w) maps >= 0, in shares of their sides."""
    height, width = maps.shape[-2:]
    xs = (torch.arange(width, device=maps.device) + 0.5) / width
    ys = (torch.arange(height, device=maps.device) + 0.5) / height
    total = maps.sum(dim=(-2, -1)).clamp_min(_FLAT)
    return torch.stack([(maps.sum(dim=-2) * xs).sum(-1), (maps.sum(dim=-1) * ys).sum(-1)], dim=-1) / total[..., None]


def size(maps: Tensor) -> Tensor:
    """(...): the share of the image that (..., h, w) maps fill, once sharpened."""
    return _stretched(torch.sigmoid(_SHARPNESS * (_stretched(maps) - 0.5))).mean(dim=(-2, -1))


def _stretched(maps: Tensor) -> Tensor:
    low, high = maps.amin(dim=(-2, -1), keepdim=True), maps.amax(dim=(-2, -1), keepdim=True)
    return (maps - low) / (high - low).clamp_min(_FLAT)


def guided(step: int, steps: int) -> bool:
    """Whether a step, counted from 0, is guided."""
    if step >= steps * (1 - _NEVER):
        return False
    always = max(1, round(_ALWAYS * steps))
    return step < always or (step - always) % 2 == 1


class SelfGuidance:
    """A block in which one run of a pipeline is guided.

    Args:
        pipe: one with a UNet.
        guides: one per image, None for one that is not guided; classes that its prompt does not name are not either.
        prompts, phrases, ids: per image, as for ``LayoutControl``.

    Raises:
        ModelError: a model without cross-attention in a UNet.
    """

    def __init__(
        self,
        pipe: Any,
        guides: Sequence[Guide | None],
        prompts: Sequence[str],
        phrases: Sequence[Mapping[str, Sequence[str]]],
        ids: Sequence[list[list[int]]] | None = None,
    ) -> None:
        check_guidance(pipe)
        self._pipe, self._family = pipe, family_of(pipe)
        self._guides, self._phrases = list(guides), list(phrases)
        self._encoders = Encoders(self._family.parts(), prompts, ids)
        self._originals: dict[str, Any] = {}
        self._handles: list[Any] = []
        self._tokens: list[PromptTokens] = []
        self._maps: dict[tuple[int, int], list[Tensor]] = {}
        self._pass: Pass | None = None
        self._step = 0
        self._push: Tensor | None = None

    def __enter__(self) -> SelfGuidance:
        model = self._family.model
        self._originals = self._family.processors()
        self._handles = [
            model.register_forward_pre_hook(self._before, with_kwargs=True),
            model.register_forward_hook(self._after),
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()

    @torch.compiler.disable
    def _before(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        named = self._family.named(args, kwargs)
        current = self._family.read_pass(named)
        assert current is not None
        if not self._tokens:
            painted = self._encoders.painted(current.context, False)
            self._tokens = mentions(painted, self._phrases, current.context.shape[1])
        steps = len(self._pipe.scheduler.timesteps)
        self._push = self._gradient(named, current) if guided(self._step, steps) else None
        self._step += 1

    def _after(self, module: Any, args: tuple[Any, ...], output: Any) -> Any:
        if self._push is None:
            return None
        sample = output[0] if isinstance(output, tuple) else output.sample
        push = self._push.to(sample)
        pushed = sample + push.repeat(sample.shape[0] // push.shape[0], 1, 1, 1)
        if isinstance(output, tuple):
            return (pushed, *output[1:])
        output.sample = pushed
        return output

    def _gradient(self, named: dict[str, Any], current: Pass) -> Tensor:
        """(images, ...): what is added to the model's output."""
        images, total = len(self._guides), current.latents.shape[0]
        rows = self._family.rows_of_images(total, images)
        arguments = {name: _rows(value, rows, total) for name, value in named.items()}
        traced = self._family.processors()
        watched = {
            name: steered(original, self._recorder)
            for name, original in self._originals.items()
            if name.endswith(".attn2.processor")
        }
        self._maps, self._pass = {}, current
        self._family.set_processors({**self._originals, **watched})
        try:
            with torch.enable_grad():
                latents = arguments["sample"].detach().requires_grad_()
                uncompiled(self._family.model).forward(**{**arguments, "sample": latents})  # no hook sees it
                losses = self._losses()
                (gradient,) = torch.autograd.grad(losses.sum(), latents)
        finally:
            self._family.set_processors(traced)
            self._maps = {}
        spread = gradient.float().pow(2).mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp_min(_FLAT)
        noise = self._noise(current)
        pushed: Tensor = noise * losses.detach().reshape(-1, 1, 1, 1) * gradient / spread
        return pushed if self._towards_noise else -pushed

    @property
    def _towards_noise(self) -> bool:
        """Whether a larger output takes the image the way a larger estimate of the noise does."""
        return self._pipe.scheduler.config.get("prediction_type", "epsilon") != "sample"

    def _noise(self, current: Pass) -> float:
        """The share of the latents' deviation that is noise."""
        cumulated = getattr(self._pipe.scheduler, "alphas_cumprod", None)
        if cumulated is None:
            return current.level
        step = min(int(torch.as_tensor(current.noise).max()), len(cumulated) - 1)
        return float((1 - cumulated[step]).sqrt())

    def _recorder(self) -> Change:
        def change(call: AttentionCall) -> Tensor:
            assert self._pass is not None
            grid = self._pass.grids[call.query.shape[2]]
            scale = call.options.get("scale") or call.query.shape[-1] ** -0.5
            scores = call.query @ call.key.transpose(2, 3) * scale
            shares = scores.float().softmax(dim=-1).mean(dim=1)  # (images, pixels, tokens)
            self._maps.setdefault(grid.size, []).append(shares)
            return call.attend()

        return change

    def _losses(self) -> Tensor:
        """(images): how far each image's classes are from their targets."""
        finest = max(self._maps)
        sums = [
            functional.interpolate(
                torch.stack(shares).mean(dim=0).transpose(1, 2).unflatten(-1, grid),
                size=finest,
                mode="bilinear",
                align_corners=False,
            )
            * len(shares)
            for grid, shares in self._maps.items()
        ]
        maps = torch.stack(sums).sum(dim=0) / sum(len(shares) for shares in self._maps.values())
        return torch.stack([self._loss(index, maps[index]) for index in range(len(self._guides))])

    def _loss(self, image: int, maps: Tensor) -> Tensor:
        loss, guide = maps.sum() * 0, self._guides[image]
        for label, center, share in () if guide is None else guide.objects:
            positions = self._tokens[image].classes.get(label)
            if not positions:
                continue
            heat = maps[list(positions)].mean(dim=0)
            if center is not None:
                loss = loss + (centroid(heat) - torch.tensor(center, device=heat.device)).abs().sum()
            if share is not None:
                loss = loss + (size(heat) - share).abs()
        return loss * (0 if guide is None else guide.weight)


def guide_to(layout: Layout, weight: float) -> Guide:
    """The guide that takes each class to the centre and the size that a layout gives it."""
    height, width = layout.ids.shape
    objects = []
    for label in sorted(layout.present):
        rows, columns = np.nonzero(layout.ids == 1 + layout.classes.index(label))
        center = float(columns.mean() + 0.5) / width, float(rows.mean() + 0.5) / height
        objects.append(ObjectGuide(label, center, len(rows) / (height * width)))
    return Guide(tuple(objects), weight)


def check_guidance(pipe: Any) -> None:
    """Raise a ModelError unless a pipeline can be guided by its attention."""
    if not isinstance(family_of(pipe), UNet):
        raise ModelError(
            f"{type(pipe).__name__} cannot be guided by its attention, whose maps are known in UNets alone; use a "
            "Stable Diffusion 1.x, 2.x or XL model, or task: mask2img"
        )


def _rows(value: Any, rows: slice, total: int) -> Any:
    """The prompts' rows of an argument that has rows; mappings and tuples of such too."""
    if isinstance(value, Tensor) and value.ndim and value.shape[0] == total:
        return value[rows].detach()
    if isinstance(value, dict):
        return {name: _rows(item, rows, total) for name, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_rows(item, rows, total) for item in value)
    return value
