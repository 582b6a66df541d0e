"""Concepts in Flux.2, through its blocks with two streams, whose modulation by time and guidance is the same in all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from diffucurate.generator.attention.concept_streams.stream import ConceptStream, Observed, attended_jointly
from diffucurate.generator.attention.concept_streams.texts import content_means, require


class Flux2Stream(ConceptStream):
    """The concepts' stream of Flux.2. The first word's position is 0, where the rotary embedding changes nothing."""

    _modulation: tuple[Tensor, ...]

    def encoded(self, concepts: Sequence[str]) -> Tensor:
        require(self.pipe.text_encoder, "text", "text_encoder")
        with torch.no_grad():
            states = self.pipe.encode_prompt(list(concepts), self.pipe._execution_device)[0]
        return content_means(self.parts, concepts, states)

    def begin(self, words: Tensor, arguments: Mapping[str, Any], rows: slice) -> Tensor:
        latents, model = arguments["hidden_states"][rows], self.model
        conditions = (arguments["timestep"], arguments.get("guidance"))
        times = [None if value is None else 1000 * value[rows].to(latents.dtype) for value in conditions]
        modulation = model.double_stream_modulation_txt(model.time_guidance_embed(*times))
        self._modulation = modulation[:, None].chunk(6, dim=-1)
        return model.context_embedder(words.to(arguments["encoder_hidden_states"])).expand(latents.shape[0], -1, -1)

    def step(
        self, block: Any, arguments: Mapping[str, Any], states: Tensor, seen: Observed
    ) -> tuple[Tensor, Tensor, Tensor]:
        shift, scale, gate, shift_after, scale_after, gate_after = self._modulation
        cosines, sines = (part[-seen.states.shape[1] :] for part in arguments["image_rotary_emb"])
        normed = block.norm1_context(states) * (1 + scale) + shift
        output = attended_jointly(block.attn, normed, seen, (cosines, sines))
        states = states + gate * block.attn.to_add_out(output)
        normed = block.norm2_context(states) * (1 + scale_after) + shift_after
        return states + gate_after * block.ff_context(normed), output, seen.output
