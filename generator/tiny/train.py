"""``make train-tiny``: trains the built-in models in three stages and packs their weights.

The diffusion stage goes on from its checkpoint in the runs folder, so it can be killed and started again, today
or next week; in a fresh clone it goes on from the packed weights. The autoencoder is trained only where there is
none yet or when it is asked for, since a new one makes every trained UNet useless.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline

from diffucurate.generator.tiny import pipeline_folder, yolo_path
from diffucurate.generator.tiny.train_autoencoder import train_autoencoder
from diffucurate.generator.tiny.train_diffusion import train_diffusion
from diffucurate.generator.tiny.train_yolo import train_yolo
from diffucurate.generator.tiny.words import write_tokenizer_files

STAGES = ("autoencoder", "diffusion", "yolo")


def pack(pipe: StableDiffusionPipeline, folder: Path) -> None:
    """Write ``pipe`` to ``folder`` in half precision, for transformers 4 and 5 alike."""
    pipe.to("cpu", torch.float16).save_pretrained(folder)
    # transformers 5 writes tokenizer.json alone; transformers 4 reads these.
    write_tokenizer_files(folder / "tokenizer")


def pack_curves(runs: Path, weights: Path) -> None:
    """Keep the training curves beside the weights."""
    curves = weights / "curves"
    curves.mkdir(parents=True, exist_ok=True)
    for curve in runs.glob("*.jsonl"):
        shutil.copyfile(curve, curves / curve.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/tiny"), help="of checkpoints (default: %(default)s)")
    parser.add_argument("--stages", nargs="+", choices=STAGES, help="default: what is missing, diffusion, yolo")
    parser.add_argument("--autoencoder-minutes", type=float, default=20)
    parser.add_argument("--diffusion-minutes", type=float, default=120)
    parser.add_argument("--diffusion-rate", type=float, default=2e-3, help="peak; 1e-3 to go on from trained weights")
    parser.add_argument("--yolo-epochs", type=int, default=6)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    torch.set_flush_denormal(True)  # numbers too small to matter slow a CPU down a hundredfold
    runs: Path = arguments.runs
    runs.mkdir(parents=True, exist_ok=True)
    own, packed = runs / "vae", pipeline_folder() / "vae"
    stages = arguments.stages or [
        name for name in STAGES if name != "autoencoder" or not (own.exists() or packed.exists())
    ]
    start: Path | None = pipeline_folder() if packed.exists() and not own.exists() else None
    if "autoencoder" in stages:
        train_autoencoder(runs, minutes=arguments.autoencoder_minutes, device=arguments.device).save_pretrained(own)
        start = None
    if "diffusion" in stages:
        pipe = train_diffusion(
            runs,
            AutoencoderKL.from_pretrained(own if own.exists() else packed, torch_dtype=torch.float32),
            minutes=arguments.diffusion_minutes,
            peak_rate=arguments.diffusion_rate,
            device=arguments.device,
            start=start,
        )
        pack(pipe, pipeline_folder())
    if "yolo" in stages:
        train_yolo(runs, yolo_path(), epochs=arguments.yolo_epochs, device=arguments.device)
    pack_curves(runs, pipeline_folder().parent)


if __name__ == "__main__":
    main()
