"""What the files of LoRAs and learned words hold, checked before a pipeline takes them. Knows no pipeline.

diffusers and PEFT fill in what a LoRA lacks and cast what a word holds, without a word about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

#: How the names of a LoRA's two matrices end, (rank, inputs) and (outputs, rank), by whoever wrote the file.
_PAIRS = (
    (".lora_A.weight", ".lora_B.weight"),
    (".lora_down.weight", ".lora_up.weight"),
    (".lora.down.weight", ".lora.up.weight"),
    ("_lora.down.weight", "_lora.up.weight"),
    (".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"),
)

#: A word has one tensor for each text encoder, of which no model has more.
_MOST_TENSORS = 4


def lora_problem(tensors: Mapping[str, Tensor]) -> str | None:
    """What is wrong with the tensors of a LoRA as diffusers names them; None where each layer has both its matrices."""
    pairs = 0
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
            return f"'{name[:80]}' holds values that are no finite fractions"
        for ends in _PAIRS:
            for end, other_end in (ends, ends[::-1]):
                if not name.endswith(end):
                    continue
                pairs += 1
                other = tensors.get(name.removesuffix(end) + other_end)
                if other is None:
                    return f"of '{name.removesuffix(end)[:80]}' it has one of two matrices, as where a file was cut"
                down, up = (tensor, other) if end == ends[0] else (other, tensor)
                if down.ndim < 2 or up.ndim < 2 or down.shape[0] != up.shape[1]:
                    return f"the two matrices of '{name.removesuffix(end)[:80]}' do not fit each other"
    return None if pairs else "it holds no low-rank matrices"


def read_word(path: Path | str, most: int) -> dict[str, Tensor]:
    """The vectors of a learned word, name -> (vectors, width) of floating point numbers.

    Args:
        path: a .safetensors file.
        most: how many vectors a word may have; files with more are not read.

    Raises:
        ValueError: what is wrong, where the file holds no vectors or too many.
        OSError, SafetensorError: the file cannot be read.
    """
    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
        if not names:
            raise ValueError("it holds no vectors")
        if len(names) > _MOST_TENSORS:
            raise ValueError(f"it holds {len(names):,} tensors, a word has 1, or 1 for each text encoder")
        for name in names:
            shape = file.get_slice(name).get_shape()
            vectors = 1 if len(shape) == 1 else shape[0]
            if len(shape) not in (1, 2) or 0 in shape:
                raise ValueError(f"it holds a tensor of shape {tuple(shape)}, expected (vectors, width)")
            if vectors > most:
                raise ValueError(f"it has {vectors:,} vectors, and the model reads {most} at once")
        tensors = {name: torch.atleast_2d(file.get_tensor(name)) for name in names}
    if not all(tensor.is_floating_point() and bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise ValueError("it holds values that are no finite fractions")
    return tensors
