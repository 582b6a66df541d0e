"""Learned tokens: for one class the pair of embeddings by which attention finds it best, and how it was learned.

The pair is a start token, which gets the pixels that are not the class, and the class token (OVAM's token optimisation,
Marcos-Manchon et al. 2024), both as the model's text encoder would give them. ``token_training`` learns it from a few
masks; ``token_contest`` finds it in any other image, and ``calibration`` gives its threshold. This module stores it:
one safetensors file per token, in a folder of named tokens (``generator.models.token_files``). Knows no images.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from diffucurate.generator.attention.class_tokens.calibration import Calibration
from diffucurate.generator.attention.families import Family
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.errors import ModelError
from diffucurate.generator.files.atomic import write_bytes
from diffucurate.generator.models.token_files import existing_token

#: Version of the file's format.
_FORMAT = "diffucurate-token-1"

_CALIBRATIONS = ("calibration", "contrasted")


@dataclass(frozen=True)
class Provenance:
    """How a token was learned.

    Attributes:
        model: what the pipeline was loaded from.
        fingerprint: of the model's layers, see ``fingerprint``.
        samples: the images and masks, by id or path.
        rivals: the classes that were learned along with it.
        timesteps: the noise steps at which the images were denoised.
        seed: of the noise.
        optimiser: with its settings, in words.
        loss: at the end, of all classes that were learned together.
        iou: of the class in the images it was learned from, all pixels together, at the maps' own size; in [0, 1].
        made: when, ISO 8601 in UTC.
    """

    model: str
    fingerprint: str
    samples: tuple[str, ...]
    rivals: tuple[str, ...]
    timesteps: tuple[int, ...]
    seed: int
    optimiser: str
    loss: float
    iou: float
    made: str


@dataclass(frozen=True, eq=False)
class ClassToken:
    """A learned token.

    Attributes:
        label: the class it finds.
        embedding: (2, channels) float32, the start token and the class token.
        provenance: how it was learned.
        calibration: its learned threshold, from the same masks; None where a token comes from a file without one.
        contrasted: the same for maps with contrast.

    Raises:
        ModelError: an embedding of another shape or dtype, or with numbers that are not finite.
    """

    label: str
    embedding: Tensor
    provenance: Provenance
    calibration: Calibration | None = None
    contrasted: Calibration | None = None

    def __post_init__(self) -> None:
        shape, dtype = tuple(self.embedding.shape), self.embedding.dtype
        if len(shape) != 2 or shape[0] != 2 or dtype != torch.float32:
            raise ModelError(
                f"token of '{self.label}' is {dtype} {shape}, expected float32 (2, channels); learn it again"
            )
        if not bool(self.embedding.isfinite().all()):
            raise ModelError(f"token of '{self.label}' holds numbers that are not finite; learn it again")

    def reading(self, contrast: bool) -> Calibration | None:
        """The calibration of its maps, with contrast or without; the latter where that with contrast was not
        learned."""
        return (self.contrasted if contrast else None) or self.calibration

    def check(self, family: Family) -> None:
        """See that it was learned with a model of these layers.

        Raises:
            ModelError: it was not.
        """
        if self.provenance.fingerprint != fingerprint(family):
            raise ModelError(
                f"the token of '{self.label}' was learned with '{self.provenance.model}', whose layers are not those "
                "of the model that is used; name that model, or learn the token again with this one"
            )

    def save(self, path: Path) -> Path:
        """Write a ``.safetensors`` file, whole or not at all."""
        about = {"format": _FORMAT, "label": self.label, "provenance": asdict(self.provenance)}
        about |= {name: asdict(read) for name in _CALIBRATIONS if (read := getattr(self, name)) is not None}
        content = save({"embedding": self.embedding.contiguous()}, {"token": json.dumps(about)})
        return write_bytes(path, content)

    @classmethod
    def load(cls, path: Path) -> ClassToken:
        """Read what ``save`` wrote.

        Raises:
            ModelError: a file that is missing, of another kind, or broken.
        """
        try:
            with safe_open(path, "pt") as file:
                about = json.loads((file.metadata() or {}).get("token", "{}"))
                if about.get("format") != _FORMAT:
                    raise ModelError(f"'{path}' holds no learned token; give a file that learning a token wrote")
                facts = about["provenance"]
                lists = {name: tuple(value) for name, value in facts.items() if isinstance(value, list)}
                read = {name: Calibration(**about[name]) for name in _CALIBRATIONS if name in about}
                return cls(about["label"], file.get_tensor("embedding"), Provenance(**{**facts, **lists}), **read)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"'{path}' could not be read as a learned token: {error}") from error


def fingerprint(family: Family) -> str:
    """A digest of the model's layers that a token fits: the width of the text states, and the name, heads and width of
    each layer that reads them."""
    layers = family.layers(TraceSettings(blocks=("down", "mid", "up"), depth=(0, 1)))
    shapes = [(name, family.layer(name).heads, family.layer(name).inner_dim) for name in layers]
    return hashlib.sha256(json.dumps([family.channels, shapes]).encode()).hexdigest()[:16]


def find_token(name: str, folder: str | os.PathLike[str] | None = None) -> ClassToken:
    """The token of that name; see ``token_names``.

    Raises:
        InvalidSetting: there is none.
        ModelError: its file is broken.
    """
    return ClassToken.load(existing_token(name, folder))


def embeddings(tokens: Mapping[str, ClassToken]) -> dict[str, Tensor]:
    """Class -> (2, channels), as ``TokenContest`` takes them."""
    return {label: token.embedding for label, token in tokens.items()}
