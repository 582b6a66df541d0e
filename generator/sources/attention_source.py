"""Labels from a diffusion model's attention: of images it painted, from their maps, and of any other image.

An image that the model did not paint is encoded, its latent noised to a middle step, and the model's attention
read while it takes that noise out again, guided by the image's prompt or by the names of the classes. A class is found
by the words that mean it, and by a token where one was learned for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.attention.class_tokens.calibration import mean_of_peaks
from diffucurate.generator.attention.class_tokens.class_tokens import ClassToken, embeddings, find_token
from diffucurate.generator.attention.families import family_of
from diffucurate.generator.attention.families.presets import preset_of
from diffucurate.generator.attention.image_passes.image_pass import ImagePass
from diffucurate.generator.attention.probe.class_evidence import Evidence, Heatmaps, gather
from diffucurate.generator.attention.probe.contrast import contrasted
from diffucurate.generator.attention.probe.flow_images import LEVEL, Way, flow_maps
from diffucurate.generator.attention.probe.image_latents import (
    check_images,
    check_timesteps,
    class_prompts,
    noise_steps,
    working_size,
)
from diffucurate.generator.attention.settings import BUILT_IN, TraceSettings
from diffucurate.generator.attention.trace.attribution import attributable
from diffucurate.generator.errors import InvalidSetting, LabelError
from diffucurate.generator.labels.from_maps import labels_from_maps
from diffucurate.generator.labels.model import Labels
from diffucurate.generator.labels.settings import DEFAULT_SETTINGS, LabelSettings
from diffucurate.generator.models.fit import in_batches
from diffucurate.generator.models.load import load_pipeline
from diffucurate.generator.text.class_mentions import find_phrases
from diffucurate.generator.text.class_names import phrases_of, some_of

#: The noise steps at which images are looked at by settings that name none.
_TIMESTEPS = (100, 200, 300)


class AttentionSource:
    """Labels by attention.

    Args:
        classes: class -> the phrases that mean it in a prompt; the first stands for it where there is no prompt.
        model: for images painted elsewhere; see ``load_pipeline``. Loaded when it is first needed.
        device: for the model.
        settings: how maps become labels.
        trace: how attention becomes maps. What it says of noise does not apply: ``timesteps`` say it here. By default
            what suits the model (``attention.families.presets``), and ``BUILT_IN``, by which tokens are learned, where
            there are tokens.
        timesteps: the noise steps at which an image is looked at, one pass through the model each. Low noise
            finds most: the objects are still there to be recognised. By default the trace's own one pass, such as 100
            (GoCA); else 150 in models in which text and image are one sequence, 100, 200 and 300 in others.
        seed: of the noise.
        batch_size: images at once; by default what usually fits the device.
        tokens: class -> the learned token that helps to find it, itself or by its name: such a class's map is made of
            the token's and the words', which err in different places: the mean of both, each divided by its peak. Where
            the settings' ``cut`` is "learned", they are weighed and cut as was learned with the token
            (``Calibration``), along the guided filter; by the mask network labels are better (mIoU 0.944 and 0.930 on
            rendered scenes set aside for choosing). Whether a class is looked for at all is up to the image's
            prompt, as ever.
        contrast: whether to ask the model once more without each class of a prompt (``attention.contrast``), which
            finds more of an object and takes as many passes again for each class. By default for images whose prompt
            is known, not for those that are asked for all classes. Only Stable Diffusion 1.x and 2.x have it.
        by: what a model in which text and image are one sequence (Stable Diffusion 3, Flux, Qwen-Image, Z-Image) finds
            classes by: "words" of the prompt, or "concepts" (``attention.concepts``), the first phrase of each class,
            which the prompt need not contain. Words by default: published figures of Flux.1 are better (VOC 2012 mIoU
            70.7, GoCA). Where a prompt is known, only classes that it mentions are looked for, as ever.
        background: concepts that compete with the classes for the pixels.

    Raises:
        InvalidSetting: no classes, a class without phrases, no timesteps, a token of no class, or an unknown one;
            concepts together with tokens or contrast.
        ModelError: a token's file is broken.
    """

    name = "attention"

    def __init__(
        self,
        classes: Mapping[str, Sequence[str]],
        model: str = "tiny",
        device: str | None = None,
        settings: LabelSettings = DEFAULT_SETTINGS,
        *,
        trace: TraceSettings | None = None,
        timesteps: Sequence[int] | None = None,
        seed: int = 0,
        batch_size: int | None = None,
        tokens: Mapping[str, ClassToken | str] | None = None,
        contrast: bool | None = None,
        by: Way = "words",
        background: Sequence[str] = ("background",),
    ) -> None:
        if not classes or not all(classes.values()):
            raise InvalidSetting("classes", dict(classes), "name at least one class, each with at least one phrase")
        if timesteps is not None and not timesteps:
            raise InvalidSetting("timesteps", list(timesteps), "name at least one noise step, such as 200")
        if by == "concepts" and (tokens or contrast):
            raise InvalidSetting("by", by, "concepts go neither with learned tokens nor with contrast; leave these out")
        for label in tokens or {}:
            if label not in classes:
                raise InvalidSetting("tokens", label, f"it is none of the classes ({some_of(classes)}); add it to them")
        self.classes = phrases_of(classes)
        self._tokens = {
            label: find_token(token) if isinstance(token, str) else token for label, token in (tokens or {}).items()
        }
        learned = tuple(label for label, token in self._tokens.items() if token.calibration is not None)
        self.settings = settings
        #: The classes whose maps are to be cut where it was learned; see ``labels_from_heatmaps``.
        self.calibrated = learned if self.settings.cut == "learned" else ()
        self._model, self._device = model, device
        self._trace = BUILT_IN if trace is None and self._tokens else trace
        self._timesteps = None if timesteps is None else tuple(timesteps)
        self._seed, self._batch_size = seed, batch_size
        self._contrast, self._by, self._background = contrast, by, tuple(background)

    def from_maps(
        self, heatmaps: Mapping[str, NDArray[np.floating]], image: NDArray[np.uint8], prompt: str | None = None
    ) -> Labels:
        """Labels from raw class maps of an (H, W, 3) RGB image that were kept: no model is loaded.

        ``prompt`` is what it shows, None where nobody knows; it says how many objects of a class there are. No
        threshold was learned for such maps: where the settings say "learned", Otsu's is taken.
        """
        return labels_from_maps(heatmaps, image, self.classes, prompt, self.settings)

    def label(self, images: Sequence[NDArray[np.uint8]], prompts: Sequence[str | None] | None = None) -> list[Labels]:
        """Label images that the model need not have painted. Arguments and errors as for ``heatmaps``."""
        found = self.heatmaps(images, prompts)
        said = [None] * len(images) if prompts is None else prompts
        return [
            labels_from_maps(maps, image, self.classes, prompt, self.settings, self.calibrated)
            for maps, image, prompt in zip(found, images, said, strict=True)
        ]

    def heatmaps(
        self, images: Sequence[NDArray[np.uint8]], prompts: Sequence[str | None] | None = None
    ) -> list[Heatmaps]:
        """The raw class maps of images that the model need not have painted.

        Args:
            images: (H, W, 3) uint8 RGB, of any sizes.
            prompts: what each image shows, None where nobody knows; only classes that a prompt mentions are
                looked for. By default none is known.

        Returns:
            Per image class -> (h, w) float32 >= 0, at the attention's own resolution. The same for the same
            images, prompts and seed, rounding aside, however they are batched.

        Raises:
            LabelError: an image of another shape or dtype, or another number of prompts than of images.
            ModelError: a model that cannot be loaded, traced or used for this, or that has no concepts.
            InvalidSetting: timesteps beyond the model's schedule, or contrast by a model that has none.
        """
        check_images(images)
        prompts = [None] * len(images) if prompts is None else list(prompts)
        if len(prompts) != len(images):
            raise LabelError(f"{len(prompts)} prompts were given for {len(images)} images; give one each, or None")
        pipe: Any = load_pipeline(self._model, self._device)
        trace, timesteps = self._how(pipe)
        check_timesteps(pipe, timesteps)
        for token in self._tokens.values():
            token.check(attributable(pipe))
        family = family_of(pipe)
        image_pass = family.image_pass()
        if image_pass is not None:
            return self._by_flow(image_pass, images, prompts, trace, timesteps)
        if self._by == "concepts":
            family.concepts()  # says why there are none

        heatmaps: list[Heatmaps] = [{} for _ in images]
        rows: dict[tuple[tuple[int, int], bool], list[_Row]] = defaultdict(list)
        names = class_prompts(self.classes, pipe.tokenizer)
        for index, (image, prompt) in enumerate(zip(images, prompts, strict=True)):
            contrast = prompt is not None if self._contrast is None else self._contrast
            alike = working_size(pipe, image.shape[1], image.shape[0]), contrast
            for text in names if prompt is None else [prompt]:
                mentioned = find_phrases(text, self.classes)
                rows[alike].append(_Row(index, text, tuple(label for label in self._tokens if label in mentioned)))
        for (size, contrast), same in rows.items():
            look = partial(self._look, pipe, images, size, contrast, trace, timesteps)
            for batch, found in in_batches(pipe, size, same, look, self._batch_size):
                for row, maps in zip(batch, found, strict=True):
                    heatmaps[row.image].update(maps)
        return heatmaps

    def _by_flow(
        self,
        image_pass: ImagePass,
        images: Sequence[NDArray[np.uint8]],
        prompts: Sequence[str | None],
        trace: TraceSettings,
        timesteps: Sequence[int],
    ) -> list[Heatmaps]:
        """The maps of images by a rectified-flow transformer, one image after the other."""
        pipe = image_pass.pipe
        if self._contrast:
            raise InvalidSetting("contrast", True, f"{type(pipe).__name__} is not asked for it; leave it out")
        tokenizers = [part.tokenizer for part in family_of(pipe).parts() if part.tokenizer is not None]
        names = class_prompts(self.classes, min(tokenizers, key=lambda each: each.model_max_length))
        levels = [step / noise_steps(pipe) for step in timesteps]
        heatmaps: list[Heatmaps] = []
        for image, prompt in zip(images, prompts, strict=True):
            maps: Heatmaps = {}
            for text in names if prompt is None else [prompt]:
                classes = {label: self.classes[label] for label in find_phrases(text, self.classes)}
                if classes:
                    how = (text, classes, levels, self._seed, trace, self._by, self._background)
                    size = image_pass.size(image.shape[1], image.shape[0])
                    look = partial(_flow_maps, image_pass, how)
                    for _, found in in_batches(pipe, size, [image], look, 1):
                        maps.update(found)
            heatmaps.append(maps)
        return heatmaps

    def _how(self, pipe: Any) -> tuple[TraceSettings, tuple[int, ...]]:
        """How attention becomes maps, all passes counting, and the noise steps of these passes."""
        trace = self._trace or preset_of(pipe)
        timesteps = self._timesteps
        if timesteps is None:
            at = LEVEL if trace.pass_at is None and family_of(pipe).image_pass() is not None else trace.pass_at
            timesteps = _TIMESTEPS if at is None else (round(at * noise_steps(pipe)),)
        return trace.changed(noise=(0.0, 1.0), pass_at=None, refine_noise=None), timesteps

    def _look(
        self,
        pipe: Any,
        images: Sequence[NDArray[np.uint8]],
        size: tuple[int, int],
        contrast: bool,
        trace: TraceSettings,
        timesteps: Sequence[int],
        rows: Sequence[_Row],
    ) -> list[Heatmaps]:
        """The maps of those of the images that are in a batch of rows; all are worked on at one size."""
        found = gather(
            pipe,
            [images[row.image] for row in rows],
            [row.prompt for row in rows],
            self.classes,
            embeddings(self._tokens),
            [row.tokens for row in rows],
            size,
            timesteps,
            self._seed,
            trace,
            contrast,
        )
        return [{label: self._weighed(label, evidence) for label in evidence.words} for evidence in found]

    def _weighed(self, label: str, evidence: Evidence) -> NDArray[np.float32]:
        """The map of a class from all that was found of it."""
        words, token, contrast = (maps.get(label) for maps in evidence)
        assert words is not None
        read = self._tokens[label].reading(contrast is not None) if label in self.calibrated else None
        if token is not None and read is not None:
            return read.heat(words, token, contrast)
        heat = words if token is None else mean_of_peaks(words, token)
        return heat if contrast is None else contrasted(heat, contrast)


def _flow_maps(image_pass: ImagePass, how: tuple[Any, ...], images: Sequence[NDArray[np.uint8]]) -> Heatmaps:
    (image,) = images
    return flow_maps(image_pass, image, *how)


class _Row(NamedTuple):
    """An image's number, the prompt that guides the model, and the classes that tokens look for in it."""

    image: int
    prompt: str
    tokens: tuple[str, ...]
