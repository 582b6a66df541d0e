"""Concepts in Flux.1 and Stable Diffusion 3: blocks whose norms are modulated by time and the whole prompt.

Concepts are modulated by the image's time and guidance, without a prompt. They stand at position 0, where the rotary
embedding of Flux changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from diffucurate.generator.attention.capture.processor import Rotary
from diffucurate.generator.attention.concept_streams.stream import ConceptStream, Observed, attended_jointly
from diffucurate.generator.attention.concept_streams.texts import content_means, require, t5_states


class _AdaNormStream(ConceptStream):
    """What both have in common."""

    _modulation: Tensor

    def step(
        self, block: Any, arguments: Mapping[str, Any], states: Tensor, seen: Observed
    ) -> tuple[Tensor, Tensor, Tensor]:
        attn, rotary = block.attn, self._rotary(arguments, seen.states.shape[1])
        if getattr(block, "context_pre_only", False):  # the last block, after which there is no text
            output = attended_jointly(attn, block.norm1_context(states, self._modulation), seen, rotary)
            return states, output, seen.output
        normed, gate, shift, scale, gate_after = block.norm1_context(states, emb=self._modulation)
        output = attended_jointly(attn, normed, seen, rotary)
        states = states + gate[:, None] * attn.to_add_out(output)
        normed = block.norm2_context(states) * (1 + scale[:, None]) + shift[:, None]
        return states + gate_after[:, None] * block.ff_context(normed), output, seen.output

    def _rotary(self, arguments: Mapping[str, Any], tokens: int) -> Rotary | None:
        """The rotary embedding of an image's tokens."""
        return None


class FluxStream(_AdaNormStream):
    """The concepts' stream of Flux.1, through its blocks with two streams."""

    def encoded(self, concepts: Sequence[str]) -> Tensor:
        require(self.pipe.text_encoder_2, "T5", "text_encoder_2")
        return t5_states(self.pipe.tokenizer_2, self.pipe.text_encoder_2, concepts)

    def begin(self, words: Tensor, arguments: Mapping[str, Any], rows: slice) -> Tensor:
        latents, pooled = arguments["hidden_states"][rows], arguments["pooled_projections"][rows]
        conditions = [arguments[name] for name in ("timestep", "guidance") if arguments.get(name) is not None]
        times = [1000 * value[rows].to(latents.dtype) for value in conditions]
        self._modulation = self.model.time_text_embed(*times, torch.zeros_like(pooled))
        states = self.model.context_embedder(words.to(arguments["encoder_hidden_states"]))
        return states.expand(latents.shape[0], -1, -1)

    def _rotary(self, arguments: Mapping[str, Any], tokens: int) -> Rotary:
        cosines, sines = (part[-tokens:] for part in arguments["image_rotary_emb"])
        return cosines, sines


class StableDiffusion3Stream(_AdaNormStream):
    """The concepts' stream of Stable Diffusion 3 and 3.5."""

    def encoded(self, concepts: Sequence[str]) -> Tensor:
        pipe = self.pipe
        if pipe.text_encoder_3 is not None:
            return t5_states(pipe.tokenizer_3, pipe.text_encoder_3, concepts)
        require(pipe.text_encoder, "CLIP", "text_encoder")
        with torch.no_grad():
            states = pipe.encode_prompt(list(concepts), None, None, do_classifier_free_guidance=False)[0]
        # The states of the two CLIP encoders stand side by side, so the tokens of one say where both are.
        return content_means(self.parts[:1], concepts, states)

    def begin(self, words: Tensor, arguments: Mapping[str, Any], rows: slice) -> Tensor:
        latents, pooled = arguments["hidden_states"][rows], arguments["pooled_projections"][rows]
        self._modulation = self.model.time_text_embed(arguments["timestep"][rows], torch.zeros_like(pooled))
        states = self.model.context_embedder(words.to(arguments["encoder_hidden_states"]))
        return states.expand(latents.shape[0], -1, -1)
