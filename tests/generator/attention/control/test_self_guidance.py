"""Self-guidance: its measures by hand, and what it changes of a run, on untrained pipelines of the real classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from untrained import untrained_pixart, untrained_xl

from diffucurate.generator.attention.control.self_guidance import SelfGuidance, centroid, guided, size
from diffucurate.generator.attention.trace.trace import AttentionTrace
from diffucurate.generator.errors import ModelError
from diffucurate.generator.recipe.guide import Guide, ObjectGuide

PROMPT, PHRASES = "a red car on a road", {"car": ("car",)}


def guide(center: tuple[float, float] | None = None, size: float | None = None, weight: float = 5.0) -> Guide:
    return Guide((ObjectGuide("car", center, size),), weight)


def paint(pipe: Any, steps: int = 4, **options: Any) -> Any:
    settings = {"num_inference_steps": steps, "width": 128, "height": 128, "guidance_scale": 4.0}
    return pipe(PROMPT, generator=torch.Generator().manual_seed(3), output_type="np", **{**settings, **options}).images


def test_centroid_and_size_by_hand() -> None:
    heat = torch.zeros(2, 4)
    heat[0, 0], heat[1, 3] = 3.0, 1.0
    # Cells' centres are at 1/8, 3/8, ... and 1/4, 3/4: three quarters of the heat are in the first.
    assert torch.allclose(centroid(heat), torch.tensor([0.75 / 8 + 0.25 * 7 / 8, 0.75 / 4 + 0.25 * 3 / 4]))
    step = torch.zeros(4, 4)
    step[:2, :2] = 7.0
    assert torch.allclose(size(step), torch.tensor(0.25)) and torch.allclose(size(100 * step), torch.tensor(0.25))
    assert torch.isfinite(centroid(torch.zeros(3, 3))).all() and torch.isfinite(size(torch.zeros(3, 3)))


def test_which_steps_are_guided() -> None:
    """Of 32 steps each of the first 6, then every second one, and not the last."""
    assert [step for step in range(32) if guided(step, 32)] == [*range(6), *range(7, 31, 2)]
    assert [step for step in range(4) if guided(step, 4)] == [0, 2]


def test_the_loss_falls_along_the_push(pipe: Any) -> None:
    """The estimate of the noise grows where the loss grows with the latents, so that a step takes it away."""
    losses: list[torch.Tensor] = []
    pushes: list[torch.Tensor] = []
    with SelfGuidance(pipe, [guide((0.1, 0.2), 0.1, 1.0)], [PROMPT], [PHRASES]) as control:
        inner, original = control._losses, control._gradient

        def watched() -> torch.Tensor:
            losses.append(inner())
            return losses[-1]

        def kept(named: Any, current: Any) -> torch.Tensor:
            pushes.append(original(named, current))
            moved = {**named, "sample": named["sample"] - 0.02 * pushes[-1].repeat(2, 1, 1, 1)}
            original(moved, current)
            return pushes[-1]

        control._losses, control._gradient = watched, kept  # type: ignore[method-assign]
        paint(pipe, steps=1)
    before, after = (float(loss.detach()) for loss in losses)
    assert after < before and torch.isfinite(pushes[0]).all() and pushes[0].abs().max() > 0


def test_images_change_and_the_pipeline_does_not(pipe: Any) -> None:
    free, processors = paint(pipe), dict(pipe.unet.attn_processors)
    hooks = len(pipe.unet._forward_hooks), len(pipe.unet._forward_pre_hooks)
    with SelfGuidance(pipe, [guide((0.1, 0.1))], [PROMPT], [PHRASES]), AttentionTrace(pipe, PHRASES) as trace:
        image = paint(pipe)
    assert set(trace.maps()[0]) == {"car"} and not np.array_equal(image, free)
    with SelfGuidance(pipe, [guide((0.1, 0.1))], [PROMPT], [PHRASES]):
        assert np.array_equal(paint(pipe), image)  # the trace changes no pixel
    assert pipe.unet.attn_processors == processors and np.array_equal(paint(pipe), free)
    assert hooks == (len(pipe.unet._forward_hooks), len(pipe.unet._forward_pre_hooks))
    assert all(parameter.grad is None for parameter in pipe.unet.parameters())
    for nothing in (None, Guide((ObjectGuide("bus", (0.1, 0.1), None),), 5.0)):  # not guided, or not in the prompt
        with SelfGuidance(pipe, [nothing], [PROMPT], [PHRASES]):
            assert np.array_equal(paint(pipe), free)


def test_each_image_of_a_batch_is_guided_by_itself(pipe: Any) -> None:
    def both(second: Guide | None) -> Any:
        generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
        with SelfGuidance(pipe, [guide((0.1, 0.1)), second], [PROMPT] * 2, [PHRASES] * 2):
            settings = {"num_inference_steps": 3, "width": 128, "height": 128, "output_type": "np"}
            return pipe([PROMPT] * 2, generator=generators, **settings).images

    one, other = both(None), both(guide((0.9, 0.9)))
    assert np.allclose(one[0], other[0], atol=1e-4) and not np.allclose(one[1], other[1], atol=1e-3)


def test_stable_diffusion_xl(pipe: Any) -> None:
    xl = untrained_xl(pipe.tokenizer, pipe.tokenizer)
    free = paint(xl)
    with SelfGuidance(xl, [guide((0.1, 0.1), 0.1)], [PROMPT], [PHRASES]):
        assert not np.array_equal(paint(xl), free)


def test_other_models_are_refused() -> None:
    with pytest.raises(ModelError, match="PixArtAlphaPipeline cannot be guided by its attention"):
        SelfGuidance(untrained_pixart(), [guide((0.1, 0.1))], [PROMPT], [PHRASES])
