"""Trains the second model, of another make than the built-in one, so that settings are not chosen on one model's taste.

Run in ``benchmarks``: ``python -m textured.train --minutes 100`` trains on from the last checkpoint, which is written
every three minutes, so that it may be killed at any time; ``--pack`` writes what there is to textured/weights.

How it differs from the built-in model, which ``generator.tiny`` trains:

* scenes of ``textured.scenes``: the same captions, but textures, light, shadows, clutter and noise;
* an ordinary CLIP text encoder: two layers, MLPs of four times its width, trained by the diffusion loss only. Filler
  words, end and padding are not pulled towards a constant, so that they may hold a summary of the caption;
* a UNet that is an eighth narrower at 8 x 8 (112 channels).

What it has from the built-in model: the autoencoder goes on from its weights on textured scenes, and the UNet's
convolutions, self-attention and MLPs start from its weights less an eighth of the channels. Cross-attention and text
encoder start untrained, so how this model attends is learnt anew, from captions and images alone.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from textured.scenes import TexturedStyle
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from transformers import CLIPTokenizer

from diffucurate.generator.tiny import pipeline_folder
from diffucurate.generator.tiny.train import pack, pack_curves
from diffucurate.generator.tiny.train_autoencoder import LATENT_CHANNELS, train_autoencoder
from diffucurate.generator.tiny.train_diffusion import (
    Learner,
    build_scheduler,
    build_text_encoder,
    build_tokenizer,
    build_unet,
    pipeline,
    train_diffusion,
)
from diffucurate.generator.tiny.training import load_state

WEIGHTS = Path(__file__).parent / "weights"
RUNS = Path(__file__).parents[2] / "runs" / "textured"
CHANNELS = (64, 112)


def build_learner(tokenizer: CLIPTokenizer) -> Learner:
    """The networks before their training, the UNet with what it has from the built-in model."""
    unet = build_unet(LATENT_CHANNELS, CHANNELS)
    built_in = UNet2DConditionModel.from_pretrained(pipeline_folder() / "unet", torch_dtype=torch.float32)
    inherit(unet, built_in)
    return Learner(unet, build_text_encoder(tokenizer, layers=2, widening=4))


@torch.no_grad()
def inherit(unet: nn.Module, wider: nn.Module) -> None:
    """Copy ``wider``'s weights into ``unet``, all but cross-attention's."""
    weights = wider.state_dict()
    for name, weight in unet.state_dict().items():
        if ".attn2." not in name:
            weight.copy_(narrowed(weights[name], weight.shape))


def narrowed(weight: Tensor, shape: torch.Size) -> Tensor:
    """``weight`` with every eighth channel left out along each side that is too long for ``shape``.

    Groups of the norms and heads of the attention hold a multiple of eight channels, so that all become an eighth
    narrower alike. Of two inputs side by side the first is the one that became narrower, in this UNet.
    """
    for side, length in enumerate(shape):
        surplus = weight.shape[side] - length
        kept = [index for index in range(weight.shape[side]) if index % 8 != 7 or index // 8 >= surplus]
        weight = weight.index_select(side, torch.tensor(kept))
    return weight


def pack_checkpoint(runs: Path, weights: Path) -> None:
    """Write the averaged weights of the last checkpoint as a diffusers folder in half precision."""
    tokenizer = build_tokenizer(runs / "tokenizer")
    averaged = AveragedModel(build_learner(tokenizer))
    state = load_state(runs / "diffusion.pt", ema=averaged)
    if not state:
        raise SystemExit(f"there is no checkpoint in {runs} yet")
    vae = AutoencoderKL.from_pretrained(runs / "vae")
    pack(pipeline(vae, averaged.module, tokenizer, build_scheduler()), weights / "pipeline")
    pack_curves(runs, weights)
    size = sum(file.stat().st_size for file in weights.rglob("*") if file.is_file())
    print(f"packed step {state['step']} to {weights}: {size / 1e6:.2f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=RUNS, help="of checkpoints (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=100, help="of the diffusion stage (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=2e-3, help="peak; 1e-3 for the last sittings")
    parser.add_argument(
        "--decay", type=float, default=0.1, help="the last share of a sitting in which the rate falls; 0.5 for the last"
    )
    parser.add_argument("--scenes", type=int, default=100_000, help="in all; one number for all sittings")
    parser.add_argument("--autoencoder-minutes", type=float, default=15, help="only where there is none yet")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--pack", action="store_true", help="write the last checkpoint's weights; train nothing")
    arguments = parser.parse_args()
    torch.set_flush_denormal(True)  # numbers too small to matter slow a CPU down a hundredfold
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    runs: Path = arguments.runs
    if arguments.pack:
        pack_checkpoint(runs, WEIGHTS)
        return
    runs.mkdir(parents=True, exist_ok=True)
    (runs / "train.pid").write_text(f"{os.getpid()}\n")
    # Another autoencoder's latents would be of no use to the UNet, so there is one for all time.
    if not (runs / "vae").exists():
        train_autoencoder(
            runs, minutes=arguments.autoencoder_minutes, peak_rate=1e-3, device=arguments.device,
            style=TexturedStyle, start=pipeline_folder() / "vae",
        ).to("cpu").save_pretrained(runs / "vae")  # fmt: skip
    train_diffusion(
        runs,
        AutoencoderKL.from_pretrained(runs / "vae"),
        minutes=arguments.minutes,
        peak_rate=arguments.rate,
        scenes=arguments.scenes,
        device=arguments.device,
        learner=build_learner(build_tokenizer(runs / "tokenizer")),
        leak_weight=0.0,
        decay=arguments.decay,
        style=TexturedStyle,
    )


if __name__ == "__main__":
    main()
