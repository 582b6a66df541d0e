"""What tracing and init images cost against plain diffusers: ``python benchmarks/init_images.py``.

The same init images, prompts, seeds, strength and steps go three ways, one after the other in each round, another one
first each time, so that whatever else the machine does, and what one way leaves to the next, hits all alike:

- ours: ``paint`` with rendered scenes as init images, the class maps of the attention included;
- untraced: the same with no class to look for, so that it shows what all but the maps costs;
- plain: diffusers' own image-to-image or inpainting pipeline on the same model and batch.

The model is Stable Diffusion's layout, small and with random weights, since diffusers cannot inpaint with the built-in
one's latents of 8 channels. Prints a table with the seconds per image of ours and plain, and the medians over the
rounds of ours and untraced by plain; the goal is 1.05 at most. Times are of the process on a CPU, in one thread by
default, which others on the machine disturb less, and of the clock on a GPU, where the model runs if there is one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    AutoPipelineForImage2Image,
    AutoPipelineForInpainting,
    DDIMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.jobs.variations import altered
from diffucurate.generator.models.load import default_device
from diffucurate.generator.painting.init_images import InitPixels, grown
from diffucurate.generator.painting.painter import paint
from diffucurate.generator.recipe.init_image import InitImage, Region
from diffucurate.generator.tiny.scenes import real_scenes
from diffucurate.generator.tiny.words import write_tokenizer_files

PROMPT = "a photo of a red car on a road at night"
GUIDANCE = 5.0


def model(side: int) -> Any:
    """A quarter of Stable Diffusion 1.x in width, with its four levels."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer_files(Path(folder))
        words = CLIPTokenizer.from_pretrained(folder, model_max_length=77)
    unet = UNet2DConditionModel(
        sample_size=side // 8,
        block_out_channels=(80, 160, 320, 320),
        cross_attention_dim=192,
        attention_head_dim=8,
        norm_num_groups=16,
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(words),
            hidden_size=192,
            intermediate_size=768,
            num_hidden_layers=4,
            num_attention_heads=4,
            bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
        )
    )
    vae = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=[32, 64, 64, 64],
        sample_size=side,
    )
    schedule = DDIMScheduler(steps_offset=1, clip_sample=False)
    pipe = StableDiffusionPipeline(vae, text, words, unet, schedule, None, None, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    device = default_device()[0]
    return pipe.to(device, torch.float16 if device == "cuda" else torch.float32)


def work(task: str, count: int, side: int, steps: int, strength: float) -> tuple[list[Job], list[InitPixels]]:
    """Jobs, and the scenes they start from; the largest object of each is replaced."""
    jobs, init_images = [], []
    for seed, scene in enumerate(real_scenes(count, 502, size=(side, side))):
        mask = max((thing.mask.astype(np.bool_) for thing in scene.objects), key=np.count_nonzero)
        init_images.append(InitPixels(scene.image, grown(mask, 0.3) if task == "inpaint" else None))
        region = Region("truth", str(seed), "thing", 0.3, str(seed)) if task == "inpaint" else None
        source = InitImage("scenes", str(seed), str(seed), strength, region)
        jobs.append(
            Job.of(
                task=task,
                prompt=PROMPT,
                negative_prompt="",
                phrases={"car": ("car",)},
                attributes={},
                seed=seed,
                size=(side, side),
                steps=steps,
                guidance=GUIDANCE,
                model="random",
                source=source,
            )
        )
    return jobs, init_images


def now() -> float:
    return time.perf_counter() if torch.cuda.is_available() else time.process_time()


def ours(pipe: Any, jobs: Sequence[Job], init_images: Sequence[InitPixels], batch: int) -> float:
    start = now()
    list(paint(jobs, pipe=pipe, batch_size=batch, init_images=lambda job: init_images[job.seed]))
    return now() - start


def untraced(pipe: Any, jobs: Sequence[Job], init_images: Sequence[InitPixels], batch: int) -> float:
    return ours(pipe, [altered(job, phrases={}) for job in jobs], init_images, batch)


def plain(pipe: Any, jobs: Sequence[Job], init_images: Sequence[InitPixels], batch: int) -> float:
    start = now()
    for first in range(0, len(jobs), batch):
        some, given = jobs[first : first + batch], init_images[first : first + batch]
        masks = [Image.fromarray(init_image.mask) for init_image in given if init_image.mask is not None]
        pipe(
            [job.prompt for job in some],
            image=[Image.fromarray(init_image.image) for init_image in given],
            strength=jobs[0].source.strength if jobs[0].source else 1.0,
            num_inference_steps=jobs[0].steps,
            guidance_scale=GUIDANCE,
            generator=[torch.Generator("cpu").manual_seed(job.seed) for job in some],
            output_type="np",
            **({"mask_image": masks, "width": jobs[0].size[0], "height": jobs[0].size[1]} if masks else {}),
        )
    return now() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2, help="per round (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=2, help="images at once (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=18)
    parser.add_argument("--threads", type=int, default=1, help="of a CPU (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=20, help="as recipes have (default: %(default)s)")
    parser.add_argument("--side", type=int, default=128, help="of the images in pixels (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write every figure there")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    pipe, figures = model(options.side), {}
    print(
        f"{default_device()[0]}; {options.images} images of {options.side} px and {options.steps} steps, at once "
        f"{options.batch}; {options.rounds} rounds\n"
    )
    print("| task | ours, s per image | diffusers, s per image | ratio, median (quartiles) | untraced |")
    print("|---|---|---|---|---|")
    for task, strength, kind in (
        ("img2img", 0.6, AutoPipelineForImage2Image),
        ("inpaint", 1.0, AutoPipelineForInpainting),
    ):
        theirs = kind.from_pipe(pipe)
        theirs.set_progress_bar_config(disable=True)
        jobs, init_images = work(task, options.images, options.side, options.steps, strength)
        ways = (ours, pipe), (plain, theirs), (untraced, pipe)
        for way, own in ways:  # the first run of each is slow
            way(own, jobs[: options.batch], init_images, options.batch)
        rounds = []
        for number in range(options.rounds):
            first = number % len(ways)
            times = [way(own, jobs, init_images, options.batch) for way, own in (*ways[first:], *ways[:first])]
            rounds.append(times[-first:] + times[:-first])
        low, median, high = statistics.quantiles([mine / other for mine, other, _ in rounds], n=4)
        bare = statistics.median(without / other for _, other, without in rounds)
        seconds = [statistics.median(column) / options.images for column in zip(*rounds, strict=True)]
        found = {"ours": seconds[0], "diffusers": seconds[1], "ratio": median, "untraced": bare}
        figures[task] = {**found, "rounds": rounds}
        print(f"| {task} | {seconds[0]:.3f} | {seconds[1]:.3f} | {median:.3f} ({low:.3f}-{high:.3f}) | {bare:.3f} |")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
