"""Learns a new word: examples, settings and a pipeline become vectors that prompts can use.

The model denoises prepared latents; only the word's vectors, and low-rank changes where the settings name them, have
gradients. A run that is stopped, also by an error in the ``progress`` callback, leaves a checkpoint from which the same
call continues. Knows neither datasets nor forms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diffucurate.generator.errors import ModelError
from diffucurate.generator.inversion.checkpoints import load_checkpoint, save_checkpoint, save_tensors
from diffucurate.generator.inversion.earlier import check_steps, read_about, taken
from diffucurate.generator.inversion.examples import Example, Prepared, check_examples, prepare, with_word
from diffucurate.generator.inversion.files import WordFiles
from diffucurate.generator.inversion.loss_plot import recent_loss
from diffucurate.generator.inversion.low_rank import frozen, low_rank, save_low_rank
from diffucurate.generator.inversion.objective import error, noise_schedule
from diffucurate.generator.inversion.settings import Inversion
from diffucurate.generator.inversion.vocabulary import NewWord, check_room, learning
from diffucurate.generator.models.load import native_size
from diffucurate.generator.painting.pipeline_call import without_progress_bar
from diffucurate.generator.progress import Listener, Meter

#: Steps and guidance of preview images.
_PREVIEW_STEPS, _PREVIEW_GUIDANCE = 20, 5.0


@dataclass(frozen=True)
class TrainResult:
    """A word that was learned: its file, that of the low-rank changes if there are some, the loss of each step, and
    the last preview images."""

    placeholder: str
    path: Path
    lora: Path | None
    losses: tuple[float, ...]
    plot: Path
    previews: tuple[Path, ...]

    @property
    def loss(self) -> float:
        """The mean of the last tenth of the steps."""
        return recent_loss(self.losses)

    def recipe_parts(self) -> dict[str, Any]:
        """The keys of a recipe that use the word."""
        parts: dict[str, Any] = {"tokens": [{"path": str(self.path), "placeholder": self.placeholder}]}
        return parts if self.lora is None else {**parts, "loras": [{"path": str(self.lora)}]}


def learn_word(
    pipe: Any,
    examples: Sequence[Example],
    settings: Inversion,
    files: WordFiles,
    *,
    overwrite: bool = False,
    about: Mapping[str, Any] | None = None,
    progress: Listener | None = None,
) -> TrainResult:
    """Learn a word from examples and write its files, or go on with a run of the same settings that was stopped.

    A word whose training has ended is trained further with more steps.

    Args:
        pipe: a Stable Diffusion 1.x, 2.x or XL text-to-image pipeline; best in float32. It is left as it was.
        examples: 3 to 50 images of the object, or in the style.
        settings: of the training.
        files: the files to write.
        overwrite: begin anew where the word is there, or a run with other settings or examples.
        about: plain facts to keep with the word.
        progress: called after each step; what it raises stops the run, whose checkpoint is kept.

    Raises:
        ImageError: too few or too many examples, or ones that cannot be used.
        InvalidSetting: the placeholder is a word already, the name is taken, or a caption leaves no room for the word.
        ModelError: the model learns no words, or the vectors grow without end.
    """
    check_examples(examples)
    begun = _begun(files, settings, examples, pipe, overwrite)
    with ExitStack() as stack:
        stack.enter_context(frozen(pipe))
        word = stack.enter_context(
            learning(pipe, settings.placeholder, settings.vectors, settings.initializer, settings.seed)
        )
        changes = stack.enter_context(low_rank(pipe, settings.lora, settings.seed))
        stack.enter_context(without_progress_bar(pipe))
        captions = [settings.templates if example.caption is None else (example.caption,) for example in examples]
        check_room(pipe, word, [text for texts in captions for text in texts])
        if not begun["step"]:
            files.remove()
        run = _Run(pipe, settings, files, word, changes, begun, dict(about or {}), progress)
        run.go(prepare(pipe, examples, settings, native_size(pipe)))
        return run.finished()


class _Run:
    """The state of one training run."""

    def __init__(
        self,
        pipe: Any,
        settings: Inversion,
        files: WordFiles,
        word: NewWord,
        changes: Sequence[nn.Parameter],
        begun: dict[str, Any],
        about: dict[str, Any],
        progress: Listener | None,
    ) -> None:
        self._pipe, self._settings, self._files, self._word = pipe, settings, files, word
        self._begun, self._about, self._progress = begun, about, progress
        self._parameters = [*word.rows, *changes]
        groups: list[dict[str, Any]] = [{"params": list(word.rows), "lr": settings.learning_rate}]
        if settings.lora is not None:
            groups.append({"params": list(changes), "lr": settings.lora.learning_rate})
        self._rates = [group["lr"] for group in groups]
        self._optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
        self._losses: list[float] = []
        if begun["step"]:
            load_checkpoint(files.checkpoint, self._parameters, self._optimiser)
            self._losses = files.read_losses()[: begun["step"]]

    def go(self, prepared: Prepared) -> None:
        """Run all steps that are left."""
        settings, first = self._settings, len(self._losses)
        meter = Meter(self._progress, settings.steps, done=first, images_each=settings.batch_size)
        schedule = noise_schedule(self._pipe)
        saved = first
        try:
            for step in range(first, settings.steps):
                self._losses.append(self._step(step, prepared, schedule))
                done, note = step + 1, ""
                if done % settings.checkpoint_every == 0 or done == settings.steps:
                    self._save()
                    saved, note = done, f"step {done}: loss {self._recent():.4f}"
                if self._wants_previews(done):
                    self._files.write_previews(done, self._painted(), self._preview_prompt())
                meter.reach(done, note)
        finally:
            # A run that stops between two checkpoints is saved too, but not after a loss that is not finite.
            if len(self._losses) > saved and math.isfinite(self._losses[-1]):
                self._save()

    def finished(self) -> TrainResult:
        """Write the word, and the low-rank changes beside it."""
        files, settings = self._files, self._settings
        facts = {
            **self._about,
            "placeholder": settings.placeholder,
            "steps": settings.steps,
            "settings": settings.model_dump(mode="json"),
            "loss": self._recent(),
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        lora = None if settings.lora is None else save_low_rank(self._pipe, files.lora)
        save_tensors(files.word, self._word.tensors(), facts)
        previews = tuple(files.latest_previews())
        return TrainResult(settings.placeholder, files.word, lora, tuple(self._losses), files.plot, previews)

    def _step(self, step: int, prepared: Prepared, schedule: Any) -> float:
        settings = self._settings
        generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
        chosen = _draw(len(prepared), settings.batch_size, generator)
        prompts = [
            with_word(texts[int(torch.randint(len(texts), (), generator=generator))], settings.placeholder)
            for texts in (prepared.captions[index] for index in chosen.tolist())
        ]
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * settings.pace(step)
        with torch.enable_grad(), _mixed(self._pipe):
            loss = error(self._pipe, schedule, prepared.at(chosen), prompts, generator)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ModelError(f"learning '{settings.placeholder}' ran away at step {step + 1}; lower its learning_rate")
        return value

    def _wants_previews(self, done: int) -> bool:
        every = self._settings.preview_every
        return bool(every) and (done % every == 0 or done == self._settings.steps)

    def _preview_prompt(self) -> str:
        return with_word(self._settings.preview_prompt, self._settings.placeholder)

    def _painted(self) -> list[NDArray[np.uint8]]:
        settings, prompt = self._settings, self._preview_prompt()
        with torch.no_grad(), _mixed(self._pipe):
            images = self._pipe(
                [prompt] * settings.previews,
                num_inference_steps=_PREVIEW_STEPS,
                guidance_scale=_PREVIEW_GUIDANCE,
                generator=[torch.Generator().manual_seed(settings.seed + k) for k in range(settings.previews)],
                output_type="np",
            ).images
        return list((images * 255).round().astype(np.uint8))

    def _save(self) -> None:
        self._files.write_losses(self._losses)
        facts = {**self._begun, "step": len(self._losses)}
        save_checkpoint(self._files.checkpoint, self._parameters, self._optimiser, facts)

    def _recent(self) -> float:
        return round(recent_loss(self._losses), 5)


def _begun(
    files: WordFiles, settings: Inversion, examples: Sequence[Example], pipe: Any, overwrite: bool
) -> dict[str, Any]:
    """What identifies the run, and the step at which it begins: that of a checkpoint of the same run, else 0."""
    run = {
        "settings": settings.preparation(),
        "examples": [example.digest() for example in examples],
        "model": type(pipe).__name__,
        "step": 0,
    }
    earlier = read_about(files.checkpoint)
    if earlier is not None and {**earlier, "step": 0} == run and not overwrite:
        check_steps(files, settings, earlier["step"])
        return earlier
    if (earlier is not None or files.word.exists()) and not overwrite:
        raise taken(files)
    return run


def _draw(count: int, size: int, generator: torch.Generator) -> Tensor:
    """(size,) indices below ``count``, no two the same where there are enough."""
    if size <= count:
        return torch.randperm(count, generator=generator)[:size]
    return torch.randint(count, (size,), generator=generator)


def _mixed(pipe: Any) -> AbstractContextManager[Any]:
    """Mixed precision with bfloat16, on a GPU that supports it; weights and vectors keep their own precision."""
    if pipe.device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", torch.bfloat16)
    return nullcontext()
