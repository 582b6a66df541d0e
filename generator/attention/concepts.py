"""Concept attention (Helbling et al. 2025): the place of concepts in an image, whether the prompt names them or not, by
models in which text and image are one sequence.

The concepts are a stream of tokens beside the model's own (``concept_streams``). An image token belongs to the concept
whose attention output is most similar to its own. The concepts' stream is computed beside the model from the observed
outputs of its layers, so images come out as they would without it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffucurate.generator.attention.concept_streams.stream import Observed
from diffucurate.generator.attention.families import Pass, family_of, same_context
from diffucurate.generator.attention.families.family import by_depth
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.errors import InvalidSetting, ModelError


class ConceptTrace:
    """Traces one run of a pipeline, or direct calls of its transformer on one batch.

    >>> with ConceptTrace(pipe, {"car": ["car"], "dog": ["dog"]}, background=["sky", "road"]) as trace:
    ...     images = pipe(["a street at night"]).images
    >>> heatmaps = trace.maps()  # one {"car": (h, w) float32, "dog": ...} per image

    Args:
        pipe: a Stable Diffusion 3 or 3.5, Flux.1, Flux.2, Qwen-Image or Z-Image pipeline with its text encoder; of
            Flux.1 that is T5, and of Stable Diffusion 3 too where it was not left out.
        phrases: class -> the phrases that mean it, of which the first is taken as the concept.
        background: concepts that compete for the pixels and get no map.
        settings: ``depth`` says which of the blocks are read and ``noise`` which passes; nothing else applies. By
            default the blocks that the family's words are read in (``attention.families``).

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
        self._stream = family.concepts()
        self._concepts = [words[0] for words in phrases.values()] + list(background)
        if not phrases or len(self._concepts) < 2:
            raise InvalidSetting(
                "concepts", self._concepts, "name at least one class, and two concepts with background"
            )
        self._family, self._labels = family, list(phrases)
        self._settings = settings or TraceSettings()
        names = [str(number) for number in range(len(self._stream.blocks))]
        depth = self._settings.depth or family.depth
        assert depth is not None  # of all families with concepts
        self._read = {int(name) for name in by_depth(names, depth)}
        self._handles: list[Any] = []
        self._seen: dict[str, Tensor] = {}
        self._rows: slice | None = None  # of the images in this pass, None where it does not count
        self._pass: Pass | None = None
        self._arguments: dict[str, Any] = {}
        self._context: Tensor | None = None  # of the images in the first pass
        self._words: Tensor | None = None
        self._states: Tensor | None = None  # of the concepts
        self._total: Tensor | None = None
        self._size = (0, 0)
        self._counted = 0

    def __enter__(self) -> ConceptTrace:
        self._words = self._stream.encoded(self._concepts)
        model = self._family.model
        self._handles.append(model.register_forward_pre_hook(self._begin_pass, with_kwargs=True))
        for number, block in enumerate(self._stream.blocks[: max(self._read) + 1]):
            attn = self._stream.attention(block)
            self._handles += [
                attn.register_forward_pre_hook(self._keep_states, with_kwargs=True),
                attn.to_k.register_forward_hook(self._keep("key")),
                attn.to_v.register_forward_hook(self._keep("value")),
                attn.to_out[0].register_forward_pre_hook(self._keep_output),
                block.register_forward_hook(self._step(number), with_kwargs=True),
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
    def _begin_pass(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._rows = self._states = None
        self._arguments = self._family.named(args, kwargs)
        current = self._pass = self._family.read_pass(self._arguments)
        if current is None:
            return
        if self._context is None:
            count = current.latents.shape[0]
            images = count // 2 if self._family.guided(current.latents, 1) else count
            self._context = current.context[self._family.rows_of_images(count, images)]
        rows = self._family.rows_of_images(current.latents.shape[0], self._context.shape[0])
        counts = same_context(current.context[rows], self._context) and current.within(self._settings.noise)
        self._rows = rows if counts else None
        self._counted += counts

    def _keep(self, name: str) -> Callable[[Any, Any, Tensor], None]:
        def hook(module: Any, args: Any, output: Tensor) -> None:
            self._seen[name] = output

        return hook

    def _keep_output(self, module: Any, args: tuple[Tensor, ...]) -> None:
        self._seen["output"] = args[0]

    def _keep_states(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._seen = {"states": args[0] if args else kwargs["hidden_states"]}

    def _step(self, number: int) -> Callable[[Any, Any, dict[str, Any], Any], None]:
        """A hook that computes the concepts' stream in one block, after the image's."""

        @torch.no_grad()
        def step(block: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            rows = self._rows
            if rows is None:
                return
            # Not before the first block: where a model's weights are brought as they are needed, they are here now.
            states = self._begun(rows) if self._states is None else self._states
            names = list(inspect.signature(type(block).forward).parameters)[1:]
            inputs = {**dict(zip(names, args, strict=False)), **kwargs}
            seen = {name: tensor[rows] for name, tensor in self._seen.items()}
            observed = Observed(seen["states"], seen["output"], seen.get("key"), seen.get("value"))
            self._states, concepts, image = self._stream.step(block, inputs, states, observed)
            if number in self._read:
                self._add(concepts, image)

        return step

    def _begun(self, rows: slice) -> Tensor:
        if self._words is None:
            raise ModelError("the concepts are encoded when the trace is entered: use it in a `with` statement")
        return self._stream.begin(self._words, self._arguments, rows)

    def _add(self, concepts: Tensor, image: Tensor) -> None:
        """Add the shares of concepts in each of the painted image's pixels, by their attention outputs in a block."""
        assert self._pass is not None
        ((_, grid), *_) = self._pass.grids.items()
        self._size = grid.size
        shares = (concepts.float() @ image[:, : prod(grid.size)].float().transpose(1, 2)).softmax(dim=1)
        self._total = shares if self._total is None else self._total + shares
