"""One image of the built-in model whose content is known: does the model read prompts, and attention find words?"""

from __future__ import annotations

from typing import Any

import numpy as np

from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.recipe.by_model import BUILT_IN


def red_inside_and_outside(pipe: Any) -> tuple[float, float]:
    """Of an image of a red car, the shares of red pixels within and without what is labelled as the car."""
    from diffucurate.generator.labels.from_maps import labels_from_maps
    from diffucurate.generator.painting.painter import paint

    classes = {"car": ("car",)}
    job = Job.of(
        task="txt2img",
        prompt="a red car on a road at noon",
        negative_prompt="",
        phrases=classes,
        attributes={},
        seed=0,
        size=(128, 128),
        steps=10,
        guidance=5.0,
        model=BUILT_IN,
    )
    (painting,) = paint([job], pipe=pipe)
    labelled = labels_from_maps(painting.heatmaps, painting.image, classes, job.prompt).semantic == 1
    red, green, blue = np.moveaxis(painting.image.astype(int), -1, 0)
    is_red = red > np.maximum(green, blue) + 80
    inside = float(is_red[labelled].mean()) if labelled.any() else 0.0
    return inside, float(is_red[~labelled].mean()) if not labelled.all() else 1.0
