"""The source ``grounding``: a detector that is asked for the classes' own phrases, and has no classes of its own. What
is known of it; the model is in ``grounding_source``."""

from __future__ import annotations

from diffucurate.generator.labels.settings import GroundingSettings
from diffucurate.generator.models.label_models import GROUNDED_DETECTORS
from diffucurate.generator.models.names import downloaded_segmenters, locate_segmenter
from diffucurate.generator.sources.protocol import Labeller, LabelRequest, PixelLabeller
from diffucurate.generator.sources.spec import SourceOption, SourceSpec, Workload, images_read


def _load(request: LabelRequest[GroundingSettings]) -> Labeller:
    from diffucurate.generator.sources.grounding_source import GroundingSource

    source = GroundingSource(
        request.classes,
        request.options["detector"],
        request.options.get("refiner"),
        device=request.device,
        settings=request.settings,
        batch_size=request.batch_size,
    )
    return PixelLabeller(source, request)


def _workload(workload: Workload) -> str:
    refiner = workload.options.get("refiner")
    masks = f"'{refiner}' draws the masks" if refiner else "masks are whole boxes, since no outline refiner is named"
    return f"{images_read(workload.images)} by Phrase grounding; {masks}."


SPEC = SourceSpec(
    name="grounding",
    title="Phrase grounding",
    summary="From a detector that is asked for the classes' phrases: Grounding DINO, OWLv2 or OWL-ViT. It finds boxes; "
    "masks are whole boxes unless a Segment Anything model draws them",
    images=("any",),
    classes="A box is of the class whose phrase fits it best; all phrases are asked for",
    settings=GroundingSettings,
    load=_load,
    options=(
        SourceOption(
            "detector",
            title="Detector",
            description="A model that finds boxes by phrases: 'owner/name' on Hugging Face, such as "
            f"{GROUNDED_DETECTORS.examples[0]}, or the full path of a folder",
            choices=GROUNDED_DETECTORS.downloaded,
            check=GROUNDED_DETECTORS.locate,
            required=f"name the model, such as {' or '.join(GROUNDED_DETECTORS.examples)}; none is built in",
        ),
        SourceOption(
            "refiner",
            title="Outline refiner",
            description="A Segment Anything model that draws the object in each box: 'owner/name' on Hugging Face, "
            "such as facebook/sam-vit-base, or the full path of a folder. By default masks are whole boxes.",
            choices=downloaded_segmenters,
            check=locate_segmenter,
        ),
    ),
    sliders=("min_confidence", "max_overlap"),
    workload=_workload,
)
