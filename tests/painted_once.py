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
    """What ``generate`` made of a recipe, kept aside under another name; each copy has files of its own."""

    def __init__(self, recipe: Mapping[str, Any], folder: Path) -> None:
        from diffucurate.plugin.generation.generate import generate
        from diffucurate.plugin.store.media_folder import media_folder

        self._dataset = generate(recipe)
        self._name, self._kept = self._dataset.name, media_folder(self._dataset)
        self._dataset.name = f"{self._name} kept"

    @contextmanager
    def copy(self) -> Iterator[fo.Dataset]:
        """The dataset under the recipe's name, its files where it says; a test may change or delete both."""
        import fiftyone as fo

        from diffucurate.plugin.store.media_folder import media_folder

        copy = self._dataset.clone(self._name, persistent=True)
        media = media_folder(copy)
        shutil.copytree(self._kept, media, dirs_exist_ok=True)
        self._move(copy, media)
        try:
            yield copy
        finally:
            if fo.dataset_exists(self._name):
                fo.delete_dataset(self._name)
            shutil.rmtree(media)

    def _move(self, dataset: fo.Dataset, folder: Path) -> None:
        """Let a dataset's samples name files in its own folder."""
        import fiftyone as fo

        strings = dataset.get_field_schema(ftype=fo.StringField, flat=True)
        for path in (path for path in strings if not path.endswith("id")):
            values = dataset.values(path)
            if any(isinstance(value, str) and value.startswith(str(self._kept)) for value in values):
                moved = [value and value.replace(str(self._kept), str(folder)) for value in values]
                dataset.set_values(path, moved)

    def delete(self) -> None:
        self._dataset.delete()
