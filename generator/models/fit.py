"""How many images are worked on at once, and what gives way when memory runs out.

First other models that are kept loaded, then, where the decoder needed too much, it works on one image after the other;
else fewer images share a batch. Where a single one is too much, the model's parts take turns on the card, and the
decoder works in tiles. What one image took, and what gave way, is remembered for the next images of that size.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, Literal, TypeVar

from diffucurate.generator.errors import ModelError
from diffucurate.generator.models.card import card_of, empty_caches, out_of_memory
from diffucurate.generator.models.load import MOST_IMAGES, default_batch, release_others
from diffucurate.generator.models.placement import decode, device_of, placed, put, relieved

logger = logging.getLogger(__name__)

_Image = TypeVar("_Image")
_Result = TypeVar("_Result")

#: The share of the free memory that a batch may take.
_SHARE = 0.9


class Fit:
    """What a pipeline has room for at one size of images. Of one that ``load_pipeline`` has not loaded only the decoder
    is changed, and ``close`` undoes it.

    Args:
        pipe: a diffusers pipeline.
        size: (width, height) in pixels.
        batch: images at once that were asked for; None for as many as fit.
        work: what is done with them, as its need of memory differs.
    """

    def __init__(
        self, pipe: Any, size: tuple[int, int], batch: int | None = None, work: Literal["paint", "look"] = "paint"
    ) -> None:
        self._pipe, self._size, self._asked, self._key = pipe, size, batch, (work, *size)
        self._state = placed(pipe)
        self._card = card_of(device_of(pipe)) if self._state is None else self._state.card
        self._sliced_before = bool(getattr(pipe.vae, "use_slicing", False))
        self._released = False
        self.batch = batch or self._default()

    @contextmanager
    def measured(self, count: int) -> Iterator[None]:
        """A block that works on ``count`` images; after it as many share a batch as have room."""
        state = self._state
        grows = self._asked is None and state is not None and state.memory == "auto" and self._key not in state.batches
        if state is None or not grows:
            yield
            return
        free = self._card.free()
        with self._card.measured() as taken:
            yield
        if taken.bytes and free:
            each = taken.bytes / count
            self.batch = max(count, min(MOST_IMAGES, int(free * _SHARE / each)))
            state.batches[self._key] = self.batch

    def relieve(self, count: int, *, decoding: bool) -> str:
        """Make room after ``count`` images at once were too many, and say how.

        Args:
            count: images that did not fit.
            decoding: whether memory ran out in the decoder.

        Raises:
            ModelError: a single image is too much, whatever is done.
        """
        tried = f"out of memory with {count} image{'s' * (count > 1)} at once"
        if not self._released and self._state is not None and self._state.memory != "off":
            self._released = True
            if release_others(self._pipe):
                return f"{tried}; released the other model that was kept"
        if decoding and count > 1 and self._slice():
            return f"{tried}; decoding them one by one"
        if count > 1:
            self._shrink(count // 2)
            return f"{tried}; going on with {count // 2}"
        placement = relieved(self._pipe, decoding=decoding) if self._state is not None else None
        if placement is None:
            width, height = self._size
            raise ModelError(
                f"one image of {width} x {height} px does not fit the memory of {self._card.device}; "
                "use a smaller size, a smaller model or another device"
            )
        put(self._pipe, placement)
        return f"{tried}; {placement.sentence}"

    def close(self) -> None:
        """Let the decoder of a pipeline of somebody else work as before."""
        if self._state is None and bool(getattr(self._pipe.vae, "use_slicing", False)) != self._sliced_before:
            decode(self._pipe, sliced=self._sliced_before, tiled=bool(self._pipe.vae.use_tiling))

    def _default(self) -> int:
        if self._state is None:
            return default_batch(self._pipe, self._size)
        if self._state.memory == "low":
            return 1
        return self._state.batches.get(self._key) or default_batch(self._pipe, self._size)

    def _slice(self) -> bool:
        """Let the decoder work on one image after the other; returns whether it did not yet."""
        if getattr(self._pipe.vae, "use_slicing", True):
            return False
        if self._state is None:
            decode(self._pipe, sliced=True, tiled=bool(self._pipe.vae.use_tiling))
        else:
            put(self._pipe, replace(self._state.placement, sliced=True))
        return True

    def _shrink(self, batch: int) -> None:
        self.batch = batch
        if self._state is not None and self._asked is None:
            self._state.batches[self._key] = batch


def in_batches(
    pipe: Any,
    size: tuple[int, int],
    images: Sequence[_Image],
    work: Callable[[Sequence[_Image]], _Result],
    batch: int | None = None,
) -> Iterator[tuple[Sequence[_Image], _Result]]:
    """Look at images of one size, as many at once as fit; yields each batch with what ``work`` returned of it.

    Raises:
        ModelError: a single image is too much for the memory.
    """
    start = 0
    with closing(Fit(pipe, size, batch, "look")) as fit:
        while start < len(images):
            turn = images[start : start + fit.batch]
            try:
                with fit.measured(len(turn)):
                    result = work(turn)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                decoding = failed_in_decoder(pipe, error)
            else:
                yield turn, result
                start += len(turn)
                continue
            # Only here, the error with its frames and their tensors forgotten, can their memory be freed.
            empty_caches()
            logger.warning(fit.relieve(len(turn), decoding=decoding))


def failed_in_decoder(pipe: Any, error: BaseException) -> bool:
    """Whether an error was raised in a pipeline's autoencoder, by the frames it came through."""
    raised = error.__traceback__
    # Not the frame that catches the error: a look at its variables keeps them, with the error and all its tensors.
    through = None if raised is None else raised.tb_next
    while through is not None:
        if through.tb_frame.f_locals.get("self") is pipe.vae:
            return True
        through = through.tb_next
    return False
