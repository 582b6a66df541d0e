"""Attribution of pixels to something else than the caption: any text, or learned tokens.

The model paints its caption; the place of a class can be found by other words. The pixels' queries are combined with
the keys that each layer makes of other text-encoder states: of a text that names the classes (Dataset Diffusion), of
any word after painting (OVAM), of a learned pair of start and class token (OVAM's token optimisation). That needs text
states that the layers only read, as cross-attention does. Where image and text are one sequence, the text changes with
the image from block to block, so states from outside would be unlike the model's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import lcm
from typing import Any, ClassVar

import torch
from torch import Tensor

from diffucurate.generator.attention.capture.encoders import Encoders, mentions
from diffucurate.generator.attention.capture.maps import AttentionAccumulator, MapGrid
from diffucurate.generator.attention.capture.processor import CROSS, text_keys
from diffucurate.generator.attention.capture.tokens import PromptTokens
from diffucurate.generator.attention.families import Family, family_of
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.errors import InvalidSetting, ModelError


@dataclass(frozen=True)
class Group:
    """Tokens that share each pixel's attention among themselves.

    Attributes:
        states: (rows, tokens, channels) text-encoder states: one row for all images, or one per prompt.
        tokens: the positions of the classes in each row.
        mask: (rows, tokens) bool, which tokens can be attended to; None for all of them.
    """

    states: Tensor
    tokens: tuple[PromptTokens, ...]
    mask: Tensor | None = None


@dataclass(frozen=True)
class Attribution:
    """Groups of tokens that compete for the pixels in place of the caption, with a softmax within each group.

    A class that several groups hold has the mean over its tokens in all of them. Attributions are put together
    with ``+``: some classes by text, others by learned tokens.

    Attributes:
        groups: at least one. Those of several rows have the same number of them.
        classes: all classes that are asked for; a text may not mention each of them.

    Raises:
        InvalidSetting: no groups, or groups that do not fit together.
    """

    #: Whether products of queries and keys are read, of which no aggregation is known.
    products: ClassVar[bool] = False

    groups: tuple[Group, ...]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        shapes = [tuple(group.states.shape) for group in self.groups]
        if not shapes or any(len(shape) != 3 for shape in shapes) or len({shape[2] for shape in shapes}) > 1:
            raise InvalidSetting("attribution", shapes, "use groups of (rows, tokens, channels), channels alike")
        if len({shape[0] for shape in shapes} - {1}) > 1:
            raise InvalidSetting("attribution", shapes, "use one row for all images, or the same number in all groups")

    @classmethod
    def from_text(
        cls, pipe: Any, text: str | Sequence[str], phrases: Mapping[str, Sequence[str]] | Sequence[Mapping[str, Any]]
    ) -> Attribution:
        """The words of a text, as the pipeline's own encoders read it.

        Args:
            pipe: a pipeline with cross-attention (Stable Diffusion 1.x, 2.x, XL, PixArt) and its text encoders.
            text: one for all images, such as "car, bus, person", or one per prompt.
            phrases: class -> the phrases that mean it in the text, one mapping for all texts or one per text. A class
                that a text does not mention gets no map from it.

        Raises:
            ModelError: a model without cross-attention of its own, or without its text encoders.
            InvalidSetting: no text, or another number of mappings than of texts.
        """
        family = attributable(pipe)
        texts = [text] if isinstance(text, str) else list(text)
        asked = [phrases] * len(texts) if isinstance(phrases, Mapping) else list(phrases)
        if not texts or len(asked) != len(texts):
            raise InvalidSetting(
                "text", texts, f"give at least one text, and phrases for each (there are {len(asked)})"
            )
        encoders = Encoders(family.parts(), None)
        if not encoders.whole:
            raise ModelError(
                f"{type(pipe).__name__} was left without a text encoder, so no text can be attributed; "
                "load it whole, or use Attribution.from_embeddings"
            )
        encoders.listen()
        try:
            states, mask = family.encode(texts)
            tokens = mentions(encoders.painted(states, False), asked, states.shape[1])
        finally:
            encoders.release()
        labels = dict.fromkeys(label for each in asked for label in each)
        return cls((Group(states, tuple(tokens), mask),), tuple(labels))

    @classmethod
    def from_embeddings(cls, embeddings: Mapping[str, Tensor]) -> Attribution:
        """Tokens that were learned, a group for each class.

        Args:
            embeddings: class -> (k, channels) states as a text encoder would give them: row 0 gets the pixels that are
                not the class (the start token, or a learned background), the others mean the class.

        Raises:
            InvalidSetting: fewer than two rows, or other dimensions.
        """
        groups = []
        for label, states in embeddings.items():
            if states.ndim != 2 or states.shape[0] < 2:
                raise InvalidSetting(
                    f"embeddings.{label}", tuple(states.shape), "use (k, channels) with k of at least 2"
                )
            rows = range(states.shape[0])
            # Row 0 counts as content, so that the settings do not drop it: it must compete with the class token.
            groups.append(Group(states[None], (PromptTokens({label: tuple(rows[1:])}, tuple(rows)),)))
        return cls(tuple(groups), tuple(embeddings))

    def __add__(self, other: Attribution) -> Attribution:
        return Attribution(self.groups + other.groups, tuple(dict.fromkeys(self.classes + other.classes)))

    @property
    def rows(self) -> int:
        """The number of prompts it is for, 1 where it is the same for all."""
        return lcm(*(group.states.shape[0] for group in self.groups))

    @property
    def channels(self) -> int:
        """The width of its states."""
        return int(self.groups[0].states.shape[2])

    def sums(self, images: int, settings: TraceSettings) -> AttentionAccumulator:
        """The accumulator of the attention to these tokens in a batch of images.

        Raises:
            ModelError: a number of images that is no multiple of the rows.
        """
        if images % self.rows:
            raise ModelError(f"the attribution is for {self.rows} prompts, which {images} images cannot be of")
        groups = [[group.tokens[self._row(group, image, images)] for image in range(images)] for group in self.groups]
        return AttentionAccumulator(groups, [group.states.shape[1] for group in self.groups], settings)

    def absent(self, images: int) -> list[tuple[str, ...]]:
        """The classes that each image's texts do not mention."""
        return [
            tuple(
                label
                for label in self.classes
                if all(label not in group.tokens[self._row(group, image, images)].classes for group in self.groups)
            )
            for image in range(images)
        ]

    @staticmethod
    def _row(group: Group, image: int, images: int) -> int:
        return image * len(group.tokens) // images


class Keys:
    """The keys that the layers of a model make of an attribution's states, each layer's made when first asked for."""

    def __init__(self, attribution: Attribution, family: Family, images: int) -> None:
        """Raises ModelError where the states are not as wide as the model's text encoders make them."""
        if attribution.channels != family.channels:
            raise ModelError(
                f"the attribution's states have {attribution.channels} channels and {type(family.pipe).__name__} reads "
                f"{family.channels}; encode the text, or learn the tokens, with this model"
            )
        self._attribution, self._family, self._images = attribution, family, images
        self._made: dict[str, Tensor] = {}
        self._mask = self._masked()

    def add(
        self,
        sums: AttentionAccumulator,
        layer: str,
        grid: MapGrid,
        query: Tensor,
        scale: float,
        by_head: Tensor | None = None,
    ) -> None:
        """Add one layer's attention of one pass, (images, heads, pixels, width) queries, to ``Attribution.sums``; the
        heads count as ``AttentionAccumulator.add`` has them."""
        mask = None if self._mask is None else self._mask.to(query.device)
        sums.add(layer, grid, query, self.of(layer).to(query.device), mask, scale, by_head=by_head)

    def of(self, layer: str) -> Tensor:
        """(images, heads, tokens, width): all groups' tokens one after the other."""
        if layer not in self._made:
            attn = self._family.layer(layer)
            place = {"device": self._family.device_of(attn), "dtype": self._family.model.dtype}
            states = torch.cat([self._rows(group.states.to(**place)) for group in self._attribution.groups], dim=1)
            keys = text_keys(attn, self._family.text_states(states))
            self._made[layer] = keys.repeat_interleave(self._images // keys.shape[0], dim=0)
        return self._made[layer]

    def _rows(self, rows: Tensor) -> Tensor:
        return rows.expand(self._attribution.rows, *rows.shape[1:])

    def _masked(self) -> Tensor | None:
        """(images, 1, tokens), to be added to the scores; None where every token can be attended to."""
        groups = self._attribution.groups
        if all(group.mask is None for group in groups):
            return None
        masks = [
            torch.ones(group.states.shape[:2]) if group.mask is None else group.mask.float().cpu() for group in groups
        ]
        joined = torch.cat([self._rows(mask) for mask in masks], dim=1)
        return ((joined - 1) * 10000.0)[:, None].repeat_interleave(self._images // joined.shape[0], dim=0)


def attributable(pipe: Any) -> Family:
    """The family of a pipeline whose pixels can be attributed by any text.

    Raises:
        ModelError: a pipeline of no family that can be traced, or one in which image and text are one sequence.
    """
    family = family_of(pipe)
    if family.reading is not CROSS:
        raise ModelError(
            f"{type(pipe).__name__} changes its text along with the image, so its pixels cannot be attributed by "
            "another one; use concept attention (ConceptTrace)"
        )
    return family
