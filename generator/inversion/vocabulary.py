"""A new word in a pipeline's tokenizers and text encoders for as long as it is learned.

Its vectors are parameters of their own beside the vocabulary, so that nothing else of it can change and an optimiser
sees only them. Knows nothing of images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.inversion.settings import SLOT
from diffucurate.generator.models.adapters import check_unknown, word_encoders


class WithNewRows(nn.Module):
    """An embedding whose ids from ``first`` on are looked up in ``rows``, (vectors, width)."""

    def __init__(self, known: nn.Embedding, first: int, rows: nn.Parameter) -> None:
        super().__init__()
        self.known, self.first, self.rows = known, first, rows

    @property
    def weight(self) -> Tensor:
        """The weight of the known words, from which text encoders take dtype and device."""
        return self.known.weight

    def forward(self, ids: Tensor) -> Tensor:
        old: Tensor = self.known(ids.clamp_max(self.first - 1))
        new = nn.functional.embedding((ids - self.first).clamp_min(0), self.rows.to(old.dtype))
        return torch.where((ids >= self.first)[..., None], new, old)


@dataclass(frozen=True)
class NewWord:
    """A word that is being learned: ``rows`` are its vectors in each text encoder, in the pipeline's order, each
    (vectors, width); ``tokens`` its tokens in a prompt, to which a pipeline expands ``placeholder``."""

    placeholder: str
    tokens: tuple[str, ...]
    rows: tuple[nn.Parameter, ...]

    def tensors(self) -> dict[str, Tensor]:
        """As ``models.adapters`` loads a word: under its placeholder, or per encoder for Stable Diffusion XL."""
        names = (self.placeholder,) if len(self.rows) == 1 else ("clip_l", "clip_g")
        return {name: row.detach().float().cpu().clone() for name, row in zip(names, self.rows, strict=True)}


@contextmanager
def learning(pipe: Any, placeholder: str, vectors: int, initializer: str | None, seed: int) -> Iterator[NewWord]:
    """A block in which the pipeline knows the word: prompts with it can be encoded, and its vectors be learned.

    Raises:
        InvalidSetting: the placeholder is a word already, or the initializer holds no word.
        ModelError: the pipeline takes no new words.
    """
    encoders = word_encoders(pipe)
    if not encoders or not hasattr(pipe, "load_textual_inversion") or getattr(pipe, "unet", None) is None:
        raise ModelError(f"{type(pipe).__name__} learns no words; use a Stable Diffusion 1.x, 2.x or XL model")
    tokens = (placeholder, *(f"{placeholder}_{index}" for index in range(1, vectors)))
    rows = []
    with ExitStack() as stack:
        for index, (end, tokenizer, encoder) in enumerate(encoders):
            for token in tokens:
                check_unknown(tokenizer, token, "placeholder")
            known = encoder.get_input_embeddings()
            generator = torch.Generator().manual_seed(seed + index)
            row = nn.Parameter(_start(tokenizer, known.weight.detach(), vectors, initializer, generator))
            rows.append(row)
            stack.enter_context(_known(pipe, end, tokenizer, encoder, tokens, row))
        yield NewWord(placeholder, tokens, tuple(rows))


def check_room(pipe: Any, word: NewWord, captions: Sequence[str]) -> None:
    """See that no caption is cut off before its word ends.

    Raises:
        InvalidSetting: one is.
    """
    most = pipe.tokenizer.model_max_length
    for caption in dict.fromkeys(captions):
        text = caption.partition(SLOT)[0] + " ".join(word.tokens)
        length = len(pipe.tokenizer(text, truncation=False, verbose=False).input_ids)
        if length > most:
            remedy = f"before the word ends it has {length} tokens, the model reads {most}"
            raise InvalidSetting("captions", caption, f"{remedy}; use fewer vectors or a shorter caption")


@contextmanager
def _known(
    pipe: Any, end: str, tokenizer: Any, encoder: Any, tokens: tuple[str, ...], row: nn.Parameter
) -> Iterator[None]:
    longer, known = deepcopy(tokenizer), encoder.get_input_embeddings()
    longer.add_tokens(list(tokens))
    setattr(pipe, f"tokenizer{end}", longer)
    encoder.set_input_embeddings(WithNewRows(known, len(tokenizer), row))
    try:
        yield
    finally:
        setattr(pipe, f"tokenizer{end}", tokenizer)
        encoder.set_input_embeddings(known)


def _start(tokenizer: Any, weight: Tensor, vectors: int, initializer: str | None, generator: torch.Generator) -> Tensor:
    """(vectors, width) float32: the initializer's own vectors in turn, or the mean of all words; no two the same."""
    spread = weight.float().std(dim=0)
    noise = torch.randn((vectors, weight.shape[1]), generator=generator).to(weight.device) * spread
    if initializer is None:
        return weight.float().mean(dim=0) + noise
    ids = tokenizer(initializer, add_special_tokens=False).input_ids
    if not ids:
        raise InvalidSetting(
            "initializer", initializer, "the model's tokenizer finds no word in it; give one, as in car"
        )
    start = torch.stack([weight[ids[index % len(ids)]].float() for index in range(vectors)])
    # Vectors that repeat a word would stay equal but for their places.
    repeats = torch.arange(vectors, device=weight.device)[:, None] >= len(ids)
    return start + 0.1 * noise * repeats
