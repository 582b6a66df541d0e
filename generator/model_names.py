"""What a model's name stands for, seen from the disk alone: a folder, a file or an id on the Hugging Face hub.

Loads nothing and asks no network, so a form can check a name at every keystroke.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from diffucurate.generator.errors import ModelError

BUILT_IN = "tiny"

#: What diffusers writes at the top of a pipeline's folder.
INDEX = "model_index.json"

_PICKLES = (".bin", ".ckpt", ".pkl", ".pt", ".pth")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class Place(NamedTuple):
    """Where a model is to be had: the path of a folder or file, or an id of the hub."""

    kind: Literal["folder", "file", "hub"]
    name: str


def locate(model: str) -> Place:
    """The place that a model's name means.

    Args:
        model: "tiny", a folder, a ``.safetensors`` file or a hub id.

    Raises:
        ModelError: there is no such place, or what is there can be no model.
    """
    if model == BUILT_IN:
        from diffucurate.generator.tiny import pipeline_folder

        folder = pipeline_folder()
        if not folder.is_dir():
            raise ModelError(f"the built-in model is not at '{folder}'; install a release, or run `make train-tiny`")
        return _folder(folder)
    path = Path(os.path.expanduser(model))
    if path.suffix.lower() in _PICKLES:
        raise ModelError(f"'{model}' is a pickle, which can run any code when it is loaded; convert it to .safetensors")
    if _there(path.is_dir):
        return _folder(path)
    if _there(path.is_file):
        return Place("file", str(path))
    if _HUB_ID.fullmatch(model) and path.suffix != ".safetensors":
        return Place("hub", model)
    raise ModelError(
        f"model '{model}' is neither a folder nor a file that exists, nor a hub id such as 'owner/name', nor 'tiny'"
    )


def downloaded_models() -> list[str]:
    """The hub ids of the diffusers pipelines in the local Hugging Face cache, in alphabetical order."""
    indexes = _cache().glob(f"models--*--*/snapshots/*/{INDEX}")
    return sorted({path.parents[2].name.removeprefix("models--").replace("--", "/", 1) for path in indexes})


def _folder(folder: Path) -> Place:
    if not (folder / INDEX).is_file():
        raise ModelError(f"'{folder}' holds no {INDEX}; give the folder that a diffusers pipeline was saved to")
    return Place("folder", str(folder))


def _there(check: Callable[[], bool]) -> bool:
    """What ``check`` says, False for a text that no file system takes as a path."""
    try:
        return check()
    except (OSError, ValueError):
        return False


def _cache() -> Path:
    # Read as huggingface_hub does, whose import would cost more than the rest of a form.
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(os.path.expanduser(named or os.path.join(home, "hub")))
