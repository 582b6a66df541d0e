"""What Diffucurate notes in ``dataset.info``: plain data, which an import may bring from anywhere.

So it is read with care, and nothing that could lose data depends on it (``installation``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fiftyone as fo

from diffucurate.plugin.store.field_names import INFO


def read_facts(dataset: fo.Dataset) -> dict[str, Any]:
    """Our part of ``dataset.info``; empty where there is none, or anything but a mapping."""
    facts = dataset.info.get(INFO) if isinstance(dataset.info, Mapping) else None
    return {str(name): value for name, value in facts.items()} if isinstance(facts, Mapping) else {}
