"""The recipe of one image that is there already, to paint it, or images like it, anew."""

from __future__ import annotations

from typing import Any

import fiftyone as fo

from diffucurate.generator.captions.config import Captions, ClassPrompt
from diffucurate.generator.captions.source import CaptionSource
from diffucurate.generator.errors import DatasetError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.jobs.variations import template_of
from diffucurate.generator.recipe.init_image_config import InitImages, Objects
from diffucurate.generator.recipe.layout_config import LABELS, LayoutConfig
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.plugin.provenance.painted_samples import dataset_with
from diffucurate.plugin.provenance.provenance import provenance


def recipe_of(sample: fo.Sample) -> Recipe:
    """The recipe of this one image: its only job is the sample's.

    Raises:
        DatasetError: as ``provenance``, or the prompt names no class, without which there is no recipe.
    """
    origin = provenance(sample)
    job = origin.job
    if not job.phrases:
        raise DatasetError(
            f"the prompt '{job.prompt}' names none of its recipe's classes, so there is no recipe of this image alone"
        )
    return Recipe(
        dataset=dataset_with(sample).name,
        model=job.model,
        size=job.size,
        steps=job.steps,
        guidance=job.guidance,
        seeds=[job.seed],
        negative_prompt=origin.recipe.negative_prompt,
        scheduler=job.model_options.scheduler,
        karras=job.model_options.karras,
        spacing=job.model_options.spacing,
        safety_checker=origin.recipe.safety_checker,
        loras=list(job.model_options.loras),
        tokens=list(job.model_options.tokens),
        prompt_weights=job.model_options.prompt_weights,
        classes={name: origin.recipe.classes[name] for name in job.phrases},
        attributes={name: [value] for name, value in job.attributes.items() if job.layout is None or name != LABELS},
        **({"templates": [template_of(job, origin.recipe)]} if job.caption is None else _captions(job, job.caption)),
        **_init_image(job),
        **_layout(job),
        **_guide(job, origin.recipe),
    )


def _captions(job: Job, caption: CaptionSource) -> dict[str, Any]:
    """The keys for the caption in the recipe of one image."""
    class_prompt: ClassPrompt = "none"
    if caption.class_prompt is not None:
        class_prompt = "separate" if job.prompt == caption.text else "append"
    return {"captions": Captions(texts=[caption.entry()], class_prompt=class_prompt), "templates": []}


def _guide(job: Job, recipe: Recipe) -> dict[str, Any]:
    """The keys for the targets in the recipe of one image."""
    if job.guide is None or recipe.guide is None:
        return {}
    targets = {each.label: recipe.guide[each.label] for each in job.guide.objects}
    return {"guide": targets, "guide_weight": recipe.guide_weight}


def _layout(job: Job) -> dict[str, Any]:
    """The keys for the mask in the recipe of one image."""
    layout = job.layout
    if layout is None:
        return {}
    strength: dict[str, Any] = {name: getattr(layout, name) for name in ("until", "boost", "words", "guide")}
    return {
        "task": job.task,
        "source": InitImages(dataset=layout.dataset, samples=[layout.sample_id]),
        "layout": LayoutConfig(field=layout.field, **strength),
    }


def _init_image(job: Job) -> dict[str, Any]:
    """The keys for the init image in the recipe of one image."""
    source = job.source
    if source is None:
        return {}
    keys: dict[str, Any] = {
        "task": job.task,
        "source": InitImages(dataset=source.dataset, samples=[source.sample_id]),
        "strength": source.strength,
    }
    if source.region is not None:
        region = source.region
        shape: Any = region.shape or "free"
        keys["objects"] = Objects(field=region.field, instances=[region.instance], margin=region.margin, shape=shape)
    return keys
