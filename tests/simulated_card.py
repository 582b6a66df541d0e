"""A card with so much memory, simulated on the CPU: what tensors take is counted as torch makes them, and beyond its
memory torch's own error is raised. Weights count by where a pipeline's placement has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from diffucurate.generator.models import card, placement
from diffucurate.generator.models.card import Card, Taken
from diffucurate.generator.models.placement import Placement

#: Bytes below which tensors do not count: the ids of tokens, say.
_SMALL = 4096


class SimulatedCard(Card):
    """``total`` bytes, of which ``held`` are a pipeline's weights."""

    def __init__(self, device: str | torch.device, total: int, pipe: Any = None) -> None:
        super().__init__(device)
        self.total, self._pipe, self.there = total, pipe, False
        self._live: dict[StorageWeakRef, tuple[int, int]] = {}  # bytes and address
        self._counted = self.most = 0
        self._weighed: tuple[Placement | None, int, set[int]] = None, 0, set()

    @property
    def offloads(self) -> bool:
        return True

    @property
    def held(self) -> int:
        """The bytes of the weights that are on the card at once."""
        return self._weights()[0]

    def taken(self) -> int:
        """The bytes of the tensors that still live, but for weights, which ``held`` counts."""
        _, weights = self._weights()
        self._live = {
            reference: (size, address)
            for reference, (size, address) in self._live.items()
            if address not in weights and not reference.expired()
        }
        self._counted = sum(size for size, _ in self._live.values())
        return self._counted

    def count(self, tensor: torch.Tensor) -> None:
        """A tensor was made."""
        storage = tensor.untyped_storage()
        size, address = storage.nbytes(), storage.data_ptr()
        held, weights = self._weights()
        if size < _SMALL or address in weights:
            return
        reference = StorageWeakRef(storage)
        self._counted += size - self._live.get(reference, (0, 0))[0]
        self._live[reference] = size, address
        # Tensors that are gone count until this is asked, so that it is asked seldom.
        if self._counted > min(self.most, self.total - held):
            if self.taken() + held > self.total:
                self._weighed = None, 0, set()  # weights may have moved meanwhile
                self.taken()
            self.most = max(self.most, self._counted)
            if self._counted + held > self.total:
                raise torch.OutOfMemoryError("CUDA out of memory (simulated)")

    def _weights(self) -> tuple[int, set[int]]:
        """The bytes of the weights that are on the card at once, and where all of them are."""
        if self._pipe is None:
            return 0, set()
        state = placement.placed(self._pipe)
        now = None if state is None or not self.there else state.placement
        if now != self._weighed[0] or not self._weighed[2]:
            sizes = placement.weights(self._pipe).values()
            parts = [part for part in self._pipe.components.values() if isinstance(part, torch.nn.Module)]
            tensors = [tensor for part in parts for tensor in (*part.parameters(), *part.buffers())]
            held = 0 if now is None else {"none": sum(sizes), "models": max(sizes), "layers": 0}[now.offload]
            self._weighed = now, held, {tensor.data_ptr() for tensor in tensors if tensor.device.type == "cpu"}
        return self._weighed[1:]

    def free(self) -> int:
        return self.total - self.held - self.taken()

    @contextmanager
    def measured(self) -> Iterator[Taken]:
        result, self.most = Taken(), 0
        yield result
        result.bytes = self.most


class _Counting(TorchDispatchMode):
    def __init__(self, counted: SimulatedCard) -> None:
        super().__init__()
        self._card = counted

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.device.type == "cpu":
                self._card.count(tensor)
        return result


@contextmanager
def card_with(total: int, pipe: Any = None, *, put: bool = True) -> Iterator[SimulatedCard]:
    """A block in which every device is a card with ``total`` bytes, on which ``pipe`` is put unless it is somebody
    else's."""
    simulated = SimulatedCard("cpu", total, pipe)
    before = {module: module.card_of for module in (card, placement)}
    for module in before:
        module.card_of = lambda device: simulated
    try:
        if pipe is not None and put:
            placement.place(pipe, "cpu", "auto", 0, release=lambda: False)
            simulated.there = True
        yield simulated
    finally:
        for module, real in before.items():
            module.card_of = real


def counting(simulated: SimulatedCard) -> TorchDispatchMode:
    """A block in which what torch takes is counted against the card."""
    return _Counting(simulated)
