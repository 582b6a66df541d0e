"""The precision of a model's weights, chosen before they are loaded: by its family and the device."""

from __future__ import annotations

import torch

from diffucurate.generator.errors import ModelError
from diffucurate.generator.models.defaults import defaults_of


def default_dtype(model: str, device: str) -> torch.dtype:
    """What a model is loaded in: half precision on CUDA, float32 elsewhere.

    Families that are trained in bfloat16, such as Flux, have values beyond the range of float16; GPUs that compute no
    bfloat16 (before compute capability 8) paint them in float16 all the same.

    Args:
        model: as for ``load_pipeline``, which says what is wrong with it.
        device: "cpu", "cuda:0", "mps", ...
    """
    if not device.startswith("cuda"):
        return torch.float32
    try:
        named = defaults_of(model).dtype
    except ModelError:
        return torch.float16
    wide = named == "bfloat16" and torch.cuda.get_device_capability(device)[0] >= 8
    return torch.bfloat16 if wide else torch.float16
