"""Learns a new word from samples: whole images, or the objects of a label field (textual inversion).

Knows FiftyOne's samples and labels; ``generator.inversion`` does the learning. Tokens by which attention finds a class
in images that are there already are ``plugin.tokens.optimize``'s.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import DatasetError, ImageError, InvalidSetting
from diffucurate.generator.inversion.settings import SLOT, Inversion, LowRank
from diffucurate.generator.progress import Listener
from diffucurate.plugin.generation.paint_and_store import note_failure
from diffucurate.plugin.store import runs
from diffucurate.plugin.store.label_fields import LabelField, label_field
from diffucurate.plugin.store.label_objects import LabelledObject, ReadObjects, objects_in
from diffucurate.plugin.store.media_files import read_image
from diffucurate.plugin.store.samples import dataset_of
from diffucurate.plugin.tokens.start import check_word, wanted_label

if TYPE_CHECKING:
    from diffucurate.generator.inversion.examples import Example
    from diffucurate.generator.inversion.training import TrainResult

#: How much is left around an object that is cut out, as a share of its box's longer side.
MARGIN = 0.15


def train_token(
    samples: fo.Dataset | fo.DatasetView,
    placeholder: str,
    *,
    field: str | None = None,
    label: str | None = None,
    crop: bool = True,
    margin: float = MARGIN,
    caption_field: str | None = None,
    name: str | None = None,
    model: str | None = None,
    device: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: Listener | None = None,
    initializer: str | None = None,
    vectors: int = 1,
    captions: str | Sequence[str] = "thing",
    steps: int = 1000,
    batch_size: int = 4,
    learning_rate: float = 5e-3,
    schedule: str = "cosine",
    warmup: int = 0,
    weight_decay: float = 0.0,
    flip: bool = True,
    crops: int = 0,
    outside: float = 1.0,
    lora: bool | Mapping[str, Any] | LowRank | None = None,
    seed: int = 0,
    checkpoint_every: int = 250,
    preview_every: int = 250,
    previews: int = 4,
    preview_prompt: str = "a photo of a {}",
) -> TrainResult:
    """Teach a diffusion model a word for what 3 to 50 samples show, for prompts and classes of any recipe.

    A recipe takes the word by its file, as in ``tokens: [{path: ..., placeholder: <piano>}]``, and may name it as a
    class's phrase: its tokens are traced like those of any word. What is learned is stored in a folder of its own, with
    a checkpoint, the loss of each step, its plot and preview images. A run that was stopped is continued by the same
    call; a learned word is trained further with more ``steps``.

    Args:
        samples: a dataset or view. An image that cannot be read is left out: the log names it, and so do the run's
            facts, in ``failed``.
        placeholder: how prompts will write the word, as in ``<piano>``.
        field: a label source or field of detections, polylines or segmentations, whose objects are learned; whole
            images without one.
        label: which of the field's classes; may be left out where it has one only.
        crop: whether to learn from each object alone, cut out with ``margin``, or from whole images, of which masks
            then say where the object is (``outside``).
        margin: what is left around an object, as a share of its box's longer side.
        caption_field: a field with a text that says what each whole image shows. The word goes where the text has
            ``{}``, the placeholder or the label.
        name: of the word's files; by default the placeholder's letters.
        model: the diffusion model that learns it, the built-in one by default.
        device: for the model; the best one there is by default.
        folder: where words go by name; see ``generator.inversion.files``.
        overwrite: begin anew where a word of that name is there.
        progress: called after each step.
        initializer, vectors, captions, steps, batch_size, learning_rate, schedule, warmup, weight_decay, flip, crops,
            outside, lora, seed, checkpoint_every, preview_every, previews, preview_prompt: as the fields of
            ``generator.inversion.settings.Inversion``.

    Returns:
        The word, which is on disk then.

    Raises:
        InvalidSetting: a setting is wrong, the placeholder is a word already, or the name is taken.
        DatasetError: no such field or label, or a text that has no place for the word.
        ImageError: too few or too many examples.
        ModelError: a model that cannot be loaded, or learns no words.
    """
    settings = Inversion.model_validate(
        {
            "placeholder": placeholder,
            "initializer": initializer,
            "vectors": vectors,
            "captions": captions,
            "steps": steps,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "schedule": schedule,
            "warmup": warmup,
            "weight_decay": weight_decay,
            "flip": flip,
            "crops": crops,
            "outside": outside,
            "lora": lora,
            "seed": seed,
            "checkpoint_every": checkpoint_every,
            "preview_every": preview_every,
            "previews": previews,
            "preview_prompt": preview_prompt,
        }
    )
    if not 0 <= margin <= 1:
        raise InvalidSetting("margin", margin, "give a share of the box from 0 to 1")
    files = check_word(
        samples,
        settings,
        field=field,
        label=label,
        crop=crop,
        caption_field=caption_field,
        name=name,
        model=model,
        folder=folder,
        overwrite=overwrite,
    )
    dataset = dataset_of(samples)
    labels = None if field is None else label_field(dataset, field)
    wanted = None if labels is None else wanted_label(samples, labels, label)
    chosen, about = model or "tiny", {"dataset": dataset.name, "model": model or "tiny"}

    from diffucurate.generator.inversion.training import learn_word

    facts = {**about, "field": field, "label": wanted, "crop": crop, "settings": settings.model_dump(mode="json")}
    with runs.recorded(dataset, "train_token", {**facts, "path": str(files.word)}) as run:
        examples = list(_examples(samples, labels, wanted, crop, margin, caption_field, placeholder, run))
        run.facts["examples"] = len(examples)
        pipe = _pipeline(chosen, device, len(examples))
        learned = learn_word(pipe, examples, settings, files, overwrite=overwrite, about=about, progress=progress)
        run.facts |= {"steps": len(learned.losses), "loss": learned.loss}
    return learned


def _pipeline(model: str, device: str | None, examples: int) -> Any:
    """The pipeline in float32, as gradients are too small for half precision. Loaded last, as that takes the
    longest, and whole on the device: gradients go through weights that must not be moved meanwhile."""
    import torch

    from diffucurate.generator.inversion.amount import check_count
    from diffucurate.generator.models.load import load_pipeline

    check_count(examples)
    return load_pipeline(model, device, torch.float32, memory="off")


def _examples(
    samples: fo.Dataset | fo.DatasetView,
    field: LabelField | None,
    label: str | None,
    crop: bool,
    margin: float,
    caption_field: str | None,
    placeholder: str,
    run: runs.Run,
) -> Iterator[Example]:
    from diffucurate.generator.inversion.examples import Example

    for sample in samples:
        try:
            image = read_image(sample.filepath)
            shape = (image.shape[0], image.shape[1])
            read = ReadObjects([], {}) if field is None else objects_in(sample[field.name], shape, field)
        except OSError:
            note_failure(run, sample.id, f"'{sample.filepath}' cannot be read")
            continue
        except ImageError as error:
            note_failure(run, sample.id, str(error))
            continue
        for reason in read.left_out.values():
            note_failure(run, sample.id, f"{sample.filepath}: {reason}")
        shown = [each for each in read.objects if each.label == label]
        caption = None if caption_field is None else _caption(sample, caption_field, placeholder, label)
        if field is None:
            yield Example(image, None, caption)
        elif shown and crop:
            yield from (_cut_out(image, each, margin) for each in shown)
        elif shown:
            mask = np.logical_or.reduce([each.mask for each in shown])
            yield Example(image, mask, caption)


def _cut_out(image: NDArray[np.uint8], shown: LabelledObject, margin: float) -> Example:
    """A square around the object, cut off at the image's border, so that training crops no part of the object."""
    from diffucurate.generator.inversion.examples import Example

    rows, columns = np.flatnonzero(shown.mask.any(axis=1)), np.flatnonzero(shown.mask.any(axis=0))
    tall, wide = rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]
    side = round(max(tall, wide) * (1 + 2 * margin))
    parts = []
    for first, length, whole in ((rows[0], tall, image.shape[0]), (columns[0], wide, image.shape[1])):
        start = min(max(0, first + length // 2 - side // 2), max(0, whole - side))
        parts.append(slice(int(start), int(min(whole, start + side))))
    return Example(image[parts[0], parts[1]], shown.mask[parts[0], parts[1]])


def _caption(sample: fo.Sample, field: str, placeholder: str, label: str | None) -> str:
    text = sample[field] or ""
    for part in (SLOT, placeholder, *((label,) if label else ())):
        pattern = re.escape(part) if part == SLOT else rf"(?<!\w){re.escape(part)}(?!\w)"
        if re.search(pattern, text):
            return re.sub(pattern, SLOT, text, count=1).replace("\n", " ")
    remedy = f"write {SLOT} where '{placeholder}' belongs"
    raise DatasetError(f"'{field}' of sample {sample.id} has no place for the word in {text!r}; {remedy}")
