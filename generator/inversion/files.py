"""The files of one learned word in its folder: the word, low-rank changes, a checkpoint, the loss, and preview images.

Torch is not needed: forms ask for the paths of words.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from diffucurate.generator.files.atomic import replacing_file, write_text
from diffucurate.generator.files.trained_folder import checked_name, trained_folder
from diffucurate.generator.inversion.loss_plot import loss_plot

#: Overrides the folder in which learned words go by name.
WORDS_DIR_VARIABLE = "DIFFUCURATE_WORDS_DIR"

#: The text in a preview's file that holds its prompt.
_PROMPT = "prompt"


def words_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder of named words: ``folder``, else that of DIFFUCURATE_WORDS_DIR, else ``~/.diffucurate/words``."""
    return trained_folder("words", WORDS_DIR_VARIABLE, folder)


def word_name(placeholder: str) -> str:
    """The default name of a word's files: its letters, as in ``piano`` for ``<piano>``."""
    return re.sub(r"[^\w-]+", "", placeholder) or "word"


@dataclass(frozen=True)
class WordFiles:
    """The paths of one word's files, whether they are there or not."""

    folder: Path
    name: str

    @classmethod
    def of(cls, name: str, folder: str | os.PathLike[str] | None = None) -> WordFiles:
        """The files of the word of that name, in a folder of its own below ``folder``.

        Raises:
            InvalidSetting: an empty name, or one that would lead out of the folder.
        """
        return cls(words_folder(folder) / checked_name(name, "piano-2"), name)

    @property
    def word(self) -> Path:
        """The word itself, for recipes (``tokens:``)."""
        return self.folder / f"{self.name}.safetensors"

    @property
    def lora(self) -> Path:
        """The low-rank changes that go with it, if any were learned, for recipes (``loras:``)."""
        return self.folder / f"{self.name}-lora.safetensors"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.safetensors"

    @property
    def losses(self) -> Path:
        """JSON lines: step (from 1) and loss."""
        return self.folder / "loss.jsonl"

    @property
    def plot(self) -> Path:
        return self.folder / "loss.png"

    @property
    def previews(self) -> Path:
        """The folder of the preview images, ``<step>-<number>.png``."""
        return self.folder / "previews"

    def remove(self) -> None:
        """Remove all of them, and nothing else."""
        for path in (self.word, self.lora, self.checkpoint, self.losses, self.plot):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.previews, ignore_errors=True)

    def write_losses(self, losses: Sequence[float]) -> None:
        """Write the loss of each step so far, and its plot."""
        lines = [json.dumps({"step": index + 1, "loss": round(loss, 6)}) for index, loss in enumerate(losses)]
        write_text(self.losses, "".join(f"{line}\n" for line in lines))
        _write_image(self.plot, loss_plot(losses))

    def read_losses(self) -> list[float]:
        """The loss of each step that ``write_losses`` wrote; none where it did not."""
        if not self.losses.is_file():
            return []
        return [float(json.loads(line)["loss"]) for line in self.losses.read_text().splitlines()]

    def write_previews(self, step: int, images: Sequence[NDArray[np.uint8]], prompt: str = "") -> list[Path]:
        """Write preview images, each (H, W, 3) uint8 RGB, with the prompt that they were painted from in the file.

        A file of a step is never written twice with other pixels.
        """
        paths = [self.previews / f"{step:06d}-{index}.png" for index in range(len(images))]
        for path, image in zip(paths, images, strict=True):
            _write_image(path, image, prompt)
        return paths

    def latest_previews(self) -> list[Path]:
        """The preview images of the last step that has some, in order."""
        paths = sorted(self.previews.glob("*-*.png"), key=lambda path: [int(part) for part in path.stem.split("-")])
        return [path for path in paths if path.stem.split("-")[0] == paths[-1].stem.split("-")[0]]


def preview_prompt(path: Path) -> str:
    """The prompt that a preview image was painted from; empty where the file does not say.

    Raises:
        OSError: the file cannot be read.
    """
    with Image.open(path) as image:
        return str(image.info.get(_PROMPT, ""))


def _write_image(path: Path, pixels: NDArray[np.uint8], prompt: str = "") -> None:
    about = PngInfo()
    if prompt:
        about.add_itxt(_PROMPT, prompt)
    with replacing_file(path) as part:
        Image.fromarray(pixels).save(part, format="PNG", pnginfo=about)
