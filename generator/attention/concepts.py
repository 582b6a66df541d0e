"""Concept attention (Helbling et al. 2025): the place of concepts in an image of Flux, whether the prompt names them or
not.

The concepts are a third stream of tokens: in every block they are processed as words are, with the block's own weights,
and attend to each other and to the image, which does not attend to them. An image token belongs to the concept whose
attention output is most similar to its own. The concepts' stream is computed beside the model from the observed outputs
of its layers, so images come out as they would without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from diffucurate.generator.attention.capture.processor import turned
from diffucurate.generator.attention.families import Flux, Pass, family_of, same_context
from diffucurate.generator.attention.families.family import by_depth
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.errors import InvalidSetting, ModelError

#: Tokens that a concept may have.
_LONGEST = 64


class ConceptTrace:
    """Traces one run of a Flux pipeline, or direct calls of its transformer on one batch.

    >>> with ConceptTrace(pipe, {"car": ["car"], "dog": ["dog"]}, background=["sky", "road"]) as trace:
    ...     images = pipe(["a street at night"]).images
    >>> heatmaps = trace.maps()  # one {"car": (h, w) float32, "dog": ...} per image

    Args:
        pipe: a Flux pipeline with its T5 encoder and tokenizer.
        phrases: class -> the phrases that mean it, of which the first is taken as the concept.
        background: concepts that compete for the pixels and get no map.
        settings: ``depth`` says which of the blocks are read and ``noise`` which passes; nothing else applies.

    Raises:
        ModelError: a model of another kind.
        InvalidSetting: fewer than two concepts, which would not compete.
    """

    def __init__(
        self,
        pipe: Any,
        phrases: Mapping[str, Sequence[str]],
        *,
        background: Sequence[str] = ("background",),
        settings: TraceSettings | None = None,
    ) -> None:
        family = family_of(pipe)
        if not isinstance(family, Flux):
            raise ModelError(f"concepts can be traced in Flux models alone, and {type(pipe).__name__} is none")
        if pipe.text_encoder_2 is None:
            raise ModelError(
                "concepts are encoded by the pipeline's T5 encoder (text_encoder_2), which it was left without"
            )
        self._concepts = [words[0] for words in phrases.values()] + list(background)
        if not phrases or len(self._concepts) < 2:
            raise InvalidSetting(
                "concepts", self._concepts, "name at least one class, and two concepts with background"
            )
        self._pipe, self._family, self._labels = pipe, family, list(phrases)
        self._settings = settings or TraceSettings()
        blocks = list(family.model.transformer_blocks)
        names = [str(number) for number in range(len(blocks))]
        self._read = {int(name) for name in by_depth(names, self._settings.depth or family.depth)}
        self._blocks = blocks[: max(self._read) + 1]
        self._handles: list[Any] = []
        self._seen: dict[str, Tensor] = {}
        self._pass: Pass | None = None
        self._arguments: dict[str, Any] = {}
        self._context: Tensor | None = None
        self._words: Tensor | None = None
        self._concept: tuple[Tensor, Tensor] | None = None  # the stream's states and what modulates them
        self._total: Tensor | None = None
        self._size = (0, 0)
        self._counted = 0

    def __enter__(self) -> ConceptTrace:
        self._words = self._encoded()
        model = self._family.model
        self._handles.append(model.register_forward_pre_hook(self._begin_pass, with_kwargs=True))
        for number, block in enumerate(self._blocks):
            self._handles += [
                block.attn.register_forward_pre_hook(self._keep_states, with_kwargs=True),
                block.attn.to_k.register_forward_hook(self._keep("key")),
                block.attn.to_v.register_forward_hook(self._keep("value")),
                block.attn.to_out[0].register_forward_pre_hook(self._keep_output),
                block.register_forward_hook(self._ride(number), with_kwargs=True),
            ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._seen.clear()

    def maps(self) -> list[dict[str, NDArray[np.float32]]]:
        """One mapping class -> map per image, (h, w) float32: its share of each pixel among all concepts, 0 to 1.

        Raises:
            ModelError: nothing was traced.
        """
        if self._total is None:
            raise ModelError("nothing was traced: call the pipeline inside the trace's `with` block")
        maps = (self._total / (self._counted * len(self._read))).unflatten(-1, self._size).cpu().numpy()
        return [dict(zip(self._labels, image, strict=False)) for image in maps]

    @torch.no_grad()
    def _encoded(self) -> Tensor:
        """(concepts, channels): each concept's T5 states, encoded apart from the others, the mean over its tokens."""
        tokenizer, encoder = self._pipe.tokenizer_2, self._pipe.text_encoder_2
        tokens = tokenizer(
            self._concepts, padding="max_length", max_length=_LONGEST, truncation=True, return_tensors="pt"
        )
        states = encoder(tokens.input_ids.to(encoder.device))[0]
        content = (tokens.attention_mask.bool() & (tokens.input_ids != tokenizer.eos_token_id)).to(states)[..., None]
        return (states * content).sum(dim=1) / content.sum(dim=1)

    @torch.no_grad()
    def _begin_pass(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._arguments = self._family.named(args, kwargs)
        current = self._family.read_pass(self._arguments)
        if self._context is None:
            self._context = current.context
        counts = same_context(current.context, self._context) and current.within(self._settings.noise)
        self._pass, self._concept = (current if counts else None), None
        self._counted += counts

    def _keep(self, name: str) -> Callable[[Any, Any, Tensor], None]:
        def hook(module: Any, args: Any, output: Tensor) -> None:
            self._seen[name] = output

        return hook

    def _keep_output(self, module: Any, args: tuple[Tensor, ...]) -> None:
        self._seen["output"] = args[0]

    def _keep_states(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._seen = {"states": kwargs["hidden_states"]}

    def _ride(self, number: int) -> Callable[[Any, Any, dict[str, Any], Any], None]:
        """A hook that computes the concepts' stream in one block, after the image's."""

        @torch.no_grad()
        def ride(block: Any, args: Any, kwargs: dict[str, Any], output: Any) -> None:
            current = self._pass
            if current is None:
                return
            states, modulation = self._concept or self._boarded()
            normed, gate, shift, scale, gate_after = block.norm1_context(states, emb=modulation)
            attended = self._attend(block.attn, normed, kwargs["image_rotary_emb"])
            if number in self._read:
                self._add(attended, current)
            states = states + gate[:, None] * block.attn.to_add_out(attended)
            normed = block.norm2_context(states) * (1 + scale[:, None]) + shift[:, None]
            self._concept = states + gate_after[:, None] * block.ff_context(normed), modulation

        return ride

    def _boarded(self) -> tuple[Tensor, Tensor]:
        """The concepts before the first block, (rows, concepts, channels), and their modulation: time and guidance as
        the image's, without a prompt."""
        model, arguments = self._family.model, self._arguments
        latents, pooled = arguments["hidden_states"], arguments["pooled_projections"]
        if self._words is None:
            raise ModelError("the concepts are encoded when the trace is entered: use it in a `with` statement")
        words = model.context_embedder(self._words.to(arguments["encoder_hidden_states"]))
        conditions = [arguments[name] for name in ("timestep", "guidance") if arguments.get(name) is not None]
        times = [1000 * value.to(latents.dtype) for value in conditions]
        return words.expand(latents.shape[0], -1, -1), model.time_text_embed(*times, torch.zeros_like(pooled))

    def _attend(self, attn: Any, concepts: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """(rows, concepts, channels): the attention output of the concepts, over themselves and the image."""

        def heads(projected: Tensor) -> Tensor:
            return projected.unflatten(-1, (attn.heads, -1)).transpose(1, 2)

        image = self._seen["states"]
        key = self._seen["key"] if "key" in self._seen else attn.to_k(image)  # fused projections
        value = self._seen["value"] if "value" in self._seen else attn.to_v(image)
        cosines, sines = (part[-image.shape[1] :] for part in rotary)
        image_key = turned(attn.norm_k(heads(key)), (cosines, sines))
        # Words and concepts are all at position 0, where the rotary embedding is the identity.
        query = attn.norm_added_q(heads(attn.add_q_proj(concepts)))
        key = torch.cat([attn.norm_added_k(heads(attn.add_k_proj(concepts))), image_key], dim=2)
        value = torch.cat([heads(attn.add_v_proj(concepts)), heads(value)], dim=2)
        return functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)

    def _add(self, concepts: Tensor, current: Pass) -> None:
        self._size = current.grids[current.latents.shape[1]].size
        image = self._seen["output"][:, : prod(self._size)]
        shares = (concepts.float() @ image.float().transpose(1, 2)).softmax(dim=1)
        self._total = shares if self._total is None else self._total + shares
