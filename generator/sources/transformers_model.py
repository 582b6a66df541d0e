"""Images through a model: loaded from a folder or the hub, in batches of one size, fewer where memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import ModelError
from diffucurate.generator.models.card import empty_caches, out_of_memory
from diffucurate.generator.models.hub import load_local_first
from diffucurate.generator.models.label_models import ModelKind
from diffucurate.generator.models.whole_weights import load_whole

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")
_Image = NDArray[np.uint8]

#: Images that share a batch, unless another number was asked for: at the 800 to 1333 pixels a side that these models
#: look at, more gain little.
USUAL_BATCH = 4


def load_model(kind: ModelKind, model: str, processor_of: Callable[[str, dict[str, Any]], Any]) -> tuple[Any, Any]:
    """A model of a kind, as it was saved, and its processor.

    Args:
        model: a folder or a hub id.
        processor_of: called with the folder or id and the arguments of ``from_pretrained`` that keep it offline and
            let no code of the repository run.

    Raises:
        ModelError: there is no such model, it is of another kind, lacks weights, or needs a newer transformers.
    """

    def from_pretrained(name: str, local_only: bool) -> tuple[Any, Any]:
        import transformers

        config, _ = transformers.PretrainedConfig.get_config_dict(name, local_files_only=local_only)
        architecture = kind.architecture(model, config)
        if not hasattr(transformers, architecture):
            raise ModelError(f"'{model}' needs a newer transformers than {transformers.__version__}; upgrade it")
        loaded = load_whole(getattr(transformers, architecture), name, model, local_files_only=local_only)
        return loaded.eval(), processor_of(name, {"local_files_only": local_only, "trust_remote_code": False})

    remedy = "save model and processor there with .safetensors weights"
    return load_local_first(model, kind.locate(model), from_pretrained, folder_help=remedy)


def in_batches(
    images: Sequence[_Image], most: int, work: Callable[[Sequence[_Image]], Sequence[_Result]], model: str
) -> list[_Result]:
    """What ``work`` returns for each image, in their order.

    Only images of one size share a batch: none is padded, so that an image's result depends on no other.

    Args:
        images: (H, W, 3) uint8 RGB each.
        most: images that share a batch at most.
        work: of images of one size to one result for each.
        model: what it is called in messages.

    Raises:
        ModelError: memory runs out at a single image.
    """
    results: dict[int, _Result] = {}
    for indices in _of_one_size(images):
        start = 0
        while start < len(indices):
            batch = indices[start : start + most]
            try:
                results.update(zip(batch, work([images[index] for index in batch]), strict=True))
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                height, width = images[batch[0]].shape[:2]
                if len(batch) == 1:
                    raise ModelError(
                        f"memory ran out while '{model}' looked at one image of {width} x {height} pixels; use a "
                        "smaller model or smaller images, or device 'cpu'"
                    ) from error
                most = len(batch) // 2
                logger.warning("memory ran out at %d images of '%s'; %d at once from here on", len(batch), model, most)
            else:
                start += len(batch)
                continue
            empty_caches()  # outside of the handler, whose error holds on to the batch's tensors
    return [results[index] for index in range(len(images))]


def _of_one_size(images: Sequence[_Image]) -> Iterator[list[int]]:
    """The indices of images of each size."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(image.shape, []).append(index)
    yield from groups.values()
