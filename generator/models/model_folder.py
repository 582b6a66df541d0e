"""What a diffusers pipeline's folder says of itself, checked before any part of it is loaded.

``model_index.json`` names the class of each part. Loaders import what it names, which may be a module in the folder
itself; here only models, schedulers, tokenizers and processors of diffusers and transformers are let through. Every
refusal is one sentence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from diffucurate.generator.errors import ModelError
from diffucurate.generator.models.names import INDEX

#: The files in which a part is described, in its folder.
_CONFIGS = ("config.json", "scheduler_config.json", "tokenizer_config.json", "preprocessor_config.json")

#: The most steps of noise that a scheduler may be made for; models are made for 1000.
_MOST_STEPS = 100_000

#: Names of pipelines that need an image beside the prompt, or make something else than images.
_OTHER_TASKS = re.compile(
    "ControlNet|FluxControl|CogView4Control|Img2Img|FluxFill|Kontext|Upscale|InstructPix2Pix|ImageVariation|Redux|"
    "Depth2Img|Video|Audio|Adapter|GLIGEN|DiffEdit|Shap|Marigold|LEdits|Refiner"
)

_KINDS = "a model, scheduler, tokenizer or processor of diffusers or transformers"


def check_index(model: str, index: Any) -> dict[str, tuple[str, str]]:
    """Part -> (library, class) of what ``model_index.json`` holds; parts that a pipeline does without are left out.

    Args:
        model: its name, for messages.
        index: the content of the file.

    Raises:
        ModelError: it names no pipeline of diffusers, or a part that is nothing of the kind.
    """
    if not isinstance(index, Mapping):
        raise _refusal(model, f"{INDEX} holds no names of parts")
    _check_pipeline(model, index)
    parts: dict[str, tuple[str, str]] = {}
    for part, value in index.items():
        if part.startswith("_") or not isinstance(value, list | tuple):
            if isinstance(value, Mapping):
                raise _refusal(model, f"{INDEX} has a mapping in the place of part '{_short(part)}'")
            continue
        if list(value) == [None, None]:
            continue
        if len(value) != 2 or not all(isinstance(name, str) for name in value):
            raise _refusal(model, f"{INDEX} does not name library and class of part '{_short(part)}'")
        _check_class(model, part, *value)
        parts[part] = (value[0], value[1])
    for part in parts:
        tokenizer = part.replace("text_encoder", "tokenizer")
        if part.startswith("text_encoder") and tokenizer not in parts:
            raise _refusal(model, f"it has a {part} and no {tokenizer}, without which prompts cannot be read")
    return parts


def check_folder(model: str, folder: Path) -> dict[str, tuple[str, str]]:
    """``check_index`` for a folder, and a look at what its parts say of themselves.

    Raises:
        ModelError: as ``check_index``; or a part that is missing, quantised, asks for code from elsewhere, or is a
            scheduler of no steps or of too many.
    """
    parts = check_index(model, _content(model, folder / INDEX))
    for part in parts:
        if not part.isidentifier() or not (folder / part).is_dir():
            raise _refusal(model, f"its part '{_short(part)}' is missing")
        files = list((folder / part).iterdir())
        if any(file.suffix == ".bin" for file in files) and not any(file.suffix == ".safetensors" for file in files):
            raise _refusal(
                model,
                f"the weights of part '{part}' are pickled (.bin), which can run any code; where you know who made "
                "them, load and save it once with diffusers (save_pretrained), which writes .safetensors",
            )
        for config in _CONFIGS:
            if (folder / part / config).is_file():
                _check_config(model, part, _content(model, folder / part / config))
    return parts


def _check_pipeline(model: str, index: Mapping[str, Any]) -> None:
    import diffusers

    if "_class_name" not in index:
        raise _refusal(model, f"in {INDEX} '_class_name' is missing")
    name = index["_class_name"]
    kind = getattr(diffusers, name, None) if isinstance(name, str) and name.isidentifier() else None
    if not (isinstance(kind, type) and issubclass(kind, diffusers.DiffusionPipeline)):
        raise _refusal(model, f"'{_short(name)}' in {INDEX} is no pipeline of diffusers {diffusers.__version__}")
    if _OTHER_TASKS.search(kind.__name__):
        raise _refusal(model, f"{kind.__name__} paints no images from text alone; give its base model")


def _check_class(model: str, part: str, library: str, name: str) -> None:
    """Only attributes of diffusers and transformers themselves are looked at, so nothing else is imported."""
    import diffusers
    import transformers
    from diffusers.configuration_utils import ConfigMixin

    kinds: tuple[type, ...]
    if library == "transformers":
        source: Any = transformers
        kinds = (
            transformers.PreTrainedModel,
            transformers.PreTrainedTokenizerBase,
            transformers.ProcessorMixin,
            transformers.FeatureExtractionMixin,
            transformers.ImageProcessingMixin,
        )
    else:
        # Some parts, such as safety checkers, are named by the module of their pipeline.
        source = diffusers if library == "diffusers" else _pipeline_module(library)
        kinds = (ConfigMixin, transformers.PreTrainedModel)
    kind = getattr(source, name, None) if source is not None and name.isidentifier() else None
    if getattr(kind, "_backends", None):  # stands for a class whose package is missing, which its loader will say
        return
    if not (isinstance(kind, type) and issubclass(kind, kinds)) or issubclass(kind, diffusers.DiffusionPipeline):
        raise _refusal(model, f"part '{_short(part)}' is '{_short(f'{library}.{name}')}', which is not {_KINDS}")


def _pipeline_module(library: str) -> Any:
    import diffusers.pipelines

    module = getattr(diffusers.pipelines, library, None) if library.isidentifier() else None
    return module if getattr(module, "__name__", "").startswith("diffusers.pipelines.") else None


def _check_config(model: str, part: str, config: Any) -> None:
    if not isinstance(config, Mapping):
        raise _refusal(model, f"the configuration of part '{part}' is no mapping")
    for key, value in _entries(config):
        if key == "quantization_config" and value:
            raise _refusal(model, f"part '{part}' is quantised ({key}); give the model with its weights as they are")
        if key.endswith("attn_implementation") and "/" in str(value):
            raise _refusal(model, f"part '{part}' asks for the program '{_short(value)}' from a hub ({key})")
    steps = config.get("num_train_timesteps")
    if steps is not None and not (isinstance(steps, int) and 1 <= steps <= _MOST_STEPS):
        raise _refusal(
            model, f"part '{part}' has {_short(steps)} steps (num_train_timesteps), not 1 to {_MOST_STEPS:,}"
        )


def _entries(config: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, however deep."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            yield str(key), value
            yield from _entries(value)
    elif isinstance(config, list):
        for value in config:
            yield from _entries(value)


def _content(model: str, path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise _refusal(model, f"{path.parent.name}/{path.name} cannot be read as JSON") from None


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _refusal(model: str, reason: str) -> ModelError:
    return ModelError(f"'{model if len(model) <= 100 else '...' + model[-97:]}' cannot be loaded: {reason}")
