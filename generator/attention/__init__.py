"""The attention of a diffusion model while it paints, as one map per class."""

from __future__ import annotations

from diffucurate.generator.attention.concepts import ConceptTrace
from diffucurate.generator.attention.settings import DAAM, DATASET_DIFFUSION, TraceSettings
from diffucurate.generator.attention.trace.attribution import Attribution
from diffucurate.generator.attention.trace.queries import QuerySettings, StoredQueries
from diffucurate.generator.attention.trace.query_keeper import expected_megabytes
from diffucurate.generator.attention.trace.trace import AttentionTrace

__all__ = [
    "DAAM",
    "DATASET_DIFFUSION",
    "AttentionTrace",
    "Attribution",
    "ConceptTrace",
    "QuerySettings",
    "StoredQueries",
    "TraceSettings",
    "expected_megabytes",
]
