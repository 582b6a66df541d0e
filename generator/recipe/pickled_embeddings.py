"""Words learned by textual inversion that are kept in pickles (``.pt``, ``.bin``) -> the same as safetensors.

Most hold tensors and plain data only. Torch reads these without running anything, so they need no trust; a pickle that
needs more could run any code, and is read only where the person says so. The result is kept under a name that has the
file's digest, so that each is read once. Importing this is light.
"""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.files.atomic import replacing_file


def converted_path(field: str, path: str, folder: Path) -> Path:
    """Where the word of a pickle is kept, converted or not yet.

    Raises:
        RecipeError: there is no such file.
    """
    try:
        content = Path(path).expanduser().read_bytes()
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else "the file cannot be read"
        raise RecipeError(field, path, f"{reason}; give the path of a learned word") from error
    stem = re.sub(r"[^\w-]+", "-", Path(path).stem).strip("-") or "word"
    return folder / f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}.safetensors"


def convert(field: str, path: str, folder: Path, *, trust: bool = False) -> Path:
    """The word of a pickle as a file of safetensors in ``folder``, made unless it is there.

    Args:
        field: the dotted name of the field that names it, for messages.
        path: of the pickle: diffusers' ``{word: tensor}`` or the layout of Stable Diffusion web UI, with the tensors
            in ``string_to_param``; for Stable Diffusion XL ``clip_l`` and ``clip_g``.
        folder: where it is kept.
        trust: whether a pickle that holds more than tensors is read, which runs whatever code is in it.

    Raises:
        RecipeError: there is no such file, it needs trust, or it holds no learned word.
    """
    target = converted_path(field, path, folder)
    if target.is_file():
        return target
    from safetensors.torch import save_file

    tensors = _tensors(_read(field, path, trust))
    if not tensors:
        raise RecipeError(field, path, "it holds no learned word: no tensor with a vector or several of one width")
    with replacing_file(target) as part:
        save_file(tensors, part)
    return target


def _read(field: str, path: str, trust: bool) -> Any:
    import torch

    broken = "the file is broken, or no learned word"
    try:
        return torch.load(Path(path).expanduser(), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported operand" in str(error):  # no pickle at all
            raise RecipeError(field, path, broken) from error
        if not trust:
            remedy = (
                "the file holds more than tensors, and reading that would run whatever code is in it; where you know "
                "who made it, read it once with `diffucurate generate --trust-pickle`, or give a .safetensors file"
            )
            raise RecipeError(field, path, remedy) from error
    except Exception as error:  # torch, zipfile and pickle each have their own errors for a broken file
        raise RecipeError(field, path, broken) from error
    try:
        return torch.load(Path(path).expanduser(), map_location="cpu", weights_only=False)
    except Exception as error:  # whatever the code in it raises
        raise RecipeError(field, path, f"{broken} ({error})") from error


def _tensors(content: Any) -> dict[str, Any]:
    """The vectors, (vectors, width) each, of a word: ``emb_params`` alone, or ``clip_l`` and ``clip_g``."""
    import torch

    if isinstance(content, Mapping) and isinstance(content.get("string_to_param"), Mapping):
        content = content["string_to_param"]
    if isinstance(content, torch.Tensor):
        content = {"": content}
    if not isinstance(content, Mapping):
        return {}
    vectors = {
        str(name): torch.atleast_2d(value.detach()).contiguous().float()
        for name, value in content.items()
        if isinstance(value, torch.Tensor) and value.ndim in (1, 2) and value.is_floating_point()
    }
    if {"clip_l", "clip_g"} <= vectors.keys():
        return {name: vectors[name] for name in ("clip_l", "clip_g")}
    return {"emb_params": next(iter(vectors.values()))} if len(vectors) == 1 else {}
