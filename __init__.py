"""Diffucurate: labelled image datasets from diffusion models, curated in FiftyOne.

``import diffucurate as dc`` is light: a name imports its module when it is first used. Verbs, errors, settings, results
and what label sources and traces are made of stand here; ``__all__`` lists them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffucurate.generator.attention.class_tokens.class_tokens import ClassToken
    from diffucurate.generator.attention.concepts import ConceptTrace
    from diffucurate.generator.attention.settings import QuerySettings, TraceSettings
    from diffucurate.generator.attention.trace.attribution import Attribution
    from diffucurate.generator.attention.trace.trace import AttentionTrace
    from diffucurate.generator.captions.config import Captions
    from diffucurate.generator.detection.results import TrainedAdapter
    from diffucurate.generator.detection.settings import AdapterSettings
    from diffucurate.generator.errors import (
        BlackedOutError,
        DatasetError,
        DiffucurateError,
        ExportError,
        ImageError,
        InvalidSetting,
        LabelError,
        ModelError,
        RecipeError,
    )
    from diffucurate.generator.expansion.expand import CaptionExpansion, expand_captions
    from diffucurate.generator.fusion.settings import FusionSettings
    from diffucurate.generator.inversion.settings import Inversion, LowRank
    from diffucurate.generator.inversion.training import TrainResult
    from diffucurate.generator.labels.model import Instance, Labels
    from diffucurate.generator.labels.settings import (
        AdapterLabelSettings,
        GroundingSettings,
        LabelSettings,
        Mask2FormerSettings,
        Sam3Settings,
        SourceSettings,
        YoloSettings,
        ZooSettings,
    )
    from diffucurate.generator.progress import Progress
    from diffucurate.generator.recipe.amount import RandomSeeds, Sample
    from diffucurate.generator.recipe.augment_config import Augmentation
    from diffucurate.generator.recipe.canvas_config import CanvasConfig
    from diffucurate.generator.recipe.guide import GuideTarget
    from diffucurate.generator.recipe.init_image_config import InitImages, Objects
    from diffucurate.generator.recipe.layout_config import LayoutConfig
    from diffucurate.generator.recipe.model_options import Lora, ModelOptions, TextualInversion
    from diffucurate.generator.recipe.recipe import Recipe
    from diffucurate.generator.segmenters.results import SegmenterFigures, TrainedSegmenter
    from diffucurate.generator.segmenters.settings import SegmenterSettings
    from diffucurate.generator.sources.protocol import LabelSource
    from diffucurate.generator.sources.registry import register as register_source
    from diffucurate.generator.sources.spec import SourceSpec
    from diffucurate.plugin.augmentation.augment import augment
    from diffucurate.plugin.cluster.engine import RayEngine
    from diffucurate.plugin.comparison.compare import Comparison, compare
    from diffucurate.plugin.curation.curate import UndoResult, curate, undo_curation
    from diffucurate.plugin.curation.rules import Rules
    from diffucurate.plugin.detection.train import train_adapter
    from diffucurate.plugin.evaluation.evaluate import ClassScore, Evaluation, evaluate
    from diffucurate.plugin.exporting.export import export
    from diffucurate.plugin.exporting.summary import ExportSummary
    from diffucurate.plugin.fusion.fuse import Fusion, fuse
    from diffucurate.plugin.generation.generate import generate
    from diffucurate.plugin.generation.img2img_inpaint import img2img, inpaint
    from diffucurate.plugin.generation.mask2img import mask2img
    from diffucurate.plugin.generation.regenerate import regenerate
    from diffucurate.plugin.generation.repaint import RepaintResult, repaint
    from diffucurate.plugin.labelling.label import label
    from diffucurate.plugin.mosaics.mosaic import mosaic
    from diffucurate.plugin.provenance.provenance import Provenance, provenance
    from diffucurate.plugin.quality.assess import Assessment, assess
    from diffucurate.plugin.reporting.report import ReportSummary, report
    from diffucurate.plugin.review.items import ReviewItem
    from diffucurate.plugin.review.review import ReviewCounts, ReviewQueue, review
    from diffucurate.plugin.segmenters.train import train_segmenter
    from diffucurate.plugin.segmenters.weaknesses import NextRound, Weakness, generate_more
    from diffucurate.plugin.store.matches import ComparisonRow, ConfusionMatrix
    from diffucurate.plugin.tokens.optimize import learn_token
    from diffucurate.plugin.tokens.train import train_token

__version__ = "0.1.0"

__all__ = [
    "AdapterLabelSettings",
    "AdapterSettings",
    "Assessment",
    "AttentionTrace",
    "Attribution",
    "Augmentation",
    "BlackedOutError",
    "CanvasConfig",
    "CaptionExpansion",
    "Captions",
    "ClassScore",
    "ClassToken",
    "Comparison",
    "ComparisonRow",
    "ConceptTrace",
    "ConfusionMatrix",
    "DatasetError",
    "DiffucurateError",
    "Evaluation",
    "ExportError",
    "ExportSummary",
    "Fusion",
    "FusionSettings",
    "GroundingSettings",
    "GuideTarget",
    "ImageError",
    "InitImages",
    "Instance",
    "InvalidSetting",
    "Inversion",
    "LabelError",
    "LabelSettings",
    "LabelSource",
    "Labels",
    "LayoutConfig",
    "Lora",
    "LowRank",
    "Mask2FormerSettings",
    "ModelError",
    "ModelOptions",
    "NextRound",
    "Objects",
    "Progress",
    "Provenance",
    "QuerySettings",
    "RandomSeeds",
    "RayEngine",
    "Recipe",
    "RecipeError",
    "RepaintResult",
    "ReportSummary",
    "ReviewCounts",
    "ReviewItem",
    "ReviewQueue",
    "Rules",
    "Sam3Settings",
    "Sample",
    "SegmenterFigures",
    "SegmenterSettings",
    "SourceSettings",
    "SourceSpec",
    "TextualInversion",
    "TraceSettings",
    "TrainResult",
    "TrainedAdapter",
    "TrainedSegmenter",
    "UndoResult",
    "Weakness",
    "YoloSettings",
    "ZooSettings",
    "assess",
    "augment",
    "compare",
    "curate",
    "evaluate",
    "expand_captions",
    "export",
    "fuse",
    "generate",
    "generate_more",
    "img2img",
    "inpaint",
    "label",
    "learn_token",
    "mask2img",
    "mosaic",
    "provenance",
    "regenerate",
    "register_source",
    "repaint",
    "report",
    "review",
    "train_adapter",
    "train_segmenter",
    "train_token",
    "undo_curation",
]

#: Public name -> the module that holds it, below this package.
_HOMES = {
    "AdapterLabelSettings": "generator.labels.settings",
    "AdapterSettings": "generator.detection.settings",
    "Assessment": "plugin.quality.assess",
    "AttentionTrace": "generator.attention.trace.trace",
    "Augmentation": "generator.recipe.augment_config",
    "Attribution": "generator.attention.trace.attribution",
    "CaptionExpansion": "generator.expansion.expand",
    "CanvasConfig": "generator.recipe.canvas_config",
    "Captions": "generator.captions.config",
    "ClassScore": "plugin.evaluation.evaluate",
    "ClassToken": "generator.attention.class_tokens.class_tokens",
    "Comparison": "plugin.comparison.compare",
    "ComparisonRow": "plugin.store.matches",
    "ConceptTrace": "generator.attention.concepts",
    "ConfusionMatrix": "plugin.store.matches",
    "BlackedOutError": "generator.errors",
    "DatasetError": "generator.errors",
    "DiffucurateError": "generator.errors",
    "Evaluation": "plugin.evaluation.evaluate",
    "ExportError": "generator.errors",
    "ExportSummary": "plugin.exporting.summary",
    "Fusion": "plugin.fusion.fuse",
    "FusionSettings": "generator.fusion.settings",
    "GroundingSettings": "generator.labels.settings",
    "GuideTarget": "generator.recipe.guide",
    "ImageError": "generator.errors",
    "InitImages": "generator.recipe.init_image_config",
    "Instance": "generator.labels.model",
    "InvalidSetting": "generator.errors",
    "Inversion": "generator.inversion.settings",
    "LabelError": "generator.errors",
    "LabelSettings": "generator.labels.settings",
    "LabelSource": "generator.sources.protocol",
    "Labels": "generator.labels.model",
    "LayoutConfig": "generator.recipe.layout_config",
    "Lora": "generator.recipe.model_options",
    "LowRank": "generator.inversion.settings",
    "Mask2FormerSettings": "generator.labels.settings",
    "ModelError": "generator.errors",
    "ModelOptions": "generator.recipe.model_options",
    "NextRound": "plugin.segmenters.weaknesses",
    "Objects": "generator.recipe.init_image_config",
    "Progress": "generator.progress",
    "Provenance": "plugin.provenance.provenance",
    "QuerySettings": "generator.attention.settings",
    "RandomSeeds": "generator.recipe.amount",
    "Recipe": "generator.recipe.recipe",
    "RayEngine": "plugin.cluster.engine",
    "RecipeError": "generator.errors",
    "RepaintResult": "plugin.generation.repaint",
    "ReportSummary": "plugin.reporting.report",
    "ReviewCounts": "plugin.review.review",
    "ReviewItem": "plugin.review.items",
    "ReviewQueue": "plugin.review.review",
    "Rules": "plugin.curation.rules",
    "Sam3Settings": "generator.labels.settings",
    "Sample": "generator.recipe.amount",
    "SegmenterFigures": "generator.segmenters.results",
    "SegmenterSettings": "generator.segmenters.settings",
    "SourceSettings": "generator.labels.settings",
    "SourceSpec": "generator.sources.spec",
    "TextualInversion": "generator.recipe.model_options",
    "TraceSettings": "generator.attention.settings",
    "TrainResult": "generator.inversion.training",
    "TrainedAdapter": "generator.detection.results",
    "TrainedSegmenter": "generator.segmenters.results",
    "UndoResult": "plugin.curation.curate",
    "Weakness": "plugin.segmenters.weaknesses",
    "YoloSettings": "generator.labels.settings",
    "ZooSettings": "generator.labels.settings",
    "assess": "plugin.quality.assess",
    "augment": "plugin.augmentation.augment",
    "compare": "plugin.comparison.compare",
    "curate": "plugin.curation.curate",
    "evaluate": "plugin.evaluation.evaluate",
    "expand_captions": "generator.expansion.expand",
    "export": "plugin.exporting.export",
    "fuse": "plugin.fusion.fuse",
    "generate": "plugin.generation.generate",
    "generate_more": "plugin.segmenters.weaknesses",
    "img2img": "plugin.generation.img2img_inpaint",
    "inpaint": "plugin.generation.img2img_inpaint",
    "label": "plugin.labelling.label",
    "learn_token": "plugin.tokens.optimize",
    "mask2img": "plugin.generation.mask2img",
    "mosaic": "plugin.mosaics.mosaic",
    "provenance": "plugin.provenance.provenance",
    "regenerate": "plugin.generation.regenerate",
    "register_source": "generator.sources.registry",
    "repaint": "plugin.generation.repaint",
    "report": "plugin.reporting.report",
    "review": "plugin.review.review",
    "train_adapter": "plugin.detection.train",
    "train_segmenter": "plugin.segmenters.train",
    "train_token": "plugin.tokens.train",
    "undo_curation": "plugin.curation.curate",
}

#: Names that are others in their modules.
_THERE = {"register_source": "register"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), _THERE.get(name, name))
    raise AttributeError(f"module 'diffucurate' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
