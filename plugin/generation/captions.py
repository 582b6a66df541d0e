"""The captions of a recipe that fit the model's text encoders, and a report of the others, before anything is
painted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.progress import Listener, announce
from diffucurate.generator.text.counted import counted

if TYPE_CHECKING:
    from diffucurate.generator.jobs.jobs import Job
    from diffucurate.generator.recipe.recipe import Recipe

logger = logging.getLogger(__name__)


def drop_too_long(
    recipe: Recipe, jobs: Sequence[Job], asked: int, ask: Callable[..., Any], progress: Listener | None
) -> tuple[list[Job], dict[str, Any]]:
    """The jobs whose prompts a pipeline reads to their end, and what became of all captions, for a run's facts.

    ``ask`` returns what a function returns of the pipeline and of further arguments, as ``PaintingSession.ask``.

    The log and notes of the progress say what is left out. With prompt weights, prompts may be of any length.

    Raises:
        ModelError: a class prompt, and a pipeline whose pixels cannot be attributed by other texts.
        RecipeError: of all jobs ``asked`` for, none has a caption that is short enough.
    """
    from diffucurate.generator.attention.trace.attribution import attributable
    from diffucurate.generator.captions.prompts import caption_prompts
    from diffucurate.generator.painting.prompt_length import read_whole

    if recipe.captions is None:
        return list(jobs), {}
    if any(job.class_prompt is not None for job in jobs):
        ask(attributable)
    count = caption_prompts(recipe.captions, recipe.classes).counted
    facts, remarks = count.to_dict(), count.remarks()
    kept = list(jobs)
    if jobs and not recipe.prompt_weights:
        read_to_end = ask(read_whole, [job.prompt for job in jobs])
        kept = [job for job, fits in zip(jobs, read_to_end, strict=True) if fits]
        if too_long := [job for job, fits in zip(jobs, read_to_end, strict=True) if not fits]:
            remedy = "the model's text encoder does not read it to its end; shorten it, or set prompt_weights: true"
            if not kept and len(jobs) == asked:
                raise RecipeError("captions", too_long[0].prompt, f"{remedy}; the others are as long")
            ids = [job.caption.id for job in too_long if job.caption is not None]
            facts["too_long"] = {"images": len(too_long), "captions": list(dict.fromkeys(ids))[:100]}
            images = counted(len(too_long), "image")
            remarks.append(f"{images} left out whose captions are too long, such as caption {ids[0]}: {remedy}")
    for remark in remarks:
        logger.warning("captions: %s", remark)
        announce(progress, f"captions: {remark}", len(kept))
    return kept, {"captions": facts}
