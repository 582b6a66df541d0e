"""Whether a pipeline's safety checker runs: it blacks out images that it takes for unsafe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diffucurate.generator.errors import RecipeError


@contextmanager
def safety_checked(pipe: Any, wanted: bool | None) -> Iterator[None]:
    """A block in which a pipeline has its safety checker or none.

    Args:
        pipe: the pipeline.
        wanted: whether the checker runs; None for as the model has it.

    Raises:
        RecipeError: it is wanted, and the model has none.
    """
    checker = getattr(pipe, "safety_checker", None)
    if wanted and checker is None:
        remedy = "this model has none; leave it out, or use a model with one, such as Stable Diffusion 1.5"
        raise RecipeError("safety_checker", wanted, remedy)
    if wanted is not False or checker is None:
        yield
        return
    required = pipe.config.get("requires_safety_checker")
    pipe.register_modules(safety_checker=None)
    pipe.register_to_config(requires_safety_checker=False)  # else diffusers warns of each pipeline that is made of it
    try:
        yield
    finally:
        pipe.register_modules(safety_checker=checker)
        pipe.register_to_config(requires_safety_checker=required)
