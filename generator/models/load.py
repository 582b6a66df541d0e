"""A model's name becomes a diffusers pipeline on a device. Knows nothing of prompts or attention.

A name is "tiny" (the built-in model), a local diffusers folder, a single ``.safetensors`` file or a
Hugging Face hub id. Pickled weights are refused, and folders that name classes of their own (``model_folder``): both
can run any code.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any, cast

import diffusers
import torch
import transformers
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from packaging.version import Version
from torch.nn import Module

from diffucurate.generator.errors import ModelError
from diffucurate.generator.models.card import empty_caches, out_of_memory
from diffucurate.generator.models.devices import check_device
from diffucurate.generator.models.hub import load_local_first
from diffucurate.generator.models.model_folder import check_folder, check_index
from diffucurate.generator.models.names import locate
from diffucurate.generator.models.placement import Memory, device_of, place, working_memory
from diffucurate.generator.models.precision import default_dtype
from diffucurate.generator.models.single_file import load_single_file
from diffucurate.generator.models.sizes import check_memory, check_sides, decoding_memory, unit_for
from diffucurate.generator.models.whole_weights import check_no_empty_weights, load_whole

#: Pipelines kept loaded, the least recently used going first.
KEPT = 2

#: The most images at once where nobody asks for more.
MOST_IMAGES = 64

#: Default batch: this many pixels at once, up to the most images. A CPU gains little from large batches, and a
#: system may end a process that takes too much memory instead of telling it.
_PIXELS = {"cuda": 8 * 512 * 512, "mps": 2 * 512 * 512, "cpu": 512 * 512}
_MOST_IMAGES = {"cuda": MOST_IMAGES, "mps": 8, "cpu": 8}

# diffusers 0.42 renamed the argument and deprecates the old name.
_DTYPE = "dtype" if Version(diffusers.__version__) >= Version("0.42") else "torch_dtype"

_loaded: OrderedDict[tuple[str, str, torch.dtype], DiffusionPipeline] = OrderedDict()
_lock = Lock()


def default_device() -> tuple[str, str]:
    """The device a model runs on when none is named, and why: ("cuda" | "mps" | "cpu", reason)."""
    if torch.cuda.is_available():
        return "cuda", f"found {torch.cuda.get_device_name()}"
    if torch.backends.mps.is_available():
        return "mps", "found an Apple GPU"
    return "cpu", "found no GPU that torch can use"


def load_pipeline(
    model: str, device: str | None = None, dtype: torch.dtype | None = None, memory: Memory = "auto"
) -> DiffusionPipeline:
    """Load a text-to-image pipeline, or return the one already loaded.

    Args:
        model: "tiny", a folder, a ``.safetensors`` file or a hub id.
        device: "cpu", "cuda", "cuda:1", "mps"; by default ``default_device()``.
        dtype: of the weights; by default what suits the model and the device (``default_dtype``).
        memory: how its weights share the device with others; see ``models.placement``.

    Raises:
        ModelError: what was tried, why it failed and how to get the model; or it does not fit the device.
    """
    device = checked_device(device or default_device()[0])
    dtype = dtype or default_dtype(model, device)
    with _lock:
        key = (model, device, dtype)
        if key not in _loaded:
            while len(_loaded) >= KEPT:
                _loaded.popitem(last=False)
                empty_caches()
            _loaded[key] = _frozen(_latent_diffusion(model, _load(model, dtype)))
        pipe = _loaded[key]
        _loaded.move_to_end(key)
        try:
            working = working_memory(pipe, native_size(pipe))
            place(pipe, device, memory, working, release=partial(_release_all_but, pipe))
        except RuntimeError as error:
            del _loaded[key]
            if not out_of_memory(error):
                raise
            reason = ModelError(f"'{model}' does not fit the memory of {device}; use a smaller model or another device")
        else:
            return pipe
    # Only here, the error with its frames and their tensors forgotten, can their memory be freed.
    del pipe
    empty_caches()
    raise reason


def release_models() -> int:
    """Forget all loaded pipelines, which frees their memory where nobody else holds them; returns how many."""
    with _lock:
        count = len(_loaded)
        _loaded.clear()
        empty_caches()
    return count


def release_others(pipe: Any) -> bool:
    """Forget all loaded pipelines but one; returns whether there were any."""
    with _lock:
        return _release_all_but(pipe)


def _release_all_but(pipe: Any) -> bool:
    others = [key for key, other in _loaded.items() if other is not pipe]
    for key in others:
        del _loaded[key]
    empty_caches()
    return bool(others)


def held_memory() -> tuple[int, int]:
    """How many pipelines are loaded, and the bytes that their weights take."""
    with _lock:
        modules = [part for pipe in _loaded.values() for part in pipe.components.values() if isinstance(part, Module)]
        tensors = [tensor for module in modules for tensor in (*module.parameters(), *module.buffers())]
        return len(_loaded), sum(tensor.nbytes for tensor in tensors)


def check_size(pipe: Any, size: tuple[int, int]) -> None:
    """See that a pipeline can make images of ``size`` (width, height).

    Raises:
        RecipeError: with the nearest size that it can make; or the memory of a CPU is too small for one image, where
            the system would end the process instead of telling it.
    """
    check_sides(size, _unit(pipe))
    if device_of(pipe).type == "cpu":  # other devices raise an error where they have too little, with remedies
        check_memory(size, _decoding_memory(pipe, size))


def _decoding_memory(pipe: Any, size: tuple[int, int]) -> int:
    widths = getattr(pipe.vae.config, "block_out_channels", None) or [128]
    return decoding_memory(widths[0], size, next(pipe.vae.parameters()).element_size())


def native_size(pipe: Any) -> tuple[int, int]:
    """The (width, height) that a pipeline's model was made for."""
    model = pipe.unet if getattr(pipe, "unet", None) is not None else pipe.transformer
    sample = getattr(pipe, "default_sample_size", None) or model.config.get("sample_size") or 64
    height, width = sample if isinstance(sample, list | tuple) else (sample, sample)
    return width * pipe.vae_scale_factor, height * pipe.vae_scale_factor


def nearest_size(pipe: Any, size: tuple[int, int]) -> tuple[int, int]:
    """The (width, height) at which a pipeline paints from an init image of ``size``: its own where the model can.

    A model paints well near the size that it was made for. An init image with more pixels than that, or with less than
    half as many, is painted in its own proportions with about as many pixels as the model was made for.
    """
    most = prod(native_size(pipe))
    area, unit = size[0] * size[1], _unit(pipe)
    scale = 1.0 if most / 2 <= area <= most else (most / area) ** 0.5
    width, height = (max(unit, round(side * scale / unit) * unit) for side in size)
    return width, height


def _unit(pipe: Any) -> int:
    """What the sides of a pipeline's images are multiples of, in pixels."""
    return unit_for(pipe.vae_scale_factor, is_transformer=getattr(pipe, "transformer", None) is not None)


def default_batch(pipe: Any, size: tuple[int, int]) -> int:
    """How many images of ``size`` (width, height) a pipeline can usually work on at once on its device."""
    kind = device_of(pipe).type
    kind = kind if kind in _PIXELS else "cpu"
    return max(1, min(_MOST_IMAGES[kind], _PIXELS[kind] // (size[0] * size[1])))


def checked_device(device: str) -> str:
    """``device`` as a model on it names it: "cuda" becomes "cuda:0", say.

    Raises:
        ModelError: there is no such device here.
    """
    check_device(device)
    # With its number, as a pipeline names its device: one model under two names would be loaded twice.
    return f"cuda:{torch.cuda.current_device()}" if device == "cuda" else device


def _load(model: str, dtype: torch.dtype) -> DiffusionPipeline:
    place = locate(model)
    if place.kind == "file":
        return cast(DiffusionPipeline, load_single_file(Path(place.name), **{_DTYPE: dtype}))

    def from_pretrained(name: str, local_only: bool) -> DiffusionPipeline:
        if place.kind == "folder":
            parts = check_folder(model, Path(name))
        else:
            parts = check_index(model, DiffusionPipeline.load_config(name, local_files_only=local_only))
        first: Exception | None = None
        for variant in ("fp16", None) if dtype.itemsize == 2 else (None, "fp16"):
            try:
                encoders = _text_encoders(model, name, parts, dtype, local_only, variant)
                pipe = DiffusionPipeline.from_pretrained(
                    name,
                    use_safetensors=True,
                    local_files_only=local_only,
                    variant=variant,
                    **encoders,
                    **{_DTYPE: dtype},
                )
            except ModelError:
                raise
            except Exception as error:  # there may be the other variant only
                first = first or error
            else:
                check_no_empty_weights(model, pipe)
                return cast(DiffusionPipeline, pipe)
        raise first or AssertionError("a variant was tried")

    remedy = "save a diffusers pipeline there with .safetensors weights"
    return load_local_first(model, place, from_pretrained, folder_help=remedy)


def _latent_diffusion(model: str, pipe: DiffusionPipeline) -> DiffusionPipeline:
    """The pipeline, if it denoises latents with a UNet or a transformer and decodes them, as all that is done here
    expects.

    Raises:
        ModelError: it works in another way.
    """
    if getattr(pipe, "vae", None) is None or not any(getattr(pipe, name, None) for name in ("unet", "transformer")):
        raise ModelError(
            f"'{model}' is a {type(pipe).__name__}, without a UNet or transformer and an autoencoder (vae) that paint "
            "from text; use Stable Diffusion, PixArt, Flux, Qwen-Image or Z-Image"
        )
    return pipe


def _frozen(pipe: DiffusionPipeline) -> DiffusionPipeline:
    """The pipeline without gradients. PEFT freezes what it puts a LoRA on, and torch rounds sums of frozen layers in
    another way, so that without this later images would differ from earlier ones in the last bit."""
    for module in pipe.components.values():
        if isinstance(module, Module):
            module.requires_grad_(False)
    return pipe


def _text_encoders(
    model: str,
    name: str,
    parts: Mapping[str, tuple[str, str]],
    dtype: torch.dtype,
    local_only: bool,
    variant: str | None,
) -> dict[str, Any]:
    """The parts that are models of transformers, which fills in random weights for those that a file lacks."""
    encoders = {}
    for part, (library, kind) in parts.items():
        if library != "transformers" or not issubclass(getattr(transformers, kind), transformers.PreTrainedModel):
            continue
        arguments: dict[str, Any] = {"part": part, "local_files_only": local_only, "dtype": dtype}
        try:
            encoders[part] = load_whole(getattr(transformers, kind), name, model, **arguments, variant=variant)
        except OSError:
            if variant is None:
                raise
            encoders[part] = load_whole(getattr(transformers, kind), name, model, **arguments)
    return encoders
