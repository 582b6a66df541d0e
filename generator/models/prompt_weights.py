"""Prompts with weighted words, ``a red car++ on a (road)1.3`` or ``(road:1.3)``, and prompts of several contexts.

Compel parses them, weights the words' states and joins contexts. The token ids are kept, by which the trace finds the
classes. Knows nothing of classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, zeros_like

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.models.adapter_checks import check_compel, check_weights
from diffucurate.generator.models.hub import first_line
from diffucurate.generator.text.weighted_prompts import compel_syntax


@dataclass(frozen=True)
class Weighted:
    """Encoded prompts of a batch.

    Attributes:
        arguments: what a pipeline is called with instead of prompts.
        ids: for each of its tokenizers, for each prompt the token ids in the order of the context, contexts one
            after the other, each with start and end token.
    """

    arguments: dict[str, Tensor]
    ids: list[list[list[int]]]


def weighted(pipe: Any, prompts: Sequence[str], negative_prompts: Sequence[str]) -> Weighted:
    """Encode a batch; negative prompts may have weights too.

    Raises:
        ModelError: Compel is not installed.
        RecipeError: a pipeline with other text encoders than those of Stable Diffusion 1.x, 2.x and XL, or a prompt
            that cannot be read.
    """
    check_weights([*prompts, *negative_prompts])
    check_compel()
    from compel import BaseTextualInversionManager, CompelForSD, CompelForSDXL, PromptParser
    from pyparsing import ParseBaseException

    class Words(BaseTextualInversionManager):
        """Learned words of several vectors. Compel's own way decodes and encodes again, which not all ids survive."""

        def expand_textual_inversion_token_ids_if_necessary(self, token_ids: list[int]) -> list[int]:
            return [each for token_id in token_ids for each in _vectors(pipe.tokenizer, token_id)]

    if getattr(pipe, "unet", None) is None or getattr(pipe, "text_encoder", None) is None:
        remedy = f"{type(pipe).__name__} has text encoders whose words cannot be weighted; leave it out"
        raise RecipeError("prompt_weights", True, remedy)
    two = getattr(pipe, "text_encoder_2", None) is not None
    encoder = (CompelForSDXL if two else CompelForSD)(pipe, Words())
    try:
        texts, negative_texts = ([compel_syntax(text) for text in each] for each in (prompts, negative_prompts))
        encoded = encoder(texts, negative_prompt=negative_texts)
    except (ParseBaseException, PromptParser.ParsingException) as error:
        raise RecipeError("prompt_weights", prompts[0], f"it cannot be read ({first_line(error)})") from error
    arguments = {"prompt_embeds": encoded.embeds, "negative_prompt_embeds": encoded.negative_embeds}
    if two:
        arguments["pooled_prompt_embeds"] = encoded.pooled_embeds
        arguments["negative_pooled_prompt_embeds"] = encoded.negative_pooled_embeds
    if guided_by_nothing(pipe, negative_prompts):
        arguments |= {name: zeros_like(arguments[name]) for name in arguments if name.startswith("negative")}
    names = ("main_positive", "style_positive") if two else ("main_positive",)
    return Weighted(arguments, [[ids.flatten().tolist() for ids in encoded.tokenization_info[name]] for name in names])


def guided_by_nothing(pipe: Any, negative_prompts: Sequence[str]) -> bool:
    """Whether a pipeline is guided by zeros in the place of empty negative prompts, as Stable Diffusion XL says of
    itself; others are guided by an encoded empty text."""
    return bool(getattr(pipe.config, "force_zeros_for_empty_prompt", False)) and not any(negative_prompts)


def _vectors(tokenizer: Any, token_id: int) -> list[int]:
    """The ids of all vectors of a learned word, ``<piano>``, ``<piano>_1``..., by that of its first; else the id."""
    added = tokenizer.get_added_vocab()
    if token_id not in added.values():
        return [token_id]
    word = tokenizer.convert_ids_to_tokens(token_id)
    more = [added[f"{word}_{index}"] for index in range(1, len(added)) if f"{word}_{index}" in added]
    return [token_id, *more]
