"""What fused labels may be called. Light: forms ask it."""

from __future__ import annotations

from collections.abc import Sequence

import fiftyone as fo

from diffucurate.generator.errors import InvalidSetting
from diffucurate.plugin.store.source_names import check_new_source

#: The name of fused labels where none is given.
FUSED = "fused"


def check_name(dataset: fo.Dataset, into: str, sources: Sequence[str]) -> None:
    """See that fused labels of this name replace nothing but fused labels.

    Raises:
        InvalidSetting: it is the name of a source, or of labels that were not fused.
        DatasetError: no field can be named after it.
    """
    if into in sources:
        raise InvalidSetting("into", into, "it is one of the sources, which stay as they are; use another name")
    check_new_source(dataset, into, "fuse", FUSED)
