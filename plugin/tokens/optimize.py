"""Learns class tokens from samples whose masks are trusted: drawn in the App, or of any other label field.

Knows FiftyOne's kinds of labels; ``generator.attention.class_tokens.token_training`` does the learning.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import DatasetError, ImageError
from diffucurate.generator.models.names import locate
from diffucurate.generator.progress import Listener, Meter
from diffucurate.plugin.store import field_names, runs
from diffucurate.plugin.store.classes import read_classes
from diffucurate.plugin.store.instances import NO_MASK, described
from diffucurate.plugin.store.label_fields import LabelField, learnable_field
from diffucurate.plugin.store.label_objects import objects_in
from diffucurate.plugin.store.media_files import read_image
from diffucurate.plugin.store.samples import dataset_of
from diffucurate.plugin.tokens.start import check_labelled_count, token_paths, wanted_labels

if TYPE_CHECKING:
    from diffucurate.generator.attention.class_tokens.class_tokens import ClassToken

logger = logging.getLogger(__name__)

Masks = dict[str, NDArray[np.bool_]]


def learn_token(
    samples: fo.Dataset | fo.DatasetView,
    field: str,
    classes: str | Sequence[str] | None = None,
    *,
    name: str | None = None,
    model: str | None = None,
    device: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: Listener | None = None,
) -> dict[str, ClassToken]:
    """Learn by which token attention finds a class, and keep it under a name for ``label(..., tokens=[name])``.

    Every pixel of a class in an image has to be in its masks: what is left out is learned as something else. Classes
    that are learned together are rivals of each other, so their tokens distinguish them better than tokens learned
    apart. Images are turned as their EXIF data say, which is what labels are relative to.

    Args:
        samples: a dataset or view; samples without a value in ``field`` are left out, and so are those with a label
            that cannot be read, which are named in the log and in the run's ``failed``. One to five per class will do.
        field: a field of Detections with masks, Polylines or Segmentation.
        classes: one class or several; by default all that the field holds.
        name: of the token; by default the class's name. With several classes, the beginning of their tokens' names:
            ``night`` makes ``night-car`` and ``night-bus``.
        model: the diffusion model that will find the class, the built-in one by default.
        device: for the model; the best one there is by default.
        folder: where the token is kept; see ``generator.models.token_files``.
        overwrite: replace tokens of these names.
        progress: called with the images that were read.

    Returns:
        Name -> the token, which is on disk then.

    Raises:
        DatasetError: no such field, one of another kind, an image that cannot be read, no sample whose labels can be
            read (boxes without masks cannot), or none that shows a class.
        InvalidSetting: a name that cannot be one, or is taken.
        LabelError: a class without a single pixel.
        ModelError: a model that cannot be loaded or used for this.
    """
    dataset = dataset_of(samples)
    trusted = learnable_field(dataset, field)
    labelled = samples.exists(field)
    check_labelled_count(len(labelled), field)
    locate(model or "tiny")  # raises before images are read
    meter, images, masks, prompts, ids = Meter(progress, len(labelled)), [], [], [], []
    failed: dict[str, str] = {}
    for sample in labelled:
        try:
            image = read_image(sample.filepath)
        except OSError:
            raise DatasetError(f"'{sample.filepath}' cannot be read; leave it out") from None
        meter.advance()
        try:
            masks.append(masks_of(sample[field], (image.shape[0], image.shape[1]), trusted))
        except ImageError as error:
            failed[sample.id] = f"{sample.filepath}, {field}: {error}"
            logger.warning("left out: %s", failed[sample.id])
            continue
        images.append(image)
        prompt = sample[field_names.PROMPT] if sample.has_field(field_names.PROMPT) else None
        prompts.append(prompt if isinstance(prompt, str) else None)
        ids.append(sample.id)
    if not masks:
        raise DatasetError(f"no labels in '{field}' can be used: {next(iter(failed.values()))}")
    present = list(dict.fromkeys(each for of_sample in masks for each in of_sample))
    wanted = wanted_labels(classes, present, field)
    paths = token_paths(wanted, name, folder, overwrite=overwrite)

    from diffucurate.generator.attention.class_tokens.token_training import learn_tokens
    from diffucurate.generator.models.load import load_pipeline

    known, chosen = read_classes(dataset), model or "tiny"
    settings = {"field": field, "classes": wanted, "model": chosen, "device": device, "tokens": list(paths)}
    with runs.recorded(dataset, "learn_token", {**settings, "samples": len(labelled)}) as run:
        learned = learn_tokens(
            load_pipeline(chosen, device, memory="off"),
            images,
            [{each: mask for each, mask in of_sample.items() if each in wanted} for of_sample in masks],
            phrases={each: known[each] for each in wanted if each in known},
            prompts=prompts,
            samples=ids,
            model=chosen,
        )
        tokens = {token: learned[each] for token, each in zip(paths, wanted, strict=True)}
        for token, path in paths.items():
            tokens[token].save(path)
        run.facts |= {"failed": failed} if failed else {}
        run.facts["iou"] = {name: token.provenance.iou for name, token in tokens.items()}
    return tokens


def masks_of(value: fo.Label, shape: tuple[int, int], field: LabelField) -> Masks:
    """Class -> (height, width) bool mask of all that a field's value holds of it.

    Raises:
        ImageError: a label that cannot be read, a Detection without a mask, or a segmentation that cannot be read, is
            in colours or has another size.
    """
    boxes = [each for each in value.detections or () if not each.has_mask] if isinstance(value, fo.Detections) else []
    if boxes:
        raise ImageError(described(boxes[0], NO_MASK))
    masks: Masks = {}
    read = objects_in(value, shape, field)
    for reason in read.left_out.values():  # its pixels would be learned as something else
        raise ImageError(reason)
    for each in read.objects:
        masks[each.label] = masks.get(each.label, np.zeros(shape, np.bool_)) | each.mask
    return masks
