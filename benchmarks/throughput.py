"""How much faster labelled images come: ``python benchmarks/throughput.py``.

Two ways through the same prompts, seeds, steps and guidance with the built-in model, one after the other in each
round, so that whatever else the machine does hits both alike:

- ours: ``paint``, eight images at once under a trace, then labels from the class maps with the library's defaults;
- label-diffusion's way: one image at a time, every cross-attention of the down and up blocks with its softmax in the
  open, the maps of all tokens summed (peers/daam.py), then DiffuGen's recipe for each class (peers/diffugen.py).

Prints a table: seconds per image of painting and of labelling, and the median over the rounds of their ratios. Labels
are made at the image's size by both. Where a GPU is at hand the model runs there; labels are made on the CPU always.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from peers.daam import Daam
from peers.diffugen import diffugen
from peers.explicit_attention import cross_attention, watched
from tiny_model import recipe

from diffucurate.generator.attention.capture.tokens import locate
from diffucurate.generator.jobs.jobs import Job, jobs
from diffucurate.generator.labels.from_heatmaps import labels_from_heatmaps, normalised_heatmaps
from diffucurate.generator.models.load import load_pipeline
from diffucurate.generator.painting.painter import paint

Maps = Mapping[str, NDArray[np.float32]]


def our_way(pipe: Any, todo: Sequence[Job], batch: int) -> dict[str, float]:
    """Seconds of painting and of labelling all jobs."""
    start = time.perf_counter()
    paintings = list(paint(todo, pipe=pipe, batch_size=batch))
    painted = time.perf_counter()
    for painting in paintings:
        classes = tuple(painting.job.phrases)
        labels_from_heatmaps(painting.heatmaps, painting.image.shape[:2], classes, image=painting.image)
    return {"painting": painted - start, "labels": time.perf_counter() - painted}


def label_diffusion(pipe: Any, todo: Sequence[Job]) -> dict[str, float]:
    start = time.perf_counter()
    paintings = [paint_alone(pipe, job) for job in todo]
    painted = time.perf_counter()
    for image, maps in paintings:
        for heat in normalised_heatmaps(maps, image.shape[:2]).values():
            diffugen(heat)
    return {"painting": painted - start, "labels": time.perf_counter() - painted}


def paint_alone(pipe: Any, job: Job) -> tuple[NDArray[np.uint8], Maps]:
    """One image and the maps of its classes, DAAM's way."""
    maps = Daam(1, pipe.unet.config.sample_size)
    with watched(pipe.unet, cross_attention(pipe.unet), maps):
        result = pipe(
            job.prompt,
            negative_prompt=job.negative_prompt,
            width=job.size[0],
            height=job.size[1],
            num_inference_steps=job.steps,
            guidance_scale=job.guidance,
            generator=torch.Generator("cpu").manual_seed(job.seed),
            output_type="np",
        )
    tokenizer = pipe.tokenizer
    ids = tokenizer(job.prompt, padding="max_length", max_length=tokenizer.model_max_length).input_ids
    image = (result.images[0] * 255).round().astype(np.uint8)
    return image, maps.maps([locate(tokenizer, ids, job.phrases).classes])[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=16, help="per round (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=8, help="images at once, our way (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=5.0)
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write every figure there")
    options = parser.parse_args()

    pipe: Any = load_pipeline("tiny")
    pipe.set_progress_bar_config(disable=True)
    todo = list(jobs(recipe(options.images, options.guidance, options.steps)))
    (
        our_way(pipe, todo[: options.batch], options.batch),
        label_diffusion(pipe, todo[:1]),
    )  # the first run of each is slow
    rounds = [
        {"ours": our_way(pipe, todo, options.batch), "label-diffusion": label_diffusion(pipe, todo)}
        for _ in range(options.rounds)
    ]
    for costs in rounds:
        for way in costs.values():
            way["both"] = way["painting"] + way["labels"]

    where = torch.cuda.get_device_name() if pipe.device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{where}; {options.images} images of {options.steps} steps with guidance, {options.rounds} rounds\n")
    print(f"| ms per image | ours, {options.batch} at once | label-diffusion's way | ratio, median (extremes) |")
    print("|---|---|---|---|")
    figures: dict[str, dict[str, float]] = {}
    for part in ("painting", "labels", "both"):
        ratios = [costs["label-diffusion"][part] / costs["ours"][part] for costs in rounds]
        ms = {
            way: statistics.median(costs[way][part] for costs in rounds) / options.images * 1000
            for way in ("ours", "label-diffusion")
        }
        figures[part] = {**ms, "ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}
        shown = f"{figures[part]['ratio']:.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        print(f"| {part} | {ms['ours']:.1f} | {ms['label-diffusion']:.1f} | {shown} |")
    if options.json:
        versions = {"torch": torch.__version__, "opencv": cv2.__version__, "python": platform.python_version()}
        report = {"device": where, **versions, "figures": figures, "rounds": rounds}
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
