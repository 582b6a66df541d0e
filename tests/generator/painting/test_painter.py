"""Painting in batches, with little memory, and interrupted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from untrained import untrained_flux, untrained_pixart, untrained_sd3, untrained_xl

from diffucurate.generator.attention.trace.trace import AttentionTrace
from diffucurate.generator.errors import ModelError, RecipeError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.models.card import out_of_memory
from diffucurate.generator.painting.painter import paint
from diffucurate.generator.progress import Progress
from diffucurate.generator.text.class_mentions import find_phrases

CLASSES = {"car": ["car", "sedan"], "bus": ["bus"]}
PROMPTS = ["a red car", "a bus and two sedans", "a tree", "a car at night", "a bus"]


def job(prompt: str, **content: Any) -> Job:
    values = {
        "task": "txt2img",
        "prompt": prompt,
        "negative_prompt": "",
        "phrases": find_phrases(prompt, CLASSES),
        "attributes": {},
        "seed": 5,
        "size": (128, 128),
        "steps": 1,
        "guidance": 4.0,
        "model": "tiny",
    }
    return Job.of(**{**values, **content})


JOBS = [job(prompt, seed=seed) for seed, prompt in enumerate(PROMPTS)]


class Limit:
    """A device with room for so many rows: the UNet fails beyond them as torch would."""

    def __init__(self, pipe: Any, rows: int, error: Exception) -> None:
        self.seen: list[int] = []

        def hook(module: Any, args: tuple[Any, ...]) -> None:
            self.seen.append(args[0].shape[0])
            if args[0].shape[0] > rows:
                raise error

        self.handle = pipe.unet.register_forward_pre_hook(hook)


def test_paintings(pipe: Any) -> None:
    paintings = list(paint(JOBS, pipe=pipe, batch_size=2))
    assert [painting.job for painting in paintings] == JOBS
    assert [list(painting.heatmaps) for painting in paintings] == [["car"], ["car", "bus"], [], ["car"], ["bus"]]
    for painting in paintings:
        assert painting.image.shape == (128, 128, 3)
        assert painting.image.dtype == np.uint8
        assert painting.seconds > 0
        for heat in painting.heatmaps.values():
            assert heat.dtype == np.float32
            assert heat.min() >= 0


def test_an_image_does_not_depend_on_its_batch(pipe: Any) -> None:
    together = list(paint(JOBS, pipe=pipe, batch_size=5))
    alone = list(paint(JOBS[::-1], pipe=pipe, batch_size=1))[::-1]
    for one, other in zip(together, alone, strict=True):
        assert one.job == other.job
        assert np.abs(one.image.astype(int) - other.image).max() <= 1
        for label, heat in one.heatmaps.items():
            np.testing.assert_allclose(heat, other.heatmaps[label], rtol=1e-3, atol=1e-3)  # of maps from 0 to 1


def test_an_image_is_the_pipelines_own(pipe: Any) -> None:
    (painting,) = paint([job("a red car", seed=11, negative_prompt="fog")], pipe=pipe)
    image = pipe(
        "a red car",
        negative_prompt="fog",
        num_inference_steps=1,
        guidance_scale=4.0,
        width=128,
        height=128,
        generator=torch.Generator().manual_seed(11),
    ).images[0]
    assert np.array_equal(painting.image, np.asarray(image))


def test_jobs_that_differ_are_painted_apart(pipe: Any) -> None:
    odd = [job("a bus", size=(96, 160)), job("a car", steps=2), job("a bus", guidance=1.0)]
    jobs = [job("a car"), odd[0], job("a car", seed=6), *odd[1:]]
    limit = Limit(pipe, 99, RuntimeError())
    paintings = list(paint(jobs, pipe=pipe))
    assert [painting.job for painting in paintings] == [jobs[k] for k in (0, 2, 1, 3, 4)]
    assert paintings[2].image.shape == (160, 96, 3)
    assert limit.seen == [4, 2, 2, 2, 1]  # rows of each pass: guidance doubles them


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory"),
    ],
)
def test_the_batch_is_halved_when_memory_runs_out(pipe: Any, error: Exception) -> None:
    limit = Limit(pipe, 2, error)
    told: list[Progress] = []
    paintings = list(paint(JOBS, pipe=pipe, batch_size=5, on_batch=told.append))
    assert [painting.job for painting in paintings] == JOBS
    assert limit.seen == [10, 4, *[2] * 5]
    assert [progress.note for progress in told if progress.note] == [
        "out of memory with 5 images at once; going on with 2",
        "out of memory with 2 images at once; going on with 1",
    ]
    assert [progress.done for progress in told] == [0, 0, 1, 2, 3, 4, 5]


def test_one_image_too_many(pipe: Any) -> None:
    Limit(pipe, 1, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(ModelError, match="one image of 128 x 128 px does not fit the memory of cpu"):
        list(paint(JOBS, pipe=pipe, batch_size=2))


def test_other_errors_are_not_taken_for_it(pipe: Any) -> None:
    Limit(pipe, 1, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1"):
        list(paint(JOBS, pipe=pipe))
    assert not out_of_memory(RuntimeError("index out of range"))


def test_progress(pipe: Any) -> None:
    told: list[Progress] = []
    for _ in paint(JOBS, pipe=pipe, batch_size=2, on_batch=told.append):
        pass
    assert [(progress.done, progress.total) for progress in told] == [(2, 5), (4, 5), (5, 5)]
    assert told[0].images_per_second > 0
    assert told[0].seconds_left == pytest.approx(3 / told[0].images_per_second)
    assert told[-1].seconds_left == 0


def test_interrupted(pipe: Any) -> None:
    """Ctrl-C in the second batch: the first is whole, and the pipeline as it was."""
    before = pipe.unet.attn_processors
    pipe.set_progress_bar_config(desc="own bar")
    passes = 0

    def interrupt(module: Any, args: tuple[Any, ...]) -> None:
        nonlocal passes
        passes += 1
        if passes == 2:
            raise KeyboardInterrupt

    handle = pipe.unet.register_forward_pre_hook(interrupt)
    paintings = []
    with pytest.raises(KeyboardInterrupt):
        for painting in paint(JOBS, pipe=pipe, batch_size=2):
            paintings.append(painting)
    handle.remove()
    assert [painting.job for painting in paintings] == JOBS[:2]
    assert all(painting.heatmaps for painting in paintings)
    assert pipe.unet.attn_processors == before
    assert not pipe.unet._forward_pre_hooks
    assert pipe._progress_bar_config == {"desc": "own bar"}


def test_closed_early(pipe: Any) -> None:
    before = pipe.unet.attn_processors
    paintings = paint(JOBS, pipe=pipe, batch_size=2)
    next(paintings)
    paintings.close()
    assert pipe.unet.attn_processors == before


def test_sizes_are_checked_first(pipe: Any) -> None:
    with pytest.raises(RecipeError, match="multiples of 8"):
        list(paint([job("a car", size=(100, 100))], pipe=pipe))


def test_classes_cut_off_are_reported(pipe: Any, caplog: pytest.LogCaptureFixture) -> None:
    long = job("a " * 40 + "car")
    (painting,) = paint([long], pipe=pipe)
    assert painting.heatmaps == {}
    assert f"job {long.job_id}: no map for car" in caplog.text


def test_no_progress_bar(pipe: Any, capfd: pytest.CaptureFixture[str]) -> None:
    pipe.set_progress_bar_config()
    list(paint(JOBS[:1], pipe=pipe))
    assert capfd.readouterr().err == ""


def test_painting_equals_the_trace(pipe: Any) -> None:
    with AttentionTrace(pipe, CLASSES) as trace:
        pipe(
            "a red car",
            num_inference_steps=1,
            guidance_scale=4.0,
            width=128,
            height=128,
            output_type="latent",
            generator=torch.Generator().manual_seed(0),
        )
    (painting,) = paint(JOBS[:1], pipe=pipe)
    assert np.array_equal(painting.heatmaps["car"], trace.maps()[0]["car"])


@pytest.mark.parametrize("family", ["xl", "sd3", "flux", "pixart"])
def test_other_families(tokenizer: Any, family: str) -> None:
    makers = {
        "xl": lambda one: untrained_xl(one, one),
        "sd3": untrained_sd3,
        "flux": untrained_flux,
        "pixart": lambda _: untrained_pixart(),
    }
    pipe = makers[family](tokenizer)
    paintings = list(paint([job(prompt, size=(96, 128)) for prompt in PROMPTS[:3]], pipe=pipe, batch_size=2))
    assert [list(painting.heatmaps) for painting in paintings] == [["car"], ["car", "bus"], []]
    assert all(painting.image.shape == (128, 96, 3) for painting in paintings)
    assert paintings[0].heatmaps["car"].shape == ((16, 12) if family == "xl" else (8, 6))
    with pytest.raises(RecipeError, match=f"multiples of {8 if family == 'xl' else 16}"):
        list(paint([job("a car", size=(92, 92))], pipe=pipe))


def test_images_that_a_safety_checker_blacks_out_are_no_paintings(make_pipe: Any) -> None:
    from diffucurate.generator.errors import ImageError

    pipe = make_pipe()
    jobs = [job("a car", seed=seed) for seed in range(3)]

    def black_out_the_second(image: Any, device: Any, dtype: Any) -> tuple[Any, list[bool]]:
        image[1] = 0
        return image, [False, True, False]

    pipe.run_safety_checker = black_out_the_second
    failed: list[tuple[Any, str]] = []
    painted = list(paint(jobs, pipe=pipe, batch_size=3, on_failure=lambda job, error: failed.append((job, str(error)))))
    assert [painting.job for painting in painted] == [jobs[0], jobs[2]]
    ((which, reason),) = failed
    assert which == jobs[1] and "safety checker blacked the image out" in reason and "seed 1" in reason
    with pytest.raises(ImageError, match="blacked the image out"):
        list(paint(jobs, pipe=pipe, batch_size=3))


@pytest.mark.parametrize("name", ["pndm", "ddim", "euler", "dpm++", "unipc", "lms", "heun"])
def test_one_step_is_painted_and_traced_by_every_sampler(pipe: Any, name: str) -> None:
    from diffucurate.generator.recipe.model_options import ModelOptions

    options = ModelOptions(scheduler=name)
    (painting,) = paint([job("a car", steps=1, model_options=options)], pipe=pipe)
    assert painting.image.shape == (128, 128, 3) and float(painting.heatmaps["car"].max()) > 0
