"""A dataset that is painted once and given to each test as if it had been painted for it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import fiftyone as fo


class PaintedOnce:
    """What ``generate`` made of a recipe, kept aside under another name, and its files elsewhere."""

    def __init__(self, recipe: Mapping[str, Any], folder: Path) -> None:
        from diffucurate.plugin.generation.generate import generate
        from diffucurate.plugin.store.media_files import media_folder

        self._dataset = generate(recipe)
        self._name, self._media, self._kept = self._dataset.name, media_folder(self._dataset), folder / "kept"
        self._media.rename(self._kept)
        self._dataset.name = f"{self._name} kept"

    @contextmanager
    def copy(self) -> Iterator[fo.Dataset]:
        """The dataset under the recipe's name, its files where it says; a test may change or delete both."""
        import fiftyone as fo

        shutil.copytree(self._kept, self._media)
        try:
            yield self._dataset.clone(self._name, persistent=True)
        finally:
            if fo.dataset_exists(self._name):
                fo.delete_dataset(self._name)
            shutil.rmtree(self._media)

    def delete(self) -> None:
        self._dataset.delete()
