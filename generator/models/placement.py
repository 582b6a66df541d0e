"""Where a pipeline's weights are while it works, and how its decoder saves memory: what the card has room for.

Whole on the card is fastest. Where that does not fit, whole models wait in the CPU's memory for their turn ("models",
diffusers' model offload), else single layers do ("layers", its sequential offload), which is several times slower. A
decoder may work on one image after the other ("sliced") or on overlapping tiles of each ("tiled"), which can show as
soft seams. What a model was found to need is remembered as long as it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch.nn import Module

from diffucurate.generator.models.card import Card, card_of, out_of_memory

#: "auto": whatever fits the card; "low": as little as can be; "off": all weights on the card, come what may.
Memory = Literal["auto", "low", "off"]
Offload = Literal["none", "models", "layers"]

_OFFLOADS: tuple[Offload, ...] = ("none", "models", "layers")

#: How many times as much memory decoding an image takes as denoising it.
_DENOISING = 4

#: Feature maps that a decoder holds at once, at the full size of the image and its second block's width.
_MAPS = 4


@dataclass(frozen=True)
class Placement:
    """Where weights are, and how the decoder works."""

    offload: Offload = "none"
    sliced: bool = False
    tiled: bool = False

    @property
    def sentence(self) -> str:
        """What is unusual, for messages; empty where all is as usual."""
        parts = {
            "its models take turns on the card": self.offload == "models",
            "its layers take turns on the card, which is slow": self.offload == "layers",
            "images are decoded one by one": self.sliced,
            "images are decoded in tiles": self.tiled,
        }
        return ", ".join(text for text, there in parts.items() if there)


@dataclass
class Placed:
    """What is known of a pipeline that ``place`` has placed.

    Attributes:
        card: the device it works on.
        memory: how it was to be placed.
        placement: how it is.
        batches: what is done, and the width and height of images -> how many at once have turned out to fit.
    """

    card: Card
    memory: Memory
    placement: Placement = Placement()
    batches: dict[tuple[str, int, int], int] = field(default_factory=dict)


_placed: WeakKeyDictionary[Any, Placed] = WeakKeyDictionary()


def placed(pipe: Any) -> Placed | None:
    """What is known of a pipeline that ``place`` has placed; None for others."""
    return _placed.get(pipe)


def device_of(pipe: Any) -> torch.device:
    """The device on which a pipeline works, wherever its weights wait."""
    device: torch.device = pipe._execution_device
    return device


def weights(pipe: Any) -> dict[str, int]:
    """The bytes of each of a pipeline's models, by its name in the pipeline."""
    return {
        name: sum(tensor.nbytes for tensor in (*part.parameters(), *part.buffers()))
        for name, part in pipe.components.items()
        if isinstance(part, Module)
    }


def planned(pipe: Any, card: Card, memory: Memory, working: int) -> Placement:
    """The placement that fits the card.

    Args:
        pipe: a pipeline none of whose weights is on the card.
        card: the device.
        memory: "off" places all weights on the card whatever it has; "low" as few as can be.
        working: bytes that one image takes beside the weights while it is decoded.
    """
    if memory == "off":
        return Placement()
    saving = memory == "low"
    free, sizes = card.free(), weights(pipe)
    if not card.offloads or free is None or not sizes:
        return Placement(sliced=saving, tiled=saving)
    if not saving and sum(sizes.values()) + working <= free:
        return Placement()
    # The decoder has the card for itself then, and denoising takes a part of what decoding does.
    most = max(max(sizes.values()) + working // _DENOISING, sizes.get("vae", 0) + working)
    whole_models = most <= free and pipe.model_cpu_offload_seq is not None
    return Placement("models" if whole_models else "layers", sliced=saving, tiled=saving)


def working_memory(pipe: Any, size: tuple[int, int]) -> int:
    """About how many bytes one image of ``size`` (width, height) takes beside the weights: the decoder's maps."""
    config = pipe.vae.config
    widths = getattr(config, "block_out_channels", None) or [128, 256]
    bytes_each = 4 if getattr(config, "force_upcast", False) else next(pipe.vae.parameters()).element_size()
    return int(_MAPS * widths[min(1, len(widths) - 1)] * size[0] * size[1] * bytes_each)


def place(pipe: Any, device: str, memory: Memory, working: int, *, release: Callable[[], bool]) -> Placed:
    """Bring a pipeline to a device as the card allows.

    Args:
        pipe: a pipeline, wherever its weights are.
        device: "cpu", "cuda:0", ...
        memory: see ``planned``.
        working: see ``planned``.
        release: frees what else is held on the card; returns whether there was anything.

    Raises:
        RuntimeError: torch's, where the card has too little memory whatever is done.
    """
    state = _placed.get(pipe)
    if state is not None and state.memory == memory and state.card.device == torch.device(device):
        return state
    if state is not None:
        _take_off(pipe)
    card = card_of(device)
    state = _placed[pipe] = Placed(card, memory)
    plan = planned(pipe, card, memory, working)
    if plan.offload != "none" and memory == "auto" and release():
        plan = planned(pipe, card, memory, working)
    while True:
        try:
            put(pipe, plan)
        except RuntimeError as error:
            stricter = None if memory == "off" or not out_of_memory(error) else _more_offloaded(pipe, plan)
            if stricter is None:
                del _placed[pipe]
                _take_off(pipe)
                raise
        else:
            return state
        plan = stricter


def described(pipe: Any) -> str | None:
    """What of a pipeline is on the card, and how much room it leaves; None for the CPU, where all is as usual."""
    state = _placed.get(pipe)
    if state is None or (state.card.device.type == "cpu" and not state.placement.sentence):
        return None
    free, size = state.card.free(), sum(weights(pipe).values())
    room = "" if free is None else f", {free / 2**30:.1f} GiB free"
    return f"{state.card.device}{room}: {state.placement.sentence or 'all weights'} ({size / 2**30:.1f} GiB)"


def put(pipe: Any, placement: Placement) -> None:
    """Change the placement of a pipeline that ``place`` has placed."""
    state = _placed[pipe]
    before = state.placement
    if placement.offload != "none" and placement.offload != before.offload:
        _take_off(pipe)
    state.placement = placement
    _put_weights(pipe, state)
    decode(pipe, sliced=placement.sliced, tiled=placement.tiled)


def decode(pipe: Any, *, sliced: bool, tiled: bool) -> None:
    """Say how a pipeline's decoder works; one that cannot do so goes on as it was."""
    for wanted, name in ((sliced, "slicing"), (tiled, "tiling")):
        change = getattr(pipe.vae, f"{'enable' if wanted else 'disable'}_{name}", None)
        if change is not None and getattr(pipe.vae, f"use_{name}", None) is not None:
            change()
    side = getattr(pipe.vae.config, "sample_size", None)
    if tiled and isinstance(side, int) and hasattr(pipe.vae, "tile_latent_min_size"):
        # By default a tile is as large as the images the decoder was trained on, so that nothing would be saved.
        pipe.vae.tile_sample_min_size = side // 2
        pipe.vae.tile_latent_min_size = side // 2 // pipe.vae_scale_factor


def relieved(pipe: Any, *, decoding: bool) -> Placement | None:
    """The next placement that takes less memory for one image; None where there is none.

    Args:
        pipe: a pipeline that ``place`` has placed.
        decoding: whether memory ran out in its decoder.
    """
    state = _placed[pipe]
    if state.memory == "off":
        return None
    offloaded = _more_offloaded(pipe, state.placement) if state.card.offloads else None
    if decoding and not state.placement.tiled and (offloaded is None or offloaded.offload == "layers"):
        return replace(state.placement, tiled=True)
    return offloaded


@contextmanager
def all_weights_there(pipe: Any) -> Iterator[None]:
    """A block in which a pipeline's weights can be changed, wherever they are otherwise."""
    state = _placed.get(pipe)
    if state is None or state.placement.offload == "none":
        yield
        return
    _take_off(pipe)
    try:
        yield
    finally:
        _put_weights(pipe, state)


def _more_offloaded(pipe: Any, placement: Placement) -> Placement | None:
    order = _OFFLOADS if pipe.model_cpu_offload_seq is not None else ("none", "layers")
    later = order[order.index(placement.offload) + 1 :]
    return replace(placement, offload=later[0]) if later else None


def _put_weights(pipe: Any, state: Placed) -> None:
    device, offload = str(state.card.device), state.placement.offload
    if offload == "models":
        pipe.enable_model_cpu_offload(device=device)
    elif offload == "layers":
        pipe.enable_sequential_cpu_offload(device=device)
    else:
        pipe.to(device)
    unet = getattr(pipe, "unet", None)
    if unet is not None and state.card.device.type == "cuda" and unet.dtype.itemsize == 2 and offload != "layers":
        unet.to(memory_format=torch.channels_last)  # what convolutions in half precision are fastest with


def _take_off(pipe: Any) -> None:
    """Bring all weights to the CPU's memory."""
    pipe.remove_all_hooks()
    pipe.to("cpu", silence_dtype_warnings=True)
