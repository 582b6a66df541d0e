"""Checkpoints of a training: vectors, low-rank changes and the optimiser's state in one safetensors file.

Nothing is pickled, and a file is replaced whole. All random numbers of step k follow from the seed and k, so no
generator's state has to be kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.files.atomic import replacing_file


def save_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Path:
    """Write tensors with plain facts as a safetensors file, whole or not at all."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing_file(path) as part:
        save_file(contiguous, part, metadata={"diffucurate": json.dumps(about)})
    return path


def save_checkpoint(
    path: Path, parameters: Sequence[nn.Parameter], optimiser: torch.optim.Optimizer, about: Mapping[str, Any]
) -> None:
    """Write a file for ``load_checkpoint``; ``about`` identifies the run and its step."""
    tensors: dict[str, Tensor] = {}
    for index, parameter in enumerate(parameters):
        tensors[f"{index}"] = parameter
        for name, value in optimiser.state[parameter].items():
            tensors[f"{index}.{name}"] = torch.as_tensor(value)
    save_tensors(path, tensors, about)


def load_checkpoint(path: Path, parameters: Sequence[nn.Parameter], optimiser: torch.optim.Optimizer) -> None:
    """Restore parameters and the optimiser's state of them.

    Raises:
        InvalidSetting: the file is of another model, whose parameters have other shapes.
    """
    with safe_open(path, framework="pt") as file:
        for index, parameter in enumerate(parameters):
            tensors = {key: file.get_tensor(key) for key in file.keys() if key.split(".")[0] == f"{index}"}  # noqa: SIM118 - not a dict
            if f"{index}" not in tensors or tensors[f"{index}"].shape != parameter.shape:
                remedy = "it is of another model; choose another name, or have it replaced"
                raise InvalidSetting("name", str(path), remedy)
            parameter.data.copy_(tensors.pop(f"{index}"))
            optimiser.state[parameter] = {
                key.partition(".")[2]: value if value.ndim == 0 else value.to(parameter.device)
                for key, value in tensors.items()
            }
