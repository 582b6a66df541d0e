"""What a trace costs in time and memory: ``python benchmarks/trace_overhead.py``.

Runs the denoising loop of UNets with random weights three ways, one after the other in each round, another one first
each time, so that whatever else the machine does, and what one way leaves to the next, hits all of them alike:

- plain: diffusers' default attention;
- traced: the same under an AttentionTrace of two classes, its maps included;
- explicit: what DAAM does (peers/daam.py). Each cross-attention of the down and up blocks takes the softmax in the
  open for the whole batch; the conditional half's maps of all tokens are summed by layer and head and enlarged at the
  end.

Prints a table with the median over the rounds of each way's time by plain's in the same round, its quartiles, and the
most memory that each way took beyond what was in use before it. On a GPU the time is the clock's and the memory as
torch counts it, else both are the process's: its time, which others on the machine disturb less, and its memory, which
only Linux tells. "Inside" is the time of a traced run by what is left of it without what the trace's own adding up and
combining took, only the hooks around them left out: both are of one run, so on a CPU it is steady where the machine is
not, and ``--ways traced`` will do for it. The autoencoder and the text encoder are left out: with them the ratios would
be nearer to 1. A size that a CPU would take too long for is left out without a GPU; ``--sizes`` asks for it all the
same.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from peers.daam import Daam
from peers.explicit_attention import cross_attention, watched
from transformers import CLIPTokenizer

from diffucurate.generator.attention.capture.maps import AttentionAccumulator
from diffucurate.generator.attention.capture.self_attention import SelfAttention
from diffucurate.generator.attention.trace.trace import AttentionTrace
from diffucurate.generator.tiny.words import write_tokenizer_files

CLASSES = {"car": ["car"], "bus": ["bus"]}
PROMPT = "a photo of a red car and two buses on a road at night"


@dataclass(frozen=True)
class Amount:
    """``images`` at once, of which guidance doubles the rows; ``steps``, passes of a run; ``rounds`` of runs."""

    images: int
    steps: int
    rounds: int


@dataclass(frozen=True)
class Size:
    """A UNet and what goes into it; ``latent`` is its side, ``on_cpu`` how much of it a CPU does in minutes."""

    latent: int
    context: int
    config: dict[str, Any]
    on_cpu: Amount | None
    added: dict[str, tuple[int, ...]] = field(default_factory=dict)


def _sd(channels: tuple[int, ...], width: int) -> dict[str, Any]:
    """The layout of Stable Diffusion 1.x: cross-attention everywhere but on the coarsest level."""
    levels = len(channels) - 1
    return {
        "block_out_channels": channels,
        "cross_attention_dim": width,
        "attention_head_dim": 8,
        "layers_per_block": 2,
        "down_block_types": ("CrossAttnDownBlock2D",) * levels + ("DownBlock2D",),
        "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * levels,
    }


SIZES = {
    "tiny": Size(16, 40, {
        "block_out_channels": (64, 128), "cross_attention_dim": 128, "attention_head_dim": 4, "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D",) * 2, "up_block_types": ("CrossAttnUpBlock2D",) * 2,
    }, Amount(images=8, steps=20, rounds=15)),
    "sd15, 1/4 wide, 256 px": Size(32, 77, _sd((80, 160, 320, 320), 192) | {"norm_num_groups": 16},
                                   Amount(images=2, steps=20, rounds=5)),
    "sd15, 512 px": Size(64, 77, _sd((320, 640, 1280, 1280), 768), Amount(images=1, steps=4, rounds=3)),
    "sdxl, 1024 px": Size(128, 77, {
        "block_out_channels": (320, 640, 1280), "cross_attention_dim": 2048, "attention_head_dim": (5, 10, 20),
        "transformer_layers_per_block": (1, 2, 10), "use_linear_projection": True, "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    }, None, {"text_embeds": (1280,), "time_ids": (6,)}),
}  # fmt: skip
ON_CUDA = Amount(images=4, steps=20, rounds=9)
WAYS = ("plain", "traced", "explicit")


@contextmanager
def explicit(pipe: Any, images: int, side: int) -> Iterator[None]:
    maps = Daam(images, side)
    with watched(pipe.unet, cross_attention(pipe.unet), maps):
        yield
    maps.all_maps().cpu()


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
    unet = UNet2DConditionModel(sample_size=size.latent, **size.config).to(device).eval()
    if dtype == torch.float16:
        unet.half()
    return SimpleNamespace(
        unet=unet, tokenizer=tokenizer, text_encoder=None, scheduler=DDIMScheduler(), do_classifier_free_guidance=True
    )


class Memory:
    """The most memory in use from ``start`` on, beyond what was in use then."""

    def __init__(self, device: str) -> None:
        self._on_gpu = device == "cuda"
        self._before = 0.0

    def start(self) -> None:
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated() / 1e6
        elif _STATUS.exists():
            ctypes.CDLL(None).malloc_trim(0)  # else what earlier runs left free would be taken for no new memory
            Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
            self._before = _status("VmRSS")

    def megabytes(self) -> float | None:
        if self._on_gpu:
            return torch.cuda.max_memory_allocated() / 1e6 - self._before
        return _status("VmHWM") - self._before if _STATUS.exists() else None


_STATUS = Path("/proc/self/status")


def _status(name: str) -> float:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024 / 1e6


@dataclass(frozen=True)
class Cost:
    """Of one run: ``inside``, the seconds in the trace's own code; ``megabytes`` is None where nobody counts them."""

    seconds: float
    inside: float
    megabytes: float | None


class Inside:
    """Adds up the time spent in what a trace does, while its ``with`` block is open."""

    _PARTS = (
        (AttentionAccumulator, "add"),
        (AttentionAccumulator, "combine"),
        (SelfAttention, "add"),
        (SelfAttention, "refine"),
    )

    def __init__(self, now: Callable[[], float]) -> None:
        self._now, self.seconds = now, 0.0
        self._saved = [(owner, name, getattr(owner, name)) for owner, name in self._PARTS]

    def __enter__(self) -> Inside:
        for owner, name, function in self._saved:
            setattr(owner, name, self._timed(function))
        return self

    def __exit__(self, *_: object) -> None:
        for owner, name, function in self._saved:
            setattr(owner, name, function)

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = self._now()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += self._now() - start

        return timed


@torch.inference_mode()
def measure(
    size: Size, amount: Amount, device: str, dtype: torch.dtype, chosen: Sequence[str]
) -> list[dict[str, Cost]]:
    """What each of the ``chosen`` ways costs, a mapping per round, after one pass of each that does not count."""
    pipe = build(size, device, dtype)
    rows = 2 * amount.images  # guidance
    # Both halves are the same latents, by which a trace knows that guidance doubles the rows.
    latents = torch.randn(amount.images, 4, size.latent, size.latent, device=device, dtype=dtype).repeat(2, 1, 1, 1)
    context = torch.randn(rows, size.context, pipe.unet.config.cross_attention_dim, device=device, dtype=dtype)
    added = {name: torch.ones(rows, *shape, device=device, dtype=dtype) for name, shape in size.added.items()}
    ways: dict[str, Callable[[], Any]] = {
        "plain": plain,
        "traced": lambda: traced(pipe, amount.images),
        "explicit": lambda: explicit(pipe, amount.images, size.latent),
    }
    ways = {name: ways[name] for name in chosen}
    memory = Memory(device)
    # The time of the process on a CPU, which others on the machine disturb less.
    now = time.perf_counter if device == "cuda" else time.process_time

    def run(way: Callable[[], Any], steps: int) -> Cost:
        _wait(device)
        memory.start()
        with Inside(now) as inside:
            start = now()
            with way():
                for step in range(steps):
                    time_step = 999 - step * (999 // steps)
                    pipe.unet(latents, time_step, encoder_hidden_states=context, added_cond_kwargs=added)
            _wait(device)
            return Cost(now() - start, inside.seconds, memory.megabytes())

    for way in ways.values():
        run(way, 1)
    names = list(ways)
    orders = [names[number % len(names) :] + names[: number % len(names)] for number in range(amount.rounds)]
    return [{name: run(ways[name], amount.steps) for name in order} for order in orders]


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, quartiles and extremes."""
    each = sorted(values)
    low, median, high = statistics.quantiles(each, n=4) if len(each) > 1 else each * 3
    return {"median": median, "q1": low, "q3": high, "min": each[0], "max": each[-1]}


def figures(results: list[dict[str, Cost]], ways: Sequence[str]) -> dict[str, dict[str, float]]:
    """The time of ways by plain's in the same round, where both ran, and of traced runs by what is left of them."""
    found = {
        way: spread([costs[way].seconds / costs["plain"].seconds for costs in results])
        for way in ("traced", "explicit")
        if {way, "plain"} <= set(ways)
    }
    if "traced" in ways:
        runs = [costs["traced"] for costs in results]
        found["inside"] = spread([run.seconds / (run.seconds - run.inside) for run in runs])
    return found


def peak(results: list[dict[str, Cost]], way: str) -> float | None:
    """The median over the rounds of a way's peak memory in MB."""
    known = [costs[way].megabytes for costs in results]
    return None if None in known else statistics.median(known)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), metavar="SIZE", help=f"of: {', '.join(SIZES)}")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="by default all of them")
    parser.add_argument("--rounds", type=int, help="how often each way runs; by default what suits size and device")
    parser.add_argument("--steps", type=int, help="passes through the UNet per run")
    parser.add_argument("--images", type=int, help="images at once; guidance doubles the rows")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write every figure there")
    options = parser.parse_args()

    dtype = torch.float16 if options.device == "cuda" else torch.float32
    where = torch.cuda.get_device_name() if options.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    precision = str(dtype).removeprefix("torch.")
    clock = "time" if options.device == "cuda" else "processor time"
    print(f"{where}, {precision}, with guidance; {clock} by plain's, median of the rounds (quartiles)\n")
    columns = ("UNet", "images, passes, rounds", "ms per pass", "traced", "explicit (DAAM)", "inside")
    print(f"| {' | '.join(columns)} | peak MB: {', '.join(options.ways)} |\n|{'---|' * (len(columns) + 1)}")
    versions = {"torch": torch.__version__, "diffusers": diffusers.__version__, "python": platform.python_version()}
    report: dict[str, Any] = {"device": where, "dtype": precision, **versions, "sizes": {}}
    for name in options.sizes or SIZES:
        default = ON_CUDA if options.device == "cuda" else SIZES[name].on_cpu
        if default is None and not options.sizes:
            print(f"| {name} | left out: takes a GPU, and torch sees none {'| ' * (len(columns) - 1)}|")
            report["sizes"][name] = None
            continue
        asked = {key: value for key in asdict(ON_CUDA) if (value := getattr(options, key)) is not None}
        amount = replace(default or Amount(images=1, steps=1, rounds=1), **asked)
        results = measure(SIZES[name], amount, options.device, dtype, options.ways)
        pace = statistics.median(costs[options.ways[0]].seconds for costs in results) / amount.steps
        found = figures(results, options.ways)
        peaks = {way: peak(results, way) for way in options.ways}
        shown = [
            f"{one['median']:.3f} ({one['q1']:.3f}-{one['q3']:.3f})" if (one := found.get(figure)) else ""
            for figure in ("traced", "explicit", "inside")
        ]
        memory = ", ".join("?" if each is None else f"{each:.0f}" for each in peaks.values())
        counts = ", ".join(map(str, asdict(amount).values()))
        print(f"| {name} | {counts} | {pace * 1000:.1f} | {' | '.join(shown)} | {memory} |", flush=True)
        report["sizes"][name] = {
            **asdict(amount),
            "seconds_per_pass": pace,
            "ratios": found,
            "peak_megabytes": peaks,
            "rounds_in_full": [{way: asdict(cost) for way, cost in costs.items()} for costs in results],
        }
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
