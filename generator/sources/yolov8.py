"""The source ``yolov8``: a trained detector's instances. What is known of it; the model is in ``yolov8_source``."""

from __future__ import annotations

from pathlib import Path

from diffucurate.generator.errors import ModelError
from diffucurate.generator.labels.settings import YoloSettings
from diffucurate.generator.sources.class_map import CLASS_MAP, MATCHED_CLASSES, class_map_of
from diffucurate.generator.sources.extras import ULTRALYTICS
from diffucurate.generator.sources.protocol import Labeller, LabelRequest, PixelLabeller
from diffucurate.generator.sources.spec import SourceOption, SourceSpec


def _load(request: LabelRequest[YoloSettings]) -> Labeller:
    from diffucurate.generator.sources.by_phrase import ByPhrase, classes_by_phrase
    from diffucurate.generator.sources.yolov8_source import YoloSource

    source = YoloSource(
        classes_by_phrase(request.classes),
        request.options.get("weights"),
        class_map_of(request.options),
        device=request.device,
        trust_pickle=bool(request.options.get("trust_pickle")),
        **request.settings.model_dump(),
    )
    return PixelLabeller(ByPhrase(source, request.classes), request)


def _check_weights(path: str) -> None:
    if not Path(path).expanduser().is_file():
        raise ModelError(f"'{path}' is no file on this machine; give the full path of a .pt file or leave it empty")


SPEC = SourceSpec(
    name="yolov8",
    title="YOLOv8",
    summary="From a trained detector that looks at the image alone",
    images=("any",),
    classes=MATCHED_CLASSES,
    settings=YoloSettings,
    load=_load,
    options=(
        SourceOption(
            "weights",
            title="Weights",
            description="Full path of a checkpoint (.pt) of a YOLO segmenter, or of a detector, whose labels are boxes "
            "without masks; by default the built-in segmenter, which knows simple drawn street scenes only",
            kind="file",
            check=_check_weights,
        ),
        CLASS_MAP,
        SourceOption(
            "trust_pickle",
            title="Trust the weights",
            description="Read weights that hold more than a network; runs whatever code is in them",
            kind="trust",
        ),
    ),
    family="cool",
    sliders=("min_confidence", "max_overlap"),
    extra=ULTRALYTICS,
    built_in=lambda options: not options.get("weights"),
)
