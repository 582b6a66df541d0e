"""Checkpoints of a training: the head and the optimiser's state in one safetensors file, nothing pickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from diffucurate.generator.files.atomic import replacing_file

_OPTIMISER = "optimiser."


def save_checkpoint(path: Path, head: nn.Module, optimiser: torch.optim.Optimizer, about: Mapping[str, Any]) -> None:
    """Write a file for ``load_checkpoint``, whole or not at all; ``about`` is plain data such as the step."""
    tensors: dict[str, Tensor] = {name: value.detach().cpu().contiguous() for name, value in head.state_dict().items()}
    for name, parameter in head.named_parameters():
        for part, value in optimiser.state[parameter].items():
            tensors[f"{_OPTIMISER}{part}.{name}"] = torch.as_tensor(value).detach().cpu().contiguous()
    with replacing_file(path) as part_file:
        save_file(tensors, part_file, metadata={"diffucurate": json.dumps(dict(about))})


def load_checkpoint(path: Path, head: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Restore what ``save_checkpoint`` wrote."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    head.load_state_dict({name: value for name, value in tensors.items() if not name.startswith(_OPTIMISER)})
    for name, parameter in head.named_parameters():
        optimiser.state[parameter] = {
            part: value if value.ndim == 0 else value.to(parameter.device)
            for part in ("step", "exp_avg", "exp_avg_sq")
            if (value := tensors.get(f"{_OPTIMISER}{part}.{name}")) is not None
        }


def read_about(path: Path) -> dict[str, Any] | None:
    """The plain data of a checkpoint; None where there is none that can be read."""
    try:
        with safe_open(path, framework="numpy") as file:
            about: dict[str, Any] = json.loads((file.metadata() or {})["diffucurate"])
            return about
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
