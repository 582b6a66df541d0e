"""The operators of the App, one file each: form, config, one call of the library. ``OPERATORS`` lists them all."""

from __future__ import annotations

from diffucurate.operators.compare_sources import CompareSources
from diffucurate.operators.curate_samples import CurateSamples
from diffucurate.operators.execution import LibraryOperator
from diffucurate.operators.export_samples import ExportSamples
from diffucurate.operators.generate_images import GenerateImages
from diffucurate.operators.label_images import LabelImages

#: In the order in which they are used; ``fiftyone.yml`` lists the same.
OPERATORS: tuple[type[LibraryOperator], ...] = (
    GenerateImages,
    LabelImages,
    CompareSources,
    CurateSamples,
    ExportSamples,
)
