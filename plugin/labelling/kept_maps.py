"""Whether images can be labelled from the class maps kept beside them, and which models painted them."""

from __future__ import annotations

import fiftyone as fo

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.recipe.by_model import BUILT_IN
from diffucurate.plugin.labelling.images import unasked
from diffucurate.plugin.labelling.plan import plan
from diffucurate.plugin.store import field_names


def check_maps(samples: fo.Dataset | fo.DatasetView, source: str) -> None:
    """See that all images keep class maps, for a source that labels no others."""
    counts = plan(samples, source)
    if counts.mapped < counts.images:
        lacking = f"{counts.images - counts.mapped} of {counts.images} images keep no heatmaps"
        raise DatasetError(f"{lacking}, and source '{source}' labels no others; choose a view of those that do")


def check_asked(samples: fo.Dataset | fo.DatasetView, *, contrast: bool) -> None:
    """See that no image is looked at by a model that did not paint it where nobody has asked for that.

    With ``contrast`` the model that painted the images looks at all of them, else the built-in one at those that keep
    no class maps.
    """
    models = painters(samples) if contrast else [BUILT_IN]
    if len(models) > 1:
        return  # the source says it
    found = unasked(samples, models[0] if models else BUILT_IN, kept_suffice=not contrast)
    if found.lost:
        raise DatasetError(
            f"{len(found.lost)} of {len(samples)} images have lost their heatmaps, such as {found.lost[0]}; put the "
            "files back, or name the model that is to look at them (model)"
        )
    if found.foreign:
        raise DatasetError(
            f"{len(found.foreign)} of {len(samples)} images were not painted by the model that would look at them, "
            f"such as {found.foreign[0]}; name one (model; '{BUILT_IN}', the built-in one, knows its own drawings only)"
        )


def painters(samples: fo.Dataset | fo.DatasetView) -> list[str]:
    """The models that painted the images; none where none was painted, whatever else a field of that name may hold."""
    if not samples.has_sample_field(field_names.JOB_ID):
        return []
    return list(samples.exists(field_names.JOB_ID).distinct(field_names.MODEL))
