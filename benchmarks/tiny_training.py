"""Draws the built-in models' training curves: ``python benchmarks/tiny_training.py [PICTURE]``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib

from diffucurate.generator.tiny import pipeline_folder

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def read(name: str) -> list[dict[str, float]]:
    lines = (pipeline_folder().parent / "curves" / name).read_text().splitlines()
    return [json.loads(line) for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path, nargs="?", default=Path("docs/images/tiny-training.png"))
    arguments = parser.parse_args()
    autoencoder, diffusion = read("autoencoder.jsonl"), read("diffusion.jsonl")
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    left.plot([row["step"] * 6 for row in autoencoder], [row["psnr"] for row in autoencoder])
    left.set(title="Autoencoder", xlabel="images seen", ylabel="PSNR on held-out renders (dB)")
    right.semilogy([row["images"] for row in diffusion], [row["loss"] for row in diffusion])
    right.set(title="UNet and text encoder", xlabel="images seen", ylabel="v-prediction loss")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(arguments.picture, dpi=110)


if __name__ == "__main__":
    main()
