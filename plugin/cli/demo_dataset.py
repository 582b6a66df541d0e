"""Datasets that a demo makes anew each time."""

from __future__ import annotations

import fiftyone as fo

from diffucurate.generator.errors import DatasetError
from diffucurate.plugin.store.media_folder import is_inside, media_folder


def fresh_dataset(name: str) -> fo.Dataset:
    """An empty, persistent dataset of that name; what an earlier demo left there goes.

    Raises:
        DatasetError: a dataset of that name holds images of somebody's own.
    """
    if fo.dataset_exists(name):
        earlier = fo.load_dataset(name)
        folder = media_folder(earlier)
        if not all(is_inside(path, folder) for path in earlier.values("filepath")):
            raise DatasetError(f"dataset '{name}' holds images that the demo did not make; rename it, then start again")
        earlier.delete()
    return fo.Dataset(name, persistent=True)
