"""How fast a word is learned against the usual loop: ``python benchmarks/token_training.py``.

The built-in model learns a word of 4 vectors from 20 rendered pianos two ways, a run of some steps of each in turn, so
that whatever else the machine does hits both alike:

- ours: ``learn_word``, preparation, checkpoint, loss curve and the word's file included;
- usual: what the common training script does (peers/inversion_loop.py), its images prepared beforehand.

Same images, captions, batch, vectors, optimiser and rate; no mirror images, crops, previews or low-rank changes. Prints
the steps per second of both and the median over the rounds of ours by usual's; the goal is 1 at least. Where a GPU is
at hand the model runs there.
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
from peers.inversion_loop import UsualLoop

from diffucurate.generator.inversion.examples import Example
from diffucurate.generator.inversion.files import WordFiles
from diffucurate.generator.inversion.settings import Inversion
from diffucurate.generator.inversion.training import learn_word
from diffucurate.generator.models.load import default_device, load_pipeline, release_models
from diffucurate.generator.tiny.rare import EXAMPLES, FIRST_SEED, PLACEHOLDER, rare_caption
from diffucurate.generator.tiny.scenes import Scene, render_scene

VECTORS, RATE = 4, 0.01


def ours(pipe: Any, scenes: Sequence[Scene], steps: int, batch: int) -> float:
    """Steps per second."""
    examples = [Example(scene.image, None, rare_caption(scene.caption)) for scene in scenes]
    settings = Inversion(
        placeholder=PLACEHOLDER,
        vectors=VECTORS,
        steps=steps,
        batch_size=batch,
        learning_rate=RATE,
        flip=False,
        schedule="constant",
        weight_decay=0.01,
        preview_every=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        learn_word(pipe, examples, settings, WordFiles.of("word", folder))
        return steps / (time.perf_counter() - start)


def usual(loop: UsualLoop, scenes: Sequence[Scene], steps: int, batch: int, device: str) -> float:
    """Steps per second."""
    images = torch.from_numpy(np.stack([scene.image for scene in scenes])).permute(0, 3, 1, 2) / 127.5 - 1
    captions = [rare_caption(scene.caption).replace("{}", loop.text) for scene in scenes]
    images, generator = images.to(device), np.random.default_rng(0)
    start = time.perf_counter()
    for _ in range(steps):
        chosen = generator.choice(len(scenes), batch, replace=False)
        loop.step(images[chosen], [captions[index] for index in chosen])
    return steps / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast a word is learned against the usual loop.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="of each way in a round")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--out", type=Path, help="also write all figures here, as JSON")
    options = parser.parse_args()
    device, reason = default_device()
    scenes = [render_scene(FIRST_SEED + index, labels=["piano"]) for index in range(EXAMPLES)]
    loop = UsualLoop(load_pipeline("tiny", device, torch.float32), "<peer>", VECTORS, RATE)
    release_models()  # what the loop has changed stays its own
    pipe = load_pipeline("tiny", device, torch.float32)
    rounds: list[tuple[float, float]] = []
    for number in range(1 + options.rounds):  # the first, in which everything is met for the first time, does not count
        pair = (
            ours(pipe, scenes, options.steps, options.batch),
            usual(loop, scenes, options.steps, options.batch, device),
        )
        rounds += [pair] if number else []
    ratio = statistics.median(one / other for one, other in rounds)
    mine, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"built-in model on {device} ({reason}), batch {options.batch}, {VECTORS} vectors, {options.rounds} rounds")
    print(f"ours {mine:.2f} steps/s, usual {theirs:.2f} steps/s, ours by usual's {ratio:.2f} (goal: at least 1)")
    if options.out is not None:
        options.out.write_text(json.dumps({"device": device, "ours": mine, "usual": theirs, "ratio": ratio}))


if __name__ == "__main__":
    main()
