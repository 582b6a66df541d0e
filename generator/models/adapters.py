"""Adapts a pipeline to ``ModelOptions`` while it paints: sampler, learned words and LoRAs; all of it is undone after.

A pipeline is loaded once and shared, so nothing may stay on it: two recipes can use one model with different LoRAs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from copy import deepcopy
from typing import Any

import torch

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.models.adapter_checks import check_peft, has_word, known_word
from diffucurate.generator.models.adapter_files import lora_problem, read_word
from diffucurate.generator.models.hub import first_line
from diffucurate.generator.models.placement import all_weights_there
from diffucurate.generator.models.samplers import sampling
from diffucurate.generator.recipe.model_options import Lora, ModelOptions, TextualInversion

#: How the names of a pipeline's tokenizers and text encoders end.
_ENDS = ("", "_2")


@contextmanager
def adapted(pipe: Any, options: ModelOptions) -> Iterator[None]:
    """A block in which the pipeline is set up as asked.

    Raises:
        RecipeError: a sampler that does not suit the model or lacks a setting, a file that is not there or does not fit
            the model, or a placeholder that its tokenizer knows as a word already.
        ModelError: LoRAs or the sampler need a package that is not installed.
    """
    weights = all_weights_there if options.tokens or options.loras else nullcontext
    stack = ExitStack()
    try:
        with weights(pipe):
            if any(value is not None for value in (options.scheduler, options.karras, options.spacing)):
                stack.enter_context(sampling(pipe, options))
            if options.tokens:
                stack.enter_context(_words(pipe, options.tokens))
            if options.loras:
                stack.enter_context(_loras(pipe, options.loras))
        yield
    finally:
        with weights(pipe):
            stack.close()


@contextmanager
def _words(pipe: Any, words: Sequence[TextualInversion]) -> Iterator[None]:
    if not hasattr(pipe, "load_textual_inversion"):
        placeholders = [word.placeholder for word in words]
        raise RecipeError("tokens", placeholders, f"{type(pipe).__name__} takes no learned words")
    with ExitStack() as stack:
        for end, _, encoder in word_encoders(pipe):
            stack.enter_context(_room_for_words(pipe, end, encoder))
        for index, word in enumerate(words):
            for tokenizer, encoder, state in _embeddings(pipe, word, f"tokens[{index}].path"):
                check_unknown(tokenizer, word.placeholder, f"tokens[{index}].placeholder")
                pipe.load_textual_inversion(state, token=word.placeholder, tokenizer=tokenizer, text_encoder=encoder)
        yield


@contextmanager
def _room_for_words(pipe: Any, end: str, encoder: Any) -> Iterator[None]:
    """A block in which the vocabulary may grow: diffusers itself cannot remove a word of several vectors."""
    tokenizer, size = getattr(pipe, f"tokenizer{end}"), encoder.get_input_embeddings().weight.shape[0]
    setattr(pipe, f"tokenizer{end}", deepcopy(tokenizer))
    try:
        yield
    finally:
        setattr(pipe, f"tokenizer{end}", tokenizer)
        encoder.resize_token_embeddings(size)


def _embeddings(pipe: Any, word: TextualInversion, field: str) -> Iterator[tuple[Any, Any, dict[str, torch.Tensor]]]:
    """For each text encoder the vectors, (vectors, width), that a file has for it.

    Files hold one tensor under any name, or one per encoder, ``clip_l`` and ``clip_g``, for Stable Diffusion XL.
    """
    encoders = word_encoders(pipe)
    most = min((tokenizer.model_max_length for _, tokenizer, _ in encoders), default=2) - 2  # beside start and end
    try:
        path = word.path if word.path.lower().endswith(".safetensors") else _fetched(word.path)
        tensors = read_word(path, most)
    except Exception as error:  # the Hub client and safetensors each have their own errors
        remedy = f"it cannot be read as a .safetensors file of a learned word ({first_line(error)})"
        raise RecipeError(field, word.path, remedy) from error
    names = ["clip_l", "clip_g"] if len(tensors) > 1 and "clip_g" in tensors else list(tensors)
    if len(names) != len(encoders):
        remedy = f"it is for {len(names)} text encoders, this model has {len(encoders)}; use one learned for this model"
        raise RecipeError(field, word.path, remedy)
    for (_, tokenizer, encoder), name in zip(encoders, names, strict=True):
        vectors = tensors[name]
        width = encoder.get_input_embeddings().weight.shape[1]
        if vectors.shape[1] != width:
            remedy = f"its vectors are {vectors.shape[1]} wide, this model's are {width}; use one learned for it"
            raise RecipeError(field, word.path, remedy)
        yield tokenizer, encoder, {word.placeholder: vectors}


def _fetched(hub_id: str) -> str:
    from huggingface_hub import hf_hub_download

    return str(hf_hub_download(hub_id, "learned_embeds.safetensors"))


def check_unknown(tokenizer: Any, placeholder: str, field: str) -> None:
    """See that a tokenizer does not know the placeholder: as a token, or as a word that is one token.

    Raises:
        RecipeError: it does.
    """
    ids = tokenizer(placeholder, add_special_tokens=False).input_ids
    # Other tokenizers than CLIP's write words in their own way. A text that is no word can be one token too, the
    # unknown one.
    is_token = len(ids) == 1 and tokenizer.decode(ids).strip().lower() == placeholder.lower()
    if is_token or has_word(tokenizer.get_vocab(), placeholder):
        raise known_word(placeholder, field)


def word_encoders(pipe: Any) -> list[tuple[str, Any, Any]]:
    """CLIP's text encoders, whose vocabulary can grow: the end of each name, the tokenizer, the encoder."""
    candidates = [
        (end, getattr(pipe, f"tokenizer{end}", None), getattr(pipe, f"text_encoder{end}", None)) for end in _ENDS
    ]
    return [candidate for candidate in candidates if None not in candidate]


@contextmanager
def _loras(pipe: Any, loras: Sequence[Lora]) -> Iterator[None]:
    if not hasattr(pipe, "load_lora_weights"):
        raise RecipeError("loras", [lora.path for lora in loras], f"{type(pipe).__name__} takes no LoRAs")
    check_peft()
    names = [f"diffucurate_{index}" for index in range(len(loras))]
    try:
        for index, (name, lora) in enumerate(zip(names, loras, strict=True)):
            _load_lora(pipe, f"loras[{index}].path", lora.path, name)
        pipe.set_adapters(names, [lora.scale for lora in loras])
        yield
    finally:
        pipe.unload_lora_weights()


def _load_lora(pipe: Any, field: str, path: str, name: str) -> None:
    """Load the LoRA of a file, folder or hub id under a name of its own."""
    unet = getattr(pipe, "unet", None)
    layout = {} if unet is None else {"unet_config": unet.config}  # by which layers are named in some files of SDXL's
    try:
        content = pipe.lora_state_dict(path, use_safetensors=True, **layout)
        tensors = content[0] if isinstance(content, tuple) else content
        problem = lora_problem(tensors)
        if problem is None:
            pipe.load_lora_weights(path, adapter_name=name, use_safetensors=True)
            if not any(name in getattr(part, "peft_config", {}) for part in pipe.components.values()):
                problem = "none of its layers is in this model; it was made for another base model"
    # The Hub client, diffusers and PEFT each have their own errors for what can go wrong here.
    except Exception as error:
        problem = _lora_cause(error)
    if problem is not None:
        raise RecipeError(field, path, f"it cannot be loaded as a LoRA for this model ({problem})")


def _lora_cause(error: Exception) -> str:
    text = str(error)
    if "size mismatch" in text or "Target modules" in text or "shape" in text:
        return "its layers are of other sizes or names than this model's; it was made for another base model"
    return first_line(error)
