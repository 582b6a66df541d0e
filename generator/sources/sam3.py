"""The source ``sam3``: Segment Anything 3, asked for the classes' own phrases. What is known of it; the model is in
``sam3_source``."""

from __future__ import annotations

from diffucurate.generator.labels.settings import Sam3Settings
from diffucurate.generator.models.label_models import CONCEPT_SEGMENTERS
from diffucurate.generator.sources.protocol import Labeller, LabelRequest, PixelLabeller
from diffucurate.generator.sources.spec import SourceOption, SourceSpec


def _load(request: LabelRequest[Sam3Settings]) -> Labeller:
    from diffucurate.generator.sources.sam3_source import Sam3Source

    source = Sam3Source(
        request.classes,
        request.options["segmenter"],
        device=request.device,
        settings=request.settings,
        batch_size=request.batch_size,
    )
    return PixelLabeller(source, request)


SPEC = SourceSpec(
    name="sam3",
    title="SAM 3",
    summary="From Segment Anything 3, which is asked for the classes' phrases and finds the mask of each object",
    images=("any",),
    classes="An object is of the class by one of whose phrases it was found; all phrases are asked for",
    settings=Sam3Settings,
    load=_load,
    options=(
        SourceOption(
            "segmenter",
            title="Segmenter",
            description=f"SAM 3: '{CONCEPT_SEGMENTERS.examples[0]}' on Hugging Face, whose licence one accepts there, "
            "or the full path of a folder",
            choices=CONCEPT_SEGMENTERS.downloaded,
            check=CONCEPT_SEGMENTERS.locate,
            required=f"name the model, such as {CONCEPT_SEGMENTERS.examples[0]}; none is built in",
        ),
    ),
    sliders=("min_confidence", "max_overlap"),
)
