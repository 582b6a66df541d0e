"""What plain references of traced attention have in common: the inputs of layers, rotary embedding, comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def recorded(pipe: Any, layers: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """What goes into these attention layers, one entry per call."""
    model = getattr(pipe, "unet", None) or pipe.transformer
    calls: list[dict[str, Any]] = []

    def record(attn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append({"attn": attn, **dict(zip(["hidden_states"], args, strict=False)), **kwargs})

    handles = [model.get_submodule(name).register_forward_pre_hook(record, with_kwargs=True) for name in layers]
    yield calls
    for handle in handles:
        handle.remove()


def turned(states: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Rotary embedding written with complex numbers: (rows, heads, n, width), angles (n, width / 2)."""
    pairs = torch.view_as_complex(states.unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)


def assert_same(found: Sequence[Mapping[str, np.ndarray]], wanted: Sequence[Mapping[str, np.ndarray]]) -> None:
    assert [list(maps) for maps in found] == [list(maps) for maps in wanted]
    for maps, others in zip(found, wanted, strict=True):
        for label, heat in maps.items():
            np.testing.assert_allclose(heat.ravel(), others[label], rtol=1e-4, atol=1e-8)
            assert np.ptp(heat) > 0.1 * heat.mean()  # there is something to compare
