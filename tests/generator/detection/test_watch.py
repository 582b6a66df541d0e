"""Features of the run that paints: whose they are, and of which step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from untrained import untrained_flux, untrained_pipeline, untrained_sd3, untrained_tokenizer, untrained_xl
from untrained_chat import untrained_flux2, untrained_qwen_image, untrained_z_image

from diffucurate.generator.detection.features import FeatureReader
from diffucurate.generator.detection.watch import PaintingWatch, watching
from diffucurate.generator.errors import ModelError

MAKERS = {
    "sd": untrained_pipeline,
    "xl": lambda tokenizer: untrained_xl(tokenizer, tokenizer),
    "sd3": untrained_sd3,
    "flux": untrained_flux,
    "flux2": lambda _: untrained_flux2(),
    "qwen-image": lambda _: untrained_qwen_image(),
    "z-image": lambda _: untrained_z_image(),
}


@pytest.mark.parametrize("name", MAKERS)
def test_images_of_a_batch_have_features_of_their_own(name: str, tmp_path: Path) -> None:
    pipe = MAKERS[name](untrained_tokenizer(tmp_path))
    reader = FeatureReader(pipe, 0.1)

    def painted(seeds: list[int]) -> list[torch.Tensor]:
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        options: dict[str, Any] = {"num_inference_steps": 2, "width": 64, "height": 32, "output_type": "latent"}
        with watching(reader, len(seeds), (64, 32)) as watch:
            pipe(prompt=["a red car"] * len(seeds), generator=generators, **options)
        return watch.features

    both, one = painted([1, 2]), painted([2])
    sides = [tuple(each.shape[2:]) for each in both]
    assert len(both) >= 3 and all(width == 2 * height for height, width in sides) and sides == sorted(sides)
    for pair, alone in zip(both, one, strict=True):
        assert len(pair) == 2 and len(alone) == 1
        assert torch.allclose(pair[1], alone[0], atol=1e-2) and not torch.allclose(pair[0], alone[0], atol=1e-2)
    model = getattr(pipe, "unet", None) or pipe.transformer
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_the_step_is_the_nearest_and_the_rows_are_the_prompts(tmp_path: Path) -> None:
    pipe = untrained_pipeline(untrained_tokenizer(tmp_path))
    seen: list[tuple[int, torch.Tensor]] = []
    handle = pipe.unet.mid_block.register_forward_hook(lambda module, args, output: seen.append((len(output), output)))
    reader = FeatureReader(pipe, 0.5)
    with watching(reader, 1, (64, 64)) as watch:
        pipe("a car", num_inference_steps=4, width=64, height=64, guidance_scale=4.0, output_type="latent")
    handle.remove()
    levels = [float(step) / 1000 for step in pipe.scheduler.timesteps]
    nearest = min(range(4), key=lambda index: abs(levels[index] - 0.5))
    assert watch.level == pytest.approx(levels[nearest])
    rows, states = seen[nearest]
    assert rows == 2 and torch.equal(watch.features[0][0], states[1])  # guidance's row comes first


def test_without_a_run() -> None:
    with pytest.raises(ModelError, match="was not called"):
        _ = PaintingWatch().features
