"""Concepts in Qwen-Image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from diffucurate.generator.attention.concept_streams.stream import ConceptStream, Observed, attended_jointly
from diffucurate.generator.attention.concept_streams.texts import content_means, require


class QwenImageStream(ConceptStream):
    """The concepts' stream of Qwen-Image."""

    def encoded(self, concepts: Sequence[str]) -> Tensor:
        require(self.pipe.text_encoder, "text", "text_encoder")
        with torch.no_grad():
            states = self.pipe.encode_prompt(list(concepts), self.pipe._execution_device)[0]
        return content_means(self.parts, concepts, states)

    def begin(self, words: Tensor, arguments: Mapping[str, Any], rows: slice) -> Tensor:
        states = self.model.txt_in(self.model.txt_norm(words.to(arguments["encoder_hidden_states"])))
        return states.expand(arguments["hidden_states"][rows].shape[0], -1, -1)

    def step(
        self, block: Any, arguments: Mapping[str, Any], states: Tensor, seen: Observed
    ) -> tuple[Tensor, Tensor, Tensor]:
        image, text = arguments["image_rotary_emb"]
        # Of an editing model the second half modulates the images that are edited.
        time = arguments["temb"][: states.shape[0]]
        shift, scale, gate, shift_after, scale_after, gate_after = block.txt_mod(time)[:, None].chunk(6, dim=-1)
        normed = block.txt_norm1(states) * (1 + scale) + shift
        output = attended_jointly(block.attn, normed, seen, image, text[:1])
        states = states + gate * block.attn.to_add_out(output)
        normed = block.txt_norm2(states) * (1 + scale_after) + shift_after
        return states + gate_after * block.txt_mlp(normed), output, seen.output
