"""What is wrong with LoRAs, learned words and weights in prompts before a model is loaded. Imports no torch.

Both the run, before it loads a model, and the forms, at every keystroke, ask here; ``models.adapters`` finds the rest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from diffucurate.generator.errors import ModelError, RecipeError
from diffucurate.generator.models.configs import read_configs
from diffucurate.generator.models.names import locate, read_json, snapshot
from diffucurate.generator.recipe.model_options import ModelOptions
from diffucurate.generator.text.weighted_prompts import weights_problem

_HUB = re.compile(r"[\w.-]+/[\w.-]+")

#: The folders of CLIP's tokenizers in a pipeline, whose vocabulary can grow.
_TOKENIZERS = ("tokenizer", "tokenizer_2")


def check_adapters(options: ModelOptions, model: str) -> None:
    """Refuse LoRAs and words whose files are not there, and words that the model's tokenizer knows already.

    A model that is not on this machine is not asked.

    Raises:
        RecipeError: with the key of the one that is wrong.
        ModelError: LoRAs need a package that is not installed.
    """
    for index, word in enumerate(options.tokens):
        _check_file(f"tokens[{index}].path", word.path, folders=False)
        check_new_word(word.placeholder, model, f"tokens[{index}].placeholder")
    for index, lora in enumerate(options.loras):
        _check_file(f"loras[{index}].path", lora.path, folders=True)
    if options.loras:
        check_peft()
    if options.prompt_weights:
        check_compel()


def check_peft() -> None:
    """Raise a ModelError where the package that LoRAs need is not installed. Imports nothing."""
    if find_spec("peft") is None:
        raise ModelError("LoRAs need PEFT: pip install 'diffucurate[lora]'")


def check_compel() -> None:
    """Raise a ModelError where the package that weights in prompts need is not installed. Imports nothing."""
    if find_spec("compel") is None:
        raise ModelError("weights in prompts need Compel: pip install 'diffucurate[prompts]'")


def check_weights(prompts: Iterable[str]) -> None:
    """See that the weights of prompts can be read.

    Raises:
        RecipeError: with the first prompt that has wrong ones.
    """
    for prompt in dict.fromkeys(prompts):
        if problem := weights_problem(prompt):
            raise RecipeError("prompt_weights", prompt, problem)


def check_new_word(placeholder: str, model: str, field: str) -> None:
    """Refuse a placeholder that one of the model's tokenizers has as a word; a model that is not here knows none.

    Raises:
        RecipeError: of ``field``.
    """
    if any(has_word(vocabulary, placeholder) for vocabulary in _vocabularies(model)):
        raise known_word(placeholder, field)


def check_learns_words(model: str) -> None:
    """Refuse a model that can be taught no words; one that is not on this machine is not asked.

    Raises:
        ModelError: it has another kind of network or of text encoders, or cannot be loaded.
    """
    if locate(model).kind == "hub" and snapshot(model) is None:
        return
    try:
        pipeline = read_configs(model, local_only=True).pipeline
    except ModelError:
        return  # a part of it is not here yet
    if not pipeline.startswith(("StableDiffusion", "LatentConsistency")) or pipeline.startswith("StableDiffusion3"):
        raise ModelError(f"{pipeline} learns no words; use a Stable Diffusion 1.x, 2.x or XL model")


def has_word(vocabulary: Container[str], placeholder: str) -> bool:
    """Whether CLIP's vocabulary has a text as a token of its own; it writes the end of a word as ``</w>``."""
    return placeholder in vocabulary or f"{placeholder.lower()}</w>" in vocabulary


def known_word(placeholder: str, field: str) -> RecipeError:
    """The error to raise for a placeholder that a tokenizer has."""
    remedy = "the model's tokenizer has this word already; choose a placeholder such as <my-piano>"
    return RecipeError(field, placeholder, remedy)


def _check_file(field: str, path: str, *, folders: bool) -> None:
    file = Path(os.path.expanduser(path))
    try:
        there = file.is_file() or (folders and file.is_dir())
    except (OSError, ValueError):
        there = False
    if there or (_HUB.fullmatch(path) and file.suffix.lower() != ".safetensors"):
        return
    kinds = "a .safetensors file, a folder with one" if folders else "a .safetensors file"
    raise RecipeError(field, path, f"there is no such file on this machine; give {kinds} or a hub id")


def _vocabularies(model: str) -> Iterator[Container[str]]:
    try:
        place = locate(model)
    except ModelError:
        return
    folder = snapshot(place.name) if place.kind == "hub" else Path(place.name) if place.kind == "folder" else None
    for name in _TOKENIZERS if folder is not None else ():
        path = Path(str(folder)) / name / "vocab.json"
        if path.is_file():
            yield _words(str(path), path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _words(path: str, changed: int) -> frozenset[str]:
    return frozenset(read_json(Path(path)))
