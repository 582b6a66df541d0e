"""Low-rank changes (LoRA) to a pipeline whose own weights are frozen, while they are learned.

The changes need PEFT. Knows no training.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from diffucurate.generator.errors import ModelError
from diffucurate.generator.files.atomic import replacing_file
from diffucurate.generator.inversion.settings import LAYERS, LowRank

_NAME = "diffucurate_learned"


@contextmanager
def frozen(pipe: Any) -> Iterator[None]:
    """A block in which nothing of the pipeline has gradients."""
    modules = [part for part in pipe.components.values() if isinstance(part, nn.Module)]
    before = [(parameter, parameter.requires_grad) for module in modules for parameter in module.parameters()]
    for parameter, _ in before:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, had in before:
            parameter.requires_grad_(had)


@contextmanager
def low_rank(pipe: Any, settings: LowRank | None, seed: int) -> Iterator[list[nn.Parameter]]:
    """A block in which the UNet has low-rank changes, all zero at first; yields their parameters, none without
    settings.

    Raises:
        ModelError: PEFT is not installed.
    """
    if settings is None:
        yield []
        return
    if importlib.util.find_spec("peft") is None:
        raise ModelError("LoRAs need PEFT: pip install 'diffucurate[lora]'")
    from peft import LoraConfig

    before = {name: parameter.requires_grad for name, parameter in pipe.unet.named_parameters()}
    config = LoraConfig(r=settings.rank, lora_alpha=settings.rank, target_modules=list(LAYERS[settings.layers]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipe.unet.add_adapter(config, adapter_name=_NAME)
    try:
        yield [parameter for name, parameter in pipe.unet.named_parameters() if f".{_NAME}." in name]
    finally:
        pipe.unet.unload_lora()
        for name, parameter in pipe.unet.named_parameters():
            parameter.requires_grad_(before[name])


def save_low_rank(pipe: Any, path: Path) -> Path:
    """Write the changes as a safetensors file that recipes load (``loras:``), whole or not at all."""
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft import get_peft_model_state_dict

    layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(pipe.unet, adapter_name=_NAME))
    with replacing_file(path) as part:
        pipe.save_lora_weights(part.parent, unet_lora_layers=layers, weight_name=part.name, safe_serialization=True)
    return path
