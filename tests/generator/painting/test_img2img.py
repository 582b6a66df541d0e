"""Every family paints from init images under the trace, batch or not, and regions stay within their masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline
from untrained import (
    untrained_flux,
    untrained_pipeline,
    untrained_pixart,
    untrained_sd3,
    untrained_tokenizer,
    untrained_xl,
)

from diffucurate.generator.errors import ImageError, ModelError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.jobs.variations import altered
from diffucurate.generator.models.load import nearest_size
from diffucurate.generator.painting.img2img import for_task
from diffucurate.generator.painting.init_images import SEAM, InitPixels, grown
from diffucurate.generator.painting.painter import Painting, paint
from diffucurate.generator.progress import Progress
from diffucurate.generator.recipe.init_image import InitImage, Region
from diffucurate.generator.recipe.model_options import ModelOptions

IMAGE = np.random.default_rng(0).integers(0, 256, (100, 90, 3), np.uint8)
MASK = np.zeros((100, 90), np.bool_)
MASK[30:60, 20:50] = True
INIT_IMAGES = {"img2img": InitPixels(IMAGE), "inpaint": InitPixels(IMAGE, MASK)}


@pytest.fixture(scope="module")
def pipe_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    folder, made = tmp_path_factory.mktemp("words"), {}

    def build(kind: str) -> Any:
        words = untrained_tokenizer(Path(folder))
        builders = {
            "sd": lambda: untrained_pipeline(words),
            "sd-inpainting": lambda: untrained_pipeline(words, kind=StableDiffusionInpaintPipeline, inputs=9),
            "xl": lambda: untrained_xl(words, untrained_tokenizer(Path(folder))),
            "sd3": lambda: untrained_sd3(words, channels=16),
            "flux": lambda: untrained_flux(words),
            "pixart": untrained_pixart,
        }
        if kind not in made:
            made[kind] = builders[kind]()
        return made[kind]

    return build


def job(task: str, seed: int, strength: float, size: tuple[int, int] = (96, 96)) -> Job:
    region = Region("truth", "1", "tree", 0.0, "b") if task == "inpaint" else None
    source = InitImage("photos", "1", "a", strength, region)
    return Job.of(
        task=task,
        prompt="a red car",
        negative_prompt="",
        phrases={"car": ("car",)},
        attributes={},
        seed=seed,
        size=size,
        steps=4,
        guidance=4.0,
        model="some",
        source=source,
    )


def painted(pipe: Any, task: str, count: int, strength: float, batch_size: int = 8) -> list[Painting]:
    todo = [job(task, seed, strength) for seed in range(count)]
    return list(paint(todo, pipe=pipe, batch_size=batch_size, init_images=lambda job: INIT_IMAGES[job.task]))


@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize(
    ("kind", "task"),
    [("sd", "img2img"), ("sd", "inpaint"), ("sd-inpainting", "inpaint"), ("xl", "img2img"), ("xl", "inpaint"),
     ("sd3", "img2img"), ("sd3", "inpaint"), ("flux", "img2img"), ("flux", "inpaint")],
)  # fmt: skip
def test_families_paint_from_init_images(pipe_of: Callable[[str], Any], kind: str, task: str, strength: float) -> None:
    pipe = pipe_of(kind)
    before = pipe.scheduler
    together, alone = painted(pipe, task, 2, strength), painted(pipe, task, 1, strength)[0]
    assert pipe.scheduler is before
    assert [one.image.shape for one in together] == [(96, 96, 3)] * 2
    assert all(np.isfinite(one.heatmaps["car"]).all() and one.heatmaps["car"].max() > 0 for one in together)
    assert np.abs(together[0].image.astype(int) - alone.image).max() <= 1  # rounding
    assert not np.array_equal(together[0].image, together[1].image)
    fitted = INIT_IMAGES[task].fitted((96, 96))
    if task == "inpaint":
        assert np.array_equal(alone.region, fitted.mask)
        beyond = ~grown(fitted.mask, SEAM / np.sqrt(fitted.mask.sum()))
        assert np.array_equal(alone.image[beyond], fitted.image[beyond])
    else:
        assert alone.region is None


@pytest.mark.parametrize(("kind", "task"), [("sd", "img2img"), ("sd-inpainting", "inpaint")])
def test_weights_in_prompts_count_where_images_start_from_init_images(
    pipe_of: Callable[[str], Any], kind: str, task: str
) -> None:
    made = {}
    for prompt in ("a red car on a road", "a red car++ on a (road)0.5"):
        todo = [altered(job(task, 0, 0.5), prompt=prompt, model_options=ModelOptions(prompt_weights=True))]
        (made[prompt],) = paint(todo, pipe=pipe_of(kind), init_images=lambda job: INIT_IMAGES[job.task])
    plain, weighted = made.values()
    assert not np.array_equal(plain.image, weighted.image) and weighted.heatmaps["car"].max() > 0


@pytest.mark.parametrize(
    ("kind", "task"),
    [("sd-inpainting", "img2img"), ("sd-inpainting", "txt2img"), ("pixart", "img2img"), ("pixart", "inpaint")],
)
def test_models_that_cannot(pipe_of: Callable[[str], Any], kind: str, task: str) -> None:
    with pytest.raises(ModelError, match="can only inpaint" if kind == "sd-inpainting" else "diffusers has no"):
        for_task(pipe_of(kind), task, 0.5)


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_the_built_in_model_keeps_what_is_around_the_region(strength: float) -> None:
    """Its latents have 8 channels, which diffusers' own pipelines do not blend."""
    from diffucurate.generator.models.load import load_pipeline
    from diffucurate.generator.tiny.scenes import real_scenes

    pipe = load_pipeline("tiny", "cpu")
    scene = real_scenes(1, 7)[0].image
    mask = np.zeros((128, 128), np.bool_)
    mask[64:112, 64:112] = True
    todo = [job("inpaint", seed, strength, (128, 128)) for seed in range(2)]
    seen: list[np.ndarray] = []

    class Whole(InitPixels):
        def kept_in(self, painted: np.ndarray) -> np.ndarray:
            seen.append(painted)
            return painted

    list(paint(todo, pipe=pipe, init_images=lambda job: Whole(scene, mask)))
    far = ~grown(mask, 0.5)
    assert len(seen) == 2
    for image in seen:  # as the autoencoder decodes it, before the init image's own pixels are put in
        assert np.abs(image[far].astype(int) - scene[far]).mean() < 8
        assert np.abs(image[mask].astype(int) - scene[mask]).mean() > 12
    assert not np.array_equal(seen[0][mask], seen[1][mask])


def test_a_job_without_its_init_image_is_left_out_and_counted(pipe_of: Callable[[str], Any]) -> None:
    failed: list[tuple[int, str]] = []
    reports: list[Progress] = []

    def init_image(job: Job) -> InitPixels:
        if job.seed in (0, 3):
            raise ImageError("it is gone")
        return INIT_IMAGES[job.task]

    todo = [job("img2img", seed, 0.5) for seed in range(4)]
    done = paint(
        todo,
        pipe=pipe_of("sd"),
        batch_size=2,
        init_images=init_image,
        on_batch=reports.append,
        on_failure=lambda job, error: failed.append((job.seed, str(error))),
    )
    assert [one.job.seed for one in done] == [1, 2]
    assert failed == [(0, "it is gone"), (3, "it is gone")] and [one.done for one in reports] == [2, 4]
    with pytest.raises(ImageError, match="it is gone"):
        list(paint(todo, pipe=pipe_of("sd"), init_images=init_image))
    with pytest.raises(ImageError, match="starts from an init image"):
        list(paint(todo, pipe=pipe_of("sd")))


def test_smaller_batches_when_memory_runs_out(pipe_of: Callable[[str], Any]) -> None:
    pipe, sizes = pipe_of("sd"), []

    def watch(module: Any, args: Any) -> None:
        sizes.append(args[0].shape[0] // 2)
        if sizes[-1] > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")

    handle = pipe.unet.register_forward_pre_hook(watch)
    try:
        made = painted(pipe, "img2img", 2, 0.5)
    finally:
        handle.remove()
    assert len(made) == 2 and sizes == [2, 1, 1, 1, 1] and made[0].conditions.batch_size == 1


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((128, 128), (128, 128)),
        ((100, 128), (96, 128)),  # the next multiples of 8
        ((127, 65), (128, 64)),  # half as many pixels are enough
        ((64, 64), (128, 128)),
        ((4000, 3000), (144, 112)),
        ((10, 1000), (8, 1000)),
    ],
)
def test_the_size_of_a_picture_that_a_model_can_paint(
    pipe_of: Callable[[str], Any], size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert nearest_size(pipe_of("sd"), size) == expected
