"""The small configurations of a model, read without its weights: those of a folder, of the hub, or a file's header.

Imports neither torch nor diffusers, so a form can ask at every keystroke for what lies on this machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from diffucurate.generator.errors import ModelError
from diffucurate.generator.models.file_kinds import other_kind
from diffucurate.generator.models.hub import first_line, load_local_first
from diffucurate.generator.models.names import CONFIG, INDEX, Place, locate, read_json, snapshot

_SCHEDULER = "scheduler/scheduler_config.json"
_VAE = f"vae/{CONFIG}"

#: Seconds to wait for an answer of the hub.
_TIMEOUT = 10

#: Of a UNet in one file: its first text-to-keys weights, (channels, width of the text), and those of what is told of
#: guidance, (channels, width).
_TEXT_KEYS = "model.diffusion_model.input_blocks.{block}.1.transformer_blocks.0.attn2.to_k.weight"
_GUIDANCE = "model.diffusion_model.time_embed.cond_proj.weight"

#: The official Turbo models, trained at 512 px; others of that name are merges with larger models.
_TURBO = re.compile(r"sd[-_ ]?(xl)?[-_ ]?turbo([-_. ]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Configs:
    """What a model says of itself.

    Attributes:
        name: the last part of the model's name, without an ending.
        pipeline: its class in diffusers.
        index: ``model_index.json``.
        denoiser: the configuration of its UNet or transformer; empty, as the others, where there is none.
        scheduler: that of its scheduler.
        vae: that of its autoencoder.
    """

    name: str
    pipeline: str
    index: Mapping[str, Any]
    denoiser: Mapping[str, Any]
    scheduler: Mapping[str, Any]
    vae: Mapping[str, Any]


def read_configs(model: str, *, local_only: bool = False) -> Configs:
    """The configurations of a model.

    Args:
        model: "tiny", a folder, a ``.safetensors`` file or a hub id.
        local_only: whether those of a hub id have to be in the local cache; else they are downloaded, a few kilobytes.

    Raises:
        ModelError: there is no such model, it has no configurations, or they cannot be downloaded.
    """
    place = locate(model)
    if place.kind == "file":
        path = Path(place.name)
        beside = path.with_suffix("")
        return _of_folder(model, beside) if (beside / INDEX).is_file() else _of_file(path)
    if place.kind == "folder":
        return _of_folder(model, Path(place.name))
    folder = snapshot(place.name)
    if folder is not None and _is_whole(folder):
        return _of_folder(model, folder)
    if local_only:
        raise ModelError(f"'{model}' is not in the local cache")
    return _of_folder(model, _downloaded(model, place))


def _of_folder(model: str, folder: Path) -> Configs:
    index = read_json(folder / INDEX)
    if not isinstance(index.get("_class_name"), str):
        raise ModelError(f"'{model}' cannot be loaded: in {INDEX} '_class_name' is missing")
    return Configs(
        PurePath(model).name,
        index["_class_name"],
        index,
        read_json(folder / _denoiser(index)),
        read_json(folder / _SCHEDULER),
        read_json(folder / _VAE),
    )


def _denoiser(index: Mapping[str, Any]) -> str:
    return f"{'unet' if index.get('unet') else 'transformer'}/{CONFIG}"


def _is_whole(folder: Path) -> bool:
    """Whether a snapshot of the cache holds the configurations, not only the index."""
    names = [INDEX, _denoiser(read_json(folder / INDEX)), _SCHEDULER, _VAE]
    return all((folder / name).is_file() for name in names)


def _downloaded(model: str, place: Place) -> Path:
    """The folder of the cache that the hub's configurations of a model are downloaded to."""

    def download(hub_id: str, local_only: bool) -> Path:
        from huggingface_hub import HfApi, hf_hub_download

        if not local_only:
            HfApi().model_info(hub_id, timeout=_TIMEOUT)  # once, where a download is tried for minutes

        def fetch(name: str) -> Path:
            return Path(hf_hub_download(hub_id, name, local_files_only=local_only, etag_timeout=_TIMEOUT))

        index = fetch(INDEX)
        for name in (_denoiser(read_json(index)), _SCHEDULER, _VAE):
            fetch(name)
        return index.parent

    return load_local_first(model, place, download, folder_help="")


def _of_file(path: Path) -> Configs:
    """What the tensors' names and shapes tell of a Stable Diffusion 1.x, 2.x or XL."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            names = set(file.keys())
            keys = next((key for block in (1, 2, 4) if (key := _TEXT_KEYS.format(block=block)) in names), None)
            text = None if keys is None else file.get_slice(keys).get_shape()[-1]
            guidance = file.get_slice(_GUIDANCE).get_shape()[-1] if _GUIDANCE in names else None
    except (OSError, SafetensorError) as error:
        raise ModelError(f"'{path}' is not a .safetensors file: {first_line(error)}") from error
    if other := other_kind(names):
        raise ModelError(f"'{path}' is {other}")
    is_xl = any(name.startswith("conditioner.embedders.1.") for name in names)
    side = 128 if is_xl else 96 if text == 1024 else 64
    return Configs(
        path.stem,
        "StableDiffusionXLPipeline" if is_xl else "StableDiffusionPipeline",
        {},
        {
            "sample_size": 64 if _TURBO.match(path.stem) else side,
            "cross_attention_dim": text,
            "time_cond_proj_dim": guidance,
        },
        {},
        {},
    )
