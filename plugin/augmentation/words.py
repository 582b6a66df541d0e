"""A learned word for each class of a label field, by which prompts name what these very images show.

DA-Fusion's first step. A word is learned once and used by every later call for the same dataset, class and model.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import fiftyone as fo

from diffucurate.generator.errors import ImageError
from diffucurate.generator.inversion.amount import FEWEST, MOST
from diffucurate.generator.inversion.files import WordFiles
from diffucurate.generator.progress import Listener, announce
from diffucurate.plugin.store.label_fields import label_field
from diffucurate.plugin.store.samples import all_images, dataset_of, parts_of
from diffucurate.plugin.tokens.train import train_token


class ClassWord(NamedTuple):
    """``placeholder``, as prompts write it, and the file of what was learned for it."""

    placeholder: str
    path: Path


def words_of(
    samples: fo.Dataset | fo.DatasetView,
    field: str,
    classes: Sequence[str],
    *,
    model: str | None = None,
    steps: int = 500,
    folder: str | os.PathLike[str] | None = None,
    device: str | None = None,
    progress: Listener | None = None,
) -> dict[str, ClassWord]:
    """A word for each class that has objects enough; those that were learned before are not learned again.

    Args:
        samples: the images; of a class with more than 50 objects, the first images with so many.
        field: a label source or field of detections, polylines or segmentations.
        classes: labels of the field.
        model, steps, folder, device, progress: as for ``train_token``.

    Returns:
        Class -> its word. A class with fewer than three objects has none, which a note says.

    Raises:
        DatasetError, ModelError: as ``train_token``.
    """
    dataset, words = dataset_of(samples), {}
    for name in classes:
        stem = re.sub(r"[^\w-]+", "-", name)
        files = WordFiles.of(f"{re.sub(r'[^a-zA-Z0-9_-]+', '-', dataset.name)}-{stem}-{model_stem(model)}", folder)
        placeholder = f"<{stem}>"
        if not files.word.exists():
            shown = _showing(samples, field, name)
            if shown is None:
                announce(progress, f"class {name} has fewer than {FEWEST} objects, so no word is learned for it")
                continue
            train_token(
                shown,
                placeholder,
                field=field,
                label=name,
                name=files.name,
                model=model,
                device=device,
                folder=folder,
                steps=steps,
                progress=progress,
            )
        words[name] = ClassWord(placeholder, files.word)
    return words


def model_stem(model: str | None) -> str:
    """A model's name as a part of file names."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "-", Path(model or "tiny").name) or "model"


def with_words(classes: Mapping[str, Sequence[str]], words: Mapping[str, ClassWord]) -> dict[str, list[str]]:
    """Classes whose first phrase, by which prompts name them, is the learned word where there is one."""
    return {
        name: [*([words[name].placeholder] if name in words else []), *phrases] for name, phrases in classes.items()
    }


def _showing(samples: fo.Dataset | fo.DatasetView, field: str, name: str) -> fo.DatasetView | None:
    """The first images that show a class, with as many objects as a word is learned from; None where they are few."""
    from diffucurate.plugin.store.label_objects import labels_in

    dataset = dataset_of(samples)
    described, chosen, count = label_field(dataset, field), list[str](), 0
    for part in parts_of(samples):
        for sample in part.select_fields(described.name):
            try:
                shown = sum(label == name for _, label in labels_in(sample[described.name], described))
            except ImageError:
                continue
            if shown and count + shown <= MOST:
                chosen.append(sample.id)
                count += shown
    return all_images(dataset).select(chosen) if count >= FEWEST else None
