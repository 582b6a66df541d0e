"""What a diffusion model attends to while it paints, as one map per class."""

from __future__ import annotations

from diffucurate.generator.attention.concepts import ConceptTrace
from diffucurate.generator.attention.settings import DAAM, TraceSettings
from diffucurate.generator.attention.trace import AttentionTrace

__all__ = ["DAAM", "AttentionTrace", "ConceptTrace", "TraceSettings"]
