"""The source ``zoo``: a model of FiftyOne's zoo by its name. What is known of it; the model is in ``source``."""

from __future__ import annotations

from diffucurate.generator.labels.settings import ZooSettings
from diffucurate.generator.sources.class_map import CLASS_MAP, MATCHED_CLASSES, class_map_of
from diffucurate.generator.sources.protocol import Labeller, LabelRequest, PixelLabeller
from diffucurate.generator.sources.spec import SourceOption, SourceSpec
from diffucurate.plugin.zoo.models import check_zoo_model, zoo_models


def _load(request: LabelRequest[ZooSettings]) -> Labeller:
    from diffucurate.generator.sources.by_phrase import ByPhrase, classes_by_phrase
    from diffucurate.plugin.zoo.source import ZooSource

    source = ZooSource(
        request.options["zoo_model"],
        classes_by_phrase(request.classes),
        class_map_of(request.options),
        device=request.device,
        **request.settings.model_dump(),
    )
    return PixelLabeller(ByPhrase(source, request.classes), request)


SPEC = SourceSpec(
    name="zoo",
    title="FiftyOne zoo",
    summary="From a detector or segmenter of FiftyOne's model zoo, by its name",
    images=("any",),
    classes=f"{MATCHED_CLASSES}. Models that are asked in words, such as YOLOE, get the classes' phrases",
    settings=ZooSettings,
    load=_load,
    options=(
        SourceOption(
            "zoo_model",
            title="Zoo model",
            description="A model of FiftyOne's zoo by its name, such as yolo11n-seg-coco-torch; FiftyOne downloads it "
            "where it is not there yet",
            choices=zoo_models,
            check=check_zoo_model,
            required="name the model, such as mask-rcnn-resnet50-fpn-coco-torch",
        ),
        CLASS_MAP,
    ),
    sliders=("min_confidence",),
    needs_database=True,
)
