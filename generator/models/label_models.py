"""Kinds of transformers' models that label or rate images, told by the config.json alone. Loads none of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffucurate.generator.errors import ModelError
from diffucurate.generator.models.names import CONFIG, Place, downloaded, folder_or_hub, read_json


@dataclass(frozen=True)
class ModelKind:
    """A kind of model.

    Attributes:
        noun: what it is called in messages.
        architectures: transformers' classes of it, as ``architectures`` of a config.json has them.
        lack: what a model of another kind does not do.
        examples: hub ids of some that are published, the first of which stands in short messages.
        contains: classes of which a part is such a model -> the class that loads this part.
    """

    noun: str
    architectures: tuple[str, ...]
    lack: str
    examples: tuple[str, ...]
    contains: Mapping[str, str] = field(default_factory=dict)

    def locate(self, model: str) -> Place:
        """The place that a model's name means: a folder that transformers saved one to, or a hub id.

        Raises:
            ModelError: there is no such place, or a folder that holds no model or one of another kind.
        """

        def check(folder: Path) -> None:
            config = read_json(folder / CONFIG)
            if not config:
                raise ModelError(
                    f"'{folder}' holds no {CONFIG} of a model; give a folder that transformers saved a model to"
                )
            self.architecture(model, config)

        return folder_or_hub(self.noun, model, check, self.examples[0])

    def architecture(self, model: str, config: Mapping[str, Any]) -> str:
        """The name of transformers' class that a model's config.json asks for.

        Raises:
            ModelError: it is of another kind.
        """
        name = self.contains.get(_architecture(config), _architecture(config))
        if name not in self.architectures:
            what = f"a {name}" if name else f"of type '{config.get('model_type')}'"
            raise ModelError(f"'{model}' is {what}, which {self.lack}; use one such as {' or '.join(self.examples)}")
        return name

    def downloaded(self) -> list[str]:
        """The hub ids of such models in the local Hugging Face cache, in alphabetical order."""
        return downloaded(CONFIG, lambda path: _architecture(read_json(path)) in (*self.architectures, *self.contains))


#: Models that say how well images and texts go together.
CLIP_MODELS = ModelKind(
    "CLIP model",
    ("CLIPModel",),
    "does not compare images with texts",
    ("openai/clip-vit-base-patch32", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"),
)


def _architecture(config: Mapping[str, Any]) -> str:
    """The first of ``architectures``, empty where a config.json names none."""
    names = config.get("architectures")
    return str(names[0]) if isinstance(names, list) and names else ""


#: Models that find masks of classes of their own.
SEGMENTERS = ModelKind(
    "segmenter",
    (
        "Mask2FormerForUniversalSegmentation",
        "MaskFormerForInstanceSegmentation",
        "OneFormerForUniversalSegmentation",
        "EomtForUniversalSegmentation",
        "EomtDinov3ForUniversalSegmentation",
        "RfDetrForInstanceSegmentation",
        "SegformerForSemanticSegmentation",
    ),
    "finds no masks of classes",
    ("facebook/mask2former-swin-tiny-coco-instance", "tue-mps/coco_panoptic_eomt_large_640"),
)

#: Models that find boxes by phrases.
GROUNDED_DETECTORS = ModelKind(
    "detector",
    ("GroundingDinoForObjectDetection", "Owlv2ForObjectDetection", "OwlViTForObjectDetection"),
    "finds no boxes by phrases",
    ("IDEA-Research/grounding-dino-tiny", "google/owlv2-base-patch16-ensemble"),
)

#: Models that find masks by phrases.
CONCEPT_SEGMENTERS = ModelKind(
    "segmenter",
    ("Sam3Model",),
    "finds no masks by phrases",
    ("facebook/sam3",),
    {"Sam3VideoModel": "Sam3Model"},  # as published: the model of images is the video model's detector
)
