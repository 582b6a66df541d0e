"""The memory of a device: what is free, and what a piece of work takes of it at the most. Knows no models."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from diffucurate.generator.models.sizes import free_on_cpu


@dataclass
class Taken:
    """What a block of work took at the most, beyond what was taken before it; None where the device does not say."""

    bytes: int | None = None


class Card:
    """A device as torch names it, such as "cpu" or "cuda:0"."""

    def __init__(self, device: str | torch.device) -> None:
        self.device = torch.device(device)

    @property
    def offloads(self) -> bool:
        """Whether weights that are not at work may wait in another memory, that of the CPU."""
        return self.device.type != "cpu"

    def free(self) -> int | None:
        """The bytes that can still be had; None where that is unknown."""
        if self.device.type == "cuda":
            unused = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
            return int(torch.cuda.mem_get_info(self.device)[0]) + unused
        if self.device.type == "mps":
            return int(torch.mps.recommended_max_memory()) - int(torch.mps.driver_allocated_memory())
        return free_on_cpu() if self.device.type == "cpu" else None

    @contextmanager
    def measured(self) -> Iterator[Taken]:
        """A block whose need of memory is known after it, on CUDA."""
        taken = Taken()
        if self.device.type != "cuda":
            yield taken
            return
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        yield taken
        taken.bytes = torch.cuda.max_memory_allocated(self.device) - before


def card_of(device: str | torch.device) -> Card:
    """The card of a device; the one place where such are made, so that another may stand in for it."""
    return Card(device)


def out_of_memory(error: RuntimeError) -> bool:
    """Whether torch says that memory ran out; only for CUDA is there an error type of its own."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "DefaultCPUAllocator" in text


def empty_caches() -> None:
    """Give back what nobody holds any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
