"""Concepts in Z-Image, whose blocks have one stream: concepts are tokens beside it, with the same weights.

Text passes blocks of its own before those that it shares with the image. So does each concept, as a prompt of its own,
and the mean over its tokens is what comes out of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from diffucurate.generator.attention.capture.processor import turned
from diffucurate.generator.attention.concept_streams.stream import (
    ConceptStream,
    Observed,
    attended,
    heads,
    image_keys,
    normed,
)
from diffucurate.generator.attention.concept_streams.texts import content_places, require

#: Image and text are each filled up to a multiple of so many tokens.
MULTIPLE = 32


class ZImageStream(ConceptStream):
    """The concepts' stream of Z-Image, through the blocks of image and text."""

    _lengths: list[int]
    _places: list[tuple[int, ...]]
    _refined: Tensor | None = None
    _rows: slice
    _tokens: int

    def attention(self, block: Any) -> Any:
        return block.attention

    def encoded(self, concepts: Sequence[str]) -> Tensor:
        """(concepts, tokens, channels), the states of all tokens of each concept's prompt, zeros after them."""
        require(self.pipe.text_encoder, "text", "text_encoder")
        with torch.no_grad():
            texts = self.pipe.encode_prompt(list(concepts), do_classifier_free_guidance=False)[0]
        self._lengths, states = [len(text) for text in texts], pad_sequence(texts, batch_first=True)
        self._places = content_places(self.parts, concepts, states.shape[1])
        return states

    def begin(self, words: Tensor, arguments: Mapping[str, Any], rows: slice) -> Tensor:
        latents = arguments["x"][rows]
        side, (height, width) = arguments.get("patch_size", 2), latents[0].shape[-2:]
        self._rows, self._tokens = rows, filled(prod((height // side, width // side)))
        if self._refined is None:
            texts = zip(words.to(latents[0]), self._lengths, self._places, strict=True)
            self._refined = torch.stack([self._refine(text[:length])[list(own)].mean(0) for text, length, own in texts])
        return self._refined.expand(len(latents), -1, -1)

    def _refine(self, text: Tensor) -> Tensor:
        """(tokens, channels): a prompt's tokens after the blocks of text alone."""
        model, length = self.model, filled(len(text))
        padding = model.cap_pad_token.expand(length - len(text), -1)
        states = torch.cat([model.cap_embedder(text), padding.to(text)])[None]
        places = torch.zeros(length, len(model.axes_dims), dtype=torch.int32, device=text.device)
        places[:, 0] = torch.arange(1, length + 1)
        rotary = model.rope_embedder(places)[None]
        for block in model.context_refiner:
            states = block(states, None, rotary)
        return states[0]

    def step(
        self, block: Any, arguments: Mapping[str, Any], states: Tensor, seen: Observed
    ) -> tuple[Tensor, Tensor, Tensor]:
        attn, rotary = block.attention, arguments["freqs_cis"][self._rows]
        image = seen.of(slice(self._tokens))
        modulation = block.adaLN_modulation(arguments["adaln_input"][self._rows])[:, None]
        scale, gate, scale_after, gate_after = modulation.chunk(4, dim=-1)
        inputs = block.attention_norm1(states) * (1 + scale)
        # The text follows the image.
        first_word = rotary[:, self._tokens : self._tokens + 1]
        query = turned(normed(attn.norm_q, heads(attn, attn.to_q(inputs))), first_word)
        key = turned(normed(attn.norm_k, heads(attn, attn.to_k(inputs))), first_word)
        keys = image_keys(attn, image, rotary[:, : self._tokens])
        output = attended(query, (key, heads(attn, attn.to_v(inputs))), keys)
        states = states + gate.tanh() * block.attention_norm2(attn.to_out[0](output))
        inputs = block.ffn_norm1(states) * (1 + scale_after)
        return states + gate_after.tanh() * block.ffn_norm2(block.feed_forward(inputs)), output, image.output


def filled(tokens: int) -> int:
    """The next multiple of 32."""
    return -(-tokens // MULTIPLE) * MULTIPLE
