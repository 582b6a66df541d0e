"""The source ``mask2former``: any trained segmenter of transformers that has classes of its own, which are matched by
their names. What is known of it; the model is in ``mask2former_source``."""

from __future__ import annotations

from diffucurate.generator.labels.settings import Mask2FormerSettings
from diffucurate.generator.models.label_models import SEGMENTERS
from diffucurate.generator.sources.class_map import CLASS_MAP, MATCHED_CLASSES, class_map_of
from diffucurate.generator.sources.protocol import Labeller, LabelRequest, PixelLabeller
from diffucurate.generator.sources.spec import SourceOption, SourceSpec


def _load(request: LabelRequest[Mask2FormerSettings]) -> Labeller:
    from diffucurate.generator.sources.by_phrase import ByPhrase, classes_by_phrase
    from diffucurate.generator.sources.mask2former_source import Mask2FormerSource

    source = Mask2FormerSource(
        classes_by_phrase(request.classes),
        request.options["segmenter"],
        class_map_of(request.options),
        device=request.device,
        settings=request.settings,
        batch_size=request.batch_size,
    )
    return PixelLabeller(ByPhrase(source, request.classes), request)


SPEC = SourceSpec(
    name="mask2former",
    title="Mask2Former",
    summary="From a trained segmenter that looks at the image alone: Mask2Former, MaskFormer, OneFormer, EoMT, "
    "RF-DETR or SegFormer. One made for semantic segmentation gives the connected parts of each class as objects",
    images=("any",),
    classes=MATCHED_CLASSES,
    settings=Mask2FormerSettings,
    load=_load,
    options=(
        SourceOption(
            "segmenter",
            title="Segmenter",
            description="A model that finds masks of classes of its own: 'owner/name' on Hugging Face, such as "
            f"{SEGMENTERS.examples[0]}, or the full path of a folder",
            choices=SEGMENTERS.downloaded,
            check=SEGMENTERS.locate,
            required=f"name the model, such as {' or '.join(SEGMENTERS.examples)}; none is built in",
        ),
        CLASS_MAP,
    ),
    sliders=("min_confidence", "max_overlap"),
)
