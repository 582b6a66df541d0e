"""What a model's name stands for, seen from the disk alone: a folder, a file or an id on the Hugging Face hub.

Loads nothing and asks no network, so a form can check a name at every keystroke.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from diffucurate.generator.errors import ModelError
from diffucurate.generator.recipe.by_model import BUILT_IN

#: What diffusers writes at the top of a pipeline's folder.
INDEX = "model_index.json"

#: What transformers writes into a model's folder.
CONFIG = "config.json"

#: Models that cut out what a box and points show: their ``model_type`` -> transformers' classes of model and processor.
#: Checkpoints made for videos hold the model for images too.
SEGMENTERS = {
    "sam": ("SamModel", "SamProcessor"),
    "sam2": ("Sam2Model", "Sam2Processor"),
    "sam2_video": ("Sam2Model", "Sam2Processor"),
    "sam3_tracker": ("Sam3TrackerModel", "Sam3TrackerProcessor"),
    "sam3_video": ("Sam3TrackerModel", "Sam3TrackerProcessor"),
}

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
        from diffucurate.generator.models.built_in import pipeline_folder

        folder = pipeline_folder()
        if not folder.is_dir():
            raise ModelError(f"the built-in model is not at '{folder}'; install a release, or run `make train-tiny`")
        return _folder(folder)
    path = _path(model)
    if _there(path.is_dir):
        return _folder(path)
    if _there(path.is_file):
        return Place("file", str(path))
    if _HUB_ID.fullmatch(model) and path.suffix.lower() != ".safetensors":
        return Place("hub", model)
    raise ModelError(
        f"model '{model}' is neither a folder nor a file that exists, nor a hub id such as 'owner/name', nor 'tiny'"
    )


def locate_segmenter(model: str) -> Place:
    """The place that the name of a Segment Anything model means.

    Args:
        model: a folder that transformers saved one to, or a hub id.

    Raises:
        ModelError: there is no such place, or a folder that holds no model or one of another kind.
    """

    def check(folder: Path) -> None:
        kind = _model_type(folder / CONFIG)
        if kind is None:
            raise ModelError(
                f"'{folder}' holds no {CONFIG} of a model; give a folder that transformers saved a model to"
            )
        check_segmenter(model, kind)

    return folder_or_hub("refiner", model, check, "facebook/sam-vit-base")


def locate_writer(model: str) -> Place:
    """The place that the name of a text-generation model means.

    Args:
        model: a folder that transformers saved one to, or a hub id.

    Raises:
        ModelError: there is no such place, or a folder that holds no model or one of another kind.
    """

    def check(folder: Path) -> None:
        if not _writes(folder / CONFIG):
            raise ModelError(
                f"'{folder}' holds no {CONFIG} of a model that writes text; give a folder that transformers saved a "
                "causal language model and its tokenizer to"
            )

    return folder_or_hub("text model", model, check, "Qwen/Qwen3-0.6B")


def folder_or_hub(what: str, model: str, check: Callable[[Path], None], example: str) -> Place:
    """Of a model of transformers: a folder, which ``check`` looks into, or a hub id."""
    path = _path(model)
    if _there(path.is_dir):
        check(path)
        return Place("folder", str(path))
    if _HUB_ID.fullmatch(model) and not _there(path.is_file):
        return Place("hub", model)
    raise ModelError(f"{what} '{model}' is neither a folder that exists nor a hub id such as '{example}'")


def check_segmenter(model: str, kind: str | None) -> None:
    """See that a ``model_type`` is one of ``SEGMENTERS``.

    Raises:
        ModelError: it is another one, or None.
    """
    if kind not in SEGMENTERS:
        raise ModelError(
            f"'{model}' is a model of type '{kind}', which takes no boxes and points; use SAM, SAM 2 or the tracker of "
            "SAM 3, such as facebook/sam-vit-base or facebook/sam2.1-hiera-tiny"
        )


def downloaded_models() -> list[str]:
    """The hub ids of the diffusers pipelines in the local Hugging Face cache, in alphabetical order."""
    return downloaded(INDEX, lambda path: True)


def downloaded_segmenters() -> list[str]:
    """The hub ids of the Segment Anything models in the local Hugging Face cache, in alphabetical order."""
    return downloaded(CONFIG, lambda path: _model_type(path) in SEGMENTERS)


def downloaded_writers() -> list[str]:
    """The hub ids of the text-generation models in the local Hugging Face cache, in alphabetical order."""
    return downloaded(CONFIG, _writes)


def snapshot(hub_id: str) -> Path | None:
    """The folder of the local cache with a repository's files of its main branch, or of the only revision there; None
    where it was not downloaded."""
    folder = _cache() / f"models--{hub_id.replace('/', '--')}"
    try:
        commit = (folder / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        commit = ""
    if commit and (folder / "snapshots" / commit).is_dir():
        return folder / "snapshots" / commit
    revisions = list(folder.glob("snapshots/*/"))
    return revisions[0] if len(revisions) == 1 else None


def downloaded(name: str, fits: Callable[[Path], bool]) -> list[str]:
    """The hub ids in the local Hugging Face cache that hold a file ``name`` which ``fits``, in alphabetical order."""
    files = [path for path in _cache().glob(f"models--*--*/snapshots/*/{name}") if fits(path)]
    return sorted({path.parents[2].name.removeprefix("models--").replace("--", "/", 1) for path in files})


def _model_type(config: Path) -> str | None:
    """The ``model_type`` that a config.json names, None where there is none or it cannot be read."""
    kind = read_json(config).get("model_type")
    return kind if isinstance(kind, str) else None


def _writes(config: Path) -> bool:
    """Whether a config.json is that of a causal language model."""
    named = read_json(config).get("architectures")
    return isinstance(named, list) and any(str(name).endswith(("ForCausalLM", "LMHeadModel")) for name in named)


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file; empty where it cannot be read or holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _path(model: str) -> Path:
    path = Path(os.path.expanduser(model))
    if path.suffix.lower() in _PICKLES:
        raise ModelError(f"'{model}' is a pickle, which can run any code when it is loaded; convert it to .safetensors")
    return path


def _folder(folder: Path) -> Place:
    if not (folder / INDEX).is_file():
        raise ModelError(f"'{folder}' holds no {INDEX}; give the folder that a diffusers pipeline was saved to")
    return Place("folder", str(folder))


def _there(check: Callable[[], bool]) -> bool:
    """The result of ``check``; False for a text that is no path on this file system."""
    try:
        return check()
    except (OSError, ValueError):
        return False


def _cache() -> Path:
    # Read as huggingface_hub does, whose import would cost more than the rest of a form.
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(os.path.expanduser(named or os.path.join(home, "hub")))
