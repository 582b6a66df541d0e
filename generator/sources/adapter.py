"""The source ``adapter``: a head on a diffusion model's features. What is known of it; the rest is in
``adapter_source``."""

from __future__ import annotations

from pathlib import Path

from diffucurate.generator.detection.files import read_config
from diffucurate.generator.labels.settings import AdapterLabelSettings
from diffucurate.generator.sources.class_map import CLASS_MAP, MATCHED_CLASSES, class_map_of
from diffucurate.generator.sources.protocol import Labeller, LabelRequest, PixelLabeller
from diffucurate.generator.sources.spec import SourceOption, SourceSpec


def _load(request: LabelRequest[AdapterLabelSettings]) -> Labeller:
    from diffucurate.generator.sources.adapter_source import AdapterSource
    from diffucurate.generator.sources.by_phrase import ByPhrase, classes_by_phrase

    source = AdapterSource(
        classes_by_phrase(request.classes),
        request.options["weights"],
        class_map_of(request.options),
        device=request.device,
        batch_size=request.batch_size,
        settings=request.settings,
    )
    return PixelLabeller(ByPhrase(source, request.classes), request)


def _check_weights(path: str) -> None:
    read_config(Path(path).expanduser())


SPEC = SourceSpec(
    name="adapter",
    title="Adapter",
    summary="From a head on a diffusion model's features, trained here on any labels",
    images=("any",),
    classes=MATCHED_CLASSES,
    settings=AdapterLabelSettings,
    load=_load,
    options=(
        SourceOption(
            "weights",
            title="Weights",
            description="Full path of the .safetensors file of an adapter that was trained here; its config beside it "
            "names the diffusion model",
            kind="file",
            check=_check_weights,
            required="train an adapter first (train_adapter), and give the path of its .safetensors file",
        ),
        CLASS_MAP,
    ),
    sliders=("min_confidence", "max_overlap"),
)
