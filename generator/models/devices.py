"""The devices that models can run on, as far as is known before torch is imported: forms ask at every keystroke."""

from __future__ import annotations

import os
import platform
import re
import sys
from glob import glob
from importlib import metadata
from typing import Any

from diffucurate.generator.errors import ModelError

_DEVICE = re.compile(r"(cpu|mps|cuda)(:\d+)?")

#: What a driver of a card that torch calls ``cuda`` leaves on Linux: NVIDIA's, AMD's, Windows' below WSL, Jetson's.
_DRIVERS = ("/dev/nvidia*", "/dev/kfd", "/dev/dxg", "/dev/nvhost*", "/dev/nvmap", "/proc/driver/nvidia")


def check_device(device: str) -> None:
    """Refuse a device that torch has no name for, or that this machine cannot have.

    Raises:
        ModelError: with the devices there are.
    """
    match = _DEVICE.fullmatch(device)
    if match is None:
        raise ModelError(f"device '{device}' is unknown; use cpu, cuda, cuda:<number> or mps")
    if match[1] not in (there := devices_here()):
        raise ModelError(f"device '{device}' is not available here; use {' or '.join(there)}")


def devices_here() -> list[str]:
    """The kinds of devices of this machine: what torch says once it is imported, before that what can be there."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "backends"):  # else it is being imported at this moment
        there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    else:
        there = {"cuda": _has_cuda(), "mps": sys.platform == "darwin" and platform.machine() == "arm64"}
    return ["cpu", *(name for name, is_there in there.items() if is_there)]


def _has_cuda() -> bool:
    try:
        if metadata.version("torch").endswith("+cpu"):
            return False
    except metadata.PackageNotFoundError:
        return False
    if sys.platform == "win32":
        return os.path.isfile(os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "nvcuda.dll"))
    return any(glob(pattern) for pattern in _DRIVERS)
