"""Which prompts fit a pipeline's text encoders. Knows tokenizers, nothing of what prompts mean."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from diffucurate.generator.attention.capture.encoders import TextPart
from diffucurate.generator.attention.families import family_of


def read_whole(pipe: Any, prompts: Sequence[str]) -> list[bool]:
    """Whether each prompt fits at least one of the text encoders whose tokens the model attends to.

    Raises:
        ModelError: a pipeline of no family that can be traced.
    """
    most = inspect.signature(pipe.__call__).parameters.get("max_sequence_length")
    limit = most.default if most is not None and isinstance(most.default, int) else None
    parts = [part for part in family_of(pipe).parts() if part.tokenizer is not None]
    fits = [_fits(part, prompts, limit) for part in parts]
    return [any(row) for row in zip(*fits, strict=True)] if fits else [True] * len(prompts)


def _fits(part: TextPart, prompts: Sequence[str], limit: int | None) -> list[bool]:
    most = int(part.tokenizer.model_max_length)
    most = most if limit is None else min(most, limit)
    rows = part.tokenizer([part.prepare(prompt) for prompt in prompts], truncation=False, verbose=False).input_ids
    return [len(row) <= most for row in rows]
