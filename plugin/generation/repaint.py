"""Paints the images of samples again, and says whether they came out the same.

The jobs are those that were painted, whatever the samples' fields say now. An image's last bit also depends on
the device, on how many images were painted at once and on the threads of the CPU (``generator.painting.conditions``);
so each is painted in a batch of the same size, with as many threads. Nothing is written but image files that are
missing or damaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import DatasetError, ImageError
from diffucurate.generator.painting.conditions import Conditions
from diffucurate.generator.progress import Listener, Meter
from diffucurate.plugin.provenance.painted_samples import Samples, painted_samples
from diffucurate.plugin.provenance.provenance import Provenance, ProvenanceReader
from diffucurate.plugin.store.media_files import read_image, write_png
from diffucurate.plugin.store.media_folder import is_inside, media_folder

if TYPE_CHECKING:
    from diffucurate.generator.jobs.jobs import Job
    from diffucurate.generator.painting.painter import Painting

#: What images of one batch have in common: what decides them, whether a safety checker runs, and the conditions.
_Key: TypeAlias = "tuple[object, bool | None, Conditions]"

#: The conditions where none were recorded: an image painted alone.
_UNKNOWN = Conditions("", 1, 0)


@dataclass(frozen=True, eq=False)
class RepaintResult:
    """One image, painted again.

    Attributes:
        provenance: of the sample, with the job that was painted.
        image: (H, W, 3) uint8 RGB.
        conditions: under which it was painted now.
        filepath: the sample's image file.
        restored: whether that file was missing or damaged, and now holds ``image``.
        different: how many pixels differ from the file's; None for a restored file and for one of another size.
        levels: the largest difference in any channel, of 255.
    """

    provenance: Provenance
    image: NDArray[np.uint8]
    conditions: Conditions
    filepath: str
    restored: bool
    different: int | None
    levels: int

    @property
    def identical(self) -> bool:
        """Whether every pixel is that of the file."""
        return self.different == 0

    @property
    def verdict(self) -> str:
        """One sentence for people."""
        height, width = self.image.shape[:2]
        if self.restored:
            return f"The image file was missing or damaged. It was painted again and restored: {self.filepath}"
        if self.different is None:
            return f"The image file was changed: it is not {width} x {height} px any more. It was left as it is."
        if self.identical:
            return "Painted again, it is identical: every pixel is the same."
        share = f"Painted again, it differs in {self.different:,} of {width * height:,} pixels"
        return f"{share}, by at most {self.levels} of 255 levels. {self._reason()} The file was left as it is."

    def _reason(self) -> str:
        then, now = self.provenance.conditions, self.conditions
        if then is None:
            return "How many images were painted at once was not recorded then, and that changes the rounding."
        if then.device != now.device:
            return f"It was painted on {then.device}, now on {now.device}."
        if then != now:
            return f"There was memory for {now.batch_size} images at once only, not for {then.batch_size} as then."
        return "Either the file was changed, or the model, the package versions or the machine are others than then."


def repaint(samples: Samples, *, progress: Listener | None = None) -> list[RepaintResult]:
    """Paint the images of samples again.

    On the same machine, with the same packages and model, the pixels are identical. A missing or damaged image file
    is restored where it lies in the dataset's own folder; nothing else is written.

    Args:
        samples: a sample, several of one dataset, a dataset or a view of whole images.
        progress: called after each batch.

    Returns:
        One result per sample, in the samples' order.

    Raises:
        DatasetError: a sample was not painted by Diffucurate, its run was deleted, its file cannot be restored, or the
            init image was deleted or changed.
        ModelError: the model cannot be loaded, or one image is too much for the memory.
    """
    dataset, whole = painted_samples(samples)
    reader = ProvenanceReader(dataset)
    origins = {sample.id: reader.provenance(sample) for sample in whole}
    painted: dict[str, Painting] = {}
    meter = Meter(progress, len(origins))
    for key, group in _alike(origins.values()).items():
        for origin, painting in zip(group, _paint(group, key), strict=True):
            painted[origin.sample_id] = painting
            meter.advance()
    folder = media_folder(dataset)
    return [_compared(sample.filepath, origins[sample.id], painted[sample.id], folder) for sample in whole]


def _alike(origins: Iterable[Provenance]) -> dict[_Key, list[Provenance]]:
    """The samples that can share a batch, by what they have in common."""
    from diffucurate.generator.painting.painter import together

    groups: dict[_Key, list[Provenance]] = {}
    for origin in origins:
        key = (together(origin.job), origin.recipe.safety_checker, origin.conditions or _UNKNOWN)
        groups.setdefault(key, []).append(origin)
    return groups


def _paint(group: Sequence[Provenance], key: _Key) -> Iterator[Painting]:
    """Paint a group in batches of its size, the last one filled up with copies of its last job."""
    from diffucurate.generator.models.load import load_pipeline
    from diffucurate.generator.models.safety_checker import safety_checked
    from diffucurate.generator.painting.painter import paint
    from diffucurate.plugin.generation.init_reader import InitImageReader
    from diffucurate.plugin.generation.layout_reader import LayoutReader

    _, checker, conditions = key
    jobs: list[Job] = [origin.job for origin in group]
    jobs += [jobs[-1]] * (-len(jobs) % conditions.batch_size)
    pipe = load_pipeline(jobs[0].model, _device(conditions.device))
    with _threads(conditions.threads), safety_checked(pipe, checker):
        paintings = paint(
            jobs,
            pipe=pipe,
            batch_size=conditions.batch_size,
            init_images=InitImageReader(),
            layouts=LayoutReader(),
        )
        try:
            for _, painting in zip(group, paintings, strict=False):
                yield painting
        except ImageError as error:
            raise DatasetError(f"an image cannot be painted again without what it was painted from: {error}") from error


def _device(recorded: str) -> str | None:
    """The recorded device where this machine has it, else None for the best one."""
    import torch

    from diffucurate.generator.models.load import default_device

    if not recorded or torch.device(recorded).type not in ("cpu", default_device()[0]):
        return None
    return recorded if (torch.device(recorded).index or 0) < max(torch.cuda.device_count(), 1) else None


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let torch use so many threads of the CPU, which other libraries in the process may have changed; 0: as it is."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _compared(path: str, origin: Provenance, painting: Painting, folder: Path) -> RepaintResult:
    restored, different, levels = False, None, 0
    try:
        before = read_image(path)
    except OSError:
        if not is_inside(path, folder):  # what an imported dataset names may be anybody's file
            raise DatasetError(
                f"the image file '{path}' cannot be restored: it is not in the dataset's own folder {folder}, where "
                "alone files are written; put the image back, or generate it anew"
            ) from None
        try:
            write_png(Path(path), painting.image)
        except OSError as error:
            raise DatasetError(f"the image file '{path}' cannot be restored: {error.strerror or error}") from error
        restored = True
    else:
        if before.shape == painting.image.shape:
            gaps = np.abs(before.astype(np.int16) - painting.image).max(axis=-1)
            different, levels = int((gaps > 0).sum()), int(gaps.max())
    return RepaintResult(origin, painting.image, painting.conditions, path, restored, different, levels)
