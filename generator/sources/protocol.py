"""What label sources and their callers agree on: images go in with what is known of them, ``Labels`` come out.

``LabelSource`` is for whoever looks at pixels alone. ``Labeller`` is what the registry's sources are loaded as: it
may use the prompt and the kept class maps of an image too, and may return maps to be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diffucurate.generator.labels.maps.stored_maps import Heatmaps
    from diffucurate.generator.labels.model import Labels

S = TypeVar("S")

#: Images that a source labels at once, unless it is told another number.
DEFAULT_BATCH = 16


class LabelSource(Protocol):
    """Anything that labels images.

    ``name`` is short and lower-case: it begins the names of the fields that the labels are stored in. A source that has
    classes of its own may say by an attribute ``unseen`` which of those that were asked for it has none for, and by
    ``unmapped`` which of its own are none of those asked for.
    """

    name: str

    def label(self, images: Sequence[NDArray[np.uint8]], /) -> list[Labels]:
        """Labels for each image, (H, W, 3) uint8 RGB of any size; all of one set of classes."""
        ...


class ImageToLabel(Protocol):
    """An image with what is known of it."""

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB."""
        ...

    @property
    def prompt(self) -> str | None:
        """What the image shows, None where nobody knows."""
        ...

    def kept_maps(self) -> Heatmaps | None:
        """The raw class maps that are kept beside the image, None where there are none that can be read."""
        ...

    def maps_model(self) -> str | None:
        """The model that made the kept maps, None where nobody knows."""
        ...


class LabelResult(NamedTuple):
    """``heatmaps`` are raw class maps that ``model`` made, to be kept beside the image; None where it keeps those it
    has."""

    labels: Labels
    heatmaps: Heatmaps | None = None
    model: str | None = None


@dataclass(frozen=True)
class LabelRequest(Generic[S]):
    """What a source is asked to do.

    ``classes`` maps each class to the phrases that mean it, in the order of their ids. ``options`` are values of the
    source's ``SourceOption``s, None or absent where nothing was chosen. ``batch_size`` is a number of images,
    ``device`` as torch names it; both are up to the source where they are None. ``painters`` gives the models that
    painted the images, in any order.
    """

    classes: Mapping[str, tuple[str, ...]]
    settings: S
    options: Mapping[str, Any] = field(default_factory=dict)
    device: str | None = None
    batch_size: int | None = None
    painters: Callable[[], Sequence[str]] = list


class Labeller(Protocol):
    """A source that is loaded and knows what to do."""

    @property
    def request(self) -> LabelRequest[Any]:
        """What it does: the request with all that it left open and the source has chosen."""
        ...

    @property
    def unseen(self) -> Sequence[str]:
        """The classes that were asked for and that it cannot find in any image."""
        ...

    @property
    def unmapped(self) -> Sequence[str]:
        """Its own classes that are none of those asked for, so that what it finds of them is left out."""
        ...

    def results(self, images: Sequence[ImageToLabel]) -> Iterator[tuple[int, LabelResult]]:
        """The index of each image and its labels, as soon as they are made and in any order.

        Raises:
            LabelError, ModelError: an image cannot be labelled.
        """
        ...


class PixelLabeller:
    """The ``Labeller`` of a ``LabelSource``: each image's pixels are all that it is labelled by."""

    def __init__(self, source: LabelSource, request: LabelRequest[Any]) -> None:
        self.request = request
        self._source = source

    @property
    def unseen(self) -> Sequence[str]:
        return tuple(getattr(self._source, "unseen", ()))

    @property
    def unmapped(self) -> Sequence[str]:
        return tuple(getattr(self._source, "unmapped", ()))

    def results(self, images: Sequence[ImageToLabel]) -> Iterator[tuple[int, LabelResult]]:
        count = self.request.batch_size or DEFAULT_BATCH
        for start in range(0, len(images), count):
            batch = [image.pixels for image in images[start : start + count]]
            for index, labels in enumerate(self._source.label(batch), start):
                yield index, LabelResult(labels)
