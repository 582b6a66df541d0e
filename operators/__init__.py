"""The operators and panels of the App, one file each, with thin forms over the library.

``OPERATORS``, ``METRICS`` and ``PANELS`` list them all.
"""

from __future__ import annotations

from diffucurate.operators.assess_samples import AssessSamples
from diffucurate.operators.augment_images import AugmentImages
from diffucurate.operators.cancel_run import CancelRun
from diffucurate.operators.compare_sources import CompareSources
from diffucurate.operators.curate_samples import CurateSamples
from diffucurate.operators.evaluate_labels import EvaluateLabels
from diffucurate.operators.evaluation_metrics import METRICS
from diffucurate.operators.expand_captions import ExpandCaptions
from diffucurate.operators.export_samples import ExportSamples
from diffucurate.operators.fuse_sources import FuseSources
from diffucurate.operators.generate_images import GenerateImages
from diffucurate.operators.label_and_compare import LabelAndCompare
from diffucurate.operators.label_images import LabelImages
from diffucurate.operators.learn_token import LearnToken
from diffucurate.operators.make_mosaics import MakeMosaics
from diffucurate.operators.paint_by_masks import PaintByMasks
from diffucurate.operators.panel.panel import CurationPanel
from diffucurate.operators.preview_threshold import PreviewThreshold
from diffucurate.operators.regenerate_with import RegenerateWith
from diffucurate.operators.release_models import ReleaseModels
from diffucurate.operators.replace_objects import ReplaceObjects
from diffucurate.operators.review.panel import ReviewPanel
from diffucurate.operators.runtime.operator import LibraryOperator
from diffucurate.operators.show_provenance import ShowProvenance
from diffucurate.operators.side_by_side.panel import SideBySidePanel
from diffucurate.operators.train_adapter import TrainAdapter
from diffucurate.operators.train_segmenter import TrainSegmenter
from diffucurate.operators.train_token import TrainToken
from diffucurate.operators.undo_curation import UndoCuration
from diffucurate.operators.vary_images import VaryImages
from diffucurate.operators.write_report import WriteReport

#: In the order in which they are used; ``fiftyone.yml`` lists the same.
OPERATORS: tuple[type[LibraryOperator], ...] = (
    GenerateImages,
    ExpandCaptions,
    LabelImages,
    LearnToken,
    TrainToken,
    PreviewThreshold,
    CompareSources,
    LabelAndCompare,
    EvaluateLabels,
    FuseSources,
    AssessSamples,
    CurateSamples,
    UndoCuration,
    MakeMosaics,
    ExportSamples,
    WriteReport,
    TrainSegmenter,
    TrainAdapter,
    ShowProvenance,
    RegenerateWith,
    VaryImages,
    ReplaceObjects,
    AugmentImages,
    PaintByMasks,
    ReleaseModels,
    CancelRun,
)

#: ``fiftyone.yml`` lists the same.
PANELS: tuple[type[CurationPanel | ReviewPanel | SideBySidePanel], ...] = (CurationPanel, ReviewPanel, SideBySidePanel)

__all__ = ["METRICS", "OPERATORS", "PANELS"]
