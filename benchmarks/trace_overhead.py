"""What a trace costs: ``python benchmarks/trace_overhead.py``.

Runs the denoising loop of UNets with random weights three ways, one after the other in each round so that
whatever else the machine does hits all of them alike:

- plain: diffusers' default attention;
- traced: the same under an AttentionTrace of two classes, its maps included;
- explicit: what DAAM does. Each cross-attention layer takes the softmax in the open for the whole batch,
  and the conditional half's maps of all tokens are summed by layer and head and enlarged at the end.

Prints the median over the rounds of each way's time by plain's in the same round, with the quartiles. The
autoencoder and the text encoder are left out: with them the ratios would be nearer to 1.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from torch.nn import functional
from transformers import CLIPTokenizer

from diffucurate.generator.attention import AttentionTrace
from diffucurate.generator.tiny.words import write_tokenizer_files

CLASSES = {"car": ["car"], "bus": ["bus"]}
PROMPT = "a photo of a red car and two buses on a road at night"


@dataclass(frozen=True)
class Size:
    """A UNet and what goes into it; ``latent`` is its side."""

    latent: int
    context: int
    config: dict[str, Any]
    added: dict[str, tuple[int, ...]] = field(default_factory=dict)


def _sd(channels: tuple[int, ...], width: int) -> dict[str, Any]:
    """The layout of Stable Diffusion 1.x: cross-attention everywhere but on the coarsest level."""
    levels = len(channels) - 1
    return {
        "block_out_channels": channels, "cross_attention_dim": width, "attention_head_dim": 8, "layers_per_block": 2,
        "down_block_types": ("CrossAttnDownBlock2D",) * levels + ("DownBlock2D",),
        "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * levels,
    }  # fmt: skip


SIZES = {
    "tiny": Size(16, 40, {
        "block_out_channels": (64, 128), "cross_attention_dim": 128, "attention_head_dim": 4, "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D",) * 2, "up_block_types": ("CrossAttnUpBlock2D",) * 2,
    }),
    "sd15, 1/4 wide, 256 px": Size(32, 77, _sd((80, 160, 320, 320), 192) | {"norm_num_groups": 16}),
    "sd15, 512 px": Size(64, 77, _sd((320, 640, 1280, 1280), 768)),
    "sdxl, 1024 px": Size(128, 77, {
        "block_out_channels": (320, 640, 1280), "cross_attention_dim": 2048, "attention_head_dim": (5, 10, 20),
        "transformer_layers_per_block": (1, 2, 10), "use_linear_projection": True, "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    }, {"text_embeds": (1280,), "time_ids": (6,)}),
}  # fmt: skip
ON_CPU, ON_CUDA = ("tiny", "sd15, 1/4 wide, 256 px"), tuple(SIZES)


class Explicit:
    """DAAM's way with one cross-attention layer, all heads at once."""

    def __init__(self) -> None:
        self.total: Tensor | None = None

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor, attention_mask: Tensor | None = None
    ) -> Tensor:
        query = attn.head_to_batch_dim(attn.to_q(hidden_states))
        key = attn.head_to_batch_dim(attn.to_k(encoder_hidden_states))
        value = attn.head_to_batch_dim(attn.to_v(encoder_hidden_states))
        shares = attn.get_attention_scores(query, key)
        conditional = shares[shares.shape[0] // 2 :].float().transpose(1, 2)  # (images x heads, tokens, pixels)
        self.total = conditional if self.total is None else self.total + conditional
        return attn.to_out[0](attn.batch_to_head_dim(torch.bmm(shares, value)))

    def enlarged(self, side: int) -> Tensor:
        """The mean over heads of the maps at (side, side), all tokens."""
        if self.total is None:
            raise RuntimeError("the layer was not called")
        own = round(self.total.shape[2] ** 0.5)
        maps = self.total.unflatten(2, (own, own))
        return functional.interpolate(maps, (side, side), mode="bicubic").clamp(min=0).mean(dim=0)


@contextmanager
def explicit(pipe: Any, side: int) -> Iterator[None]:
    """All cross-attention in the open; the maps at the end."""
    saved = dict(pipe.unet.attn_processors)
    own = {name: Explicit() for name in saved if name.endswith("attn2.processor")}
    pipe.unet.set_attn_processor({**saved, **own})
    try:
        yield
        torch.stack([layer.enlarged(side) for layer in own.values()]).mean(dim=0).cpu()
    finally:
        pipe.unet.set_attn_processor(saved)


@contextmanager
def traced(pipe: Any, images: int) -> Iterator[None]:
    with AttentionTrace(pipe, CLASSES, prompts=[PROMPT] * images) as trace:
        yield
        trace.maps()


@contextmanager
def plain() -> Iterator[None]:
    yield


def build(size: Size, device: str, dtype: torch.dtype) -> Any:
    """All that a trace needs of a pipeline."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer_files(Path(folder))
        tokenizer = CLIPTokenizer.from_pretrained(folder, model_max_length=size.context)
    unet = UNet2DConditionModel(sample_size=size.latent, **size.config).to(device, dtype).eval()
    return SimpleNamespace(
        unet=unet, tokenizer=tokenizer, text_encoder=None, scheduler=DDIMScheduler(), do_classifier_free_guidance=True
    )


@torch.inference_mode()
def measure(
    size: Size, *, images: int, steps: int, rounds: int, device: str, dtype: torch.dtype
) -> list[dict[str, float]]:
    """Seconds of each way, a mapping per round, after one round that does not count."""
    pipe = build(size, device, dtype)
    rows = 2 * images  # guidance
    latents = torch.randn(rows, 4, size.latent, size.latent, device=device, dtype=dtype)
    context = torch.randn(rows, size.context, pipe.unet.config.cross_attention_dim, device=device, dtype=dtype)
    added = {name: torch.ones(rows, *shape, device=device, dtype=dtype) for name, shape in size.added.items()}
    ways: dict[str, Callable[[], Any]] = {
        "plain": plain,
        "traced": lambda: traced(pipe, images),
        "explicit": lambda: explicit(pipe, size.latent),
    }
    results = []
    for _ in range(rounds + 1):
        seconds = {}
        for name, way in ways.items():
            _wait(device)
            start = time.perf_counter()
            with way():
                for step in range(steps):
                    time_step = 999 - step * (999 // steps)
                    pipe.unet(latents, time_step, encoder_hidden_states=context, added_cond_kwargs=added)
            _wait(device)
            seconds[name] = time.perf_counter() - start
        results.append(seconds)
    return results[1:]


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def summary(results: list[dict[str, float]], way: str) -> dict[str, float]:
    """Median, quartiles and extremes of a way's time by plain's in the same round."""
    ratios = sorted(seconds[way] / seconds["plain"] for seconds in results)
    low, median, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return {"median": median, "q1": low, "q3": high, "min": ratios[0], "max": ratios[-1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), metavar="SIZE", help=f"of: {', '.join(SIZES)}")
    parser.add_argument("--rounds", type=int, default=9, help="how often each way runs")
    parser.add_argument("--steps", type=int, default=10, help="passes through the UNet per run")
    parser.add_argument("--images", type=int, default=2, help="images at once; guidance doubles the rows")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write every figure there")
    options = parser.parse_args()

    dtype = torch.float16 if options.device == "cuda" else torch.float32
    sizes = options.sizes or (ON_CUDA if options.device == "cuda" else ON_CPU)
    where = torch.cuda.get_device_name() if options.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    amounts = {"images": options.images, "steps": options.steps, "rounds": options.rounds}
    precision = str(dtype).removeprefix("torch.")
    print(f"{where}, {precision}, {options.images} images with guidance, {options.steps} passes a run,")
    print(f"median of {options.rounds} rounds (quartiles)\n")
    print("| UNet | plain, ms per pass | traced / plain | explicit (DAAM) / plain |\n|---|---|---|---|")
    versions = {"torch": torch.__version__, "diffusers": diffusers.__version__, "python": platform.python_version()}
    report: dict[str, Any] = {"device": where, "dtype": precision, **amounts, **versions, "sizes": {}}
    for name in sizes:
        results = measure(SIZES[name], **amounts, device=options.device, dtype=dtype)
        pace = statistics.median(seconds["plain"] for seconds in results) / options.steps
        ratios = {way: summary(results, way) for way in ("traced", "explicit")}
        shown = [f"{ratio['median']:.3f} ({ratio['q1']:.3f}-{ratio['q3']:.3f})" for ratio in ratios.values()]
        print(f"| {name} | {pace * 1000:.1f} | {' | '.join(shown)} |", flush=True)
        report["sizes"][name] = {"plain_seconds_per_pass": pace, "ratios": ratios, "seconds": results}
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
