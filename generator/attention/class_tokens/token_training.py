"""Learns class tokens from a few images with trusted masks (token optimisation: OVAM, Marcos-Manchon et al. 2024).

The queries of the pixels do not depend on the text that is attributed, so the model denoises the images once for them
(``training_views``), and then only the tokens are fitted (``token_fit``). Classes that are learned together are each
other's rivals. The model then denoises the images once more, with the tokens: their evidence, that of the words and the
contrast are compared with the same masks, which gives the threshold of each class (``calibration``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diffucurate.generator.attention.class_tokens.calibration import Calibration, calibrate
from diffucurate.generator.attention.class_tokens.class_tokens import ClassToken, Provenance, embeddings, fingerprint
from diffucurate.generator.attention.class_tokens.token_fit import class_ious, fit_tokens, start_states
from diffucurate.generator.attention.class_tokens.training_views import Masks, batches, training_views
from diffucurate.generator.attention.probe.class_evidence import Evidence, gather
from diffucurate.generator.attention.probe.image_latents import (
    check_images,
    check_timesteps,
    class_prompts,
)
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.attention.trace.attribution import attributable
from diffucurate.generator.attention.trace.queries import model_name
from diffucurate.generator.errors import InvalidSetting, LabelError, ModelError
from diffucurate.generator.text.class_mentions import find_phrases

#: Noise steps at which images are denoised, those of ``AttentionSource``.
TIMESTEPS = (100, 200, 300)

#: Pull towards the words: the weight of a token's squared distance, as against one image's mean cross-entropy. On
#: rendered scenes set aside for choosing, labels by tokens alone had mIoU 0.87, 0.89 and 0.88 with 0.0012, 0.004 and
#: 0.02 (five samples for each class); with one sample, and words beside them, 0.89 with 0.004 and 0.88 with 0.02.
PULL = 0.004


def learn_token(
    pipe: Any, images: Sequence[NDArray[np.uint8]], masks: Sequence[NDArray[np.bool_]], label: str, **options: Any
) -> ClassToken:
    """Learn the token of one class from (H, W, 3) uint8 RGB images and (H, W) bool masks of all that is of the class.

    Options and errors as for ``learn_tokens``.
    """
    return learn_tokens(pipe, images, [{label: mask} for mask in masks], **options)[label]


def learn_tokens(
    pipe: Any,
    images: Sequence[NDArray[np.uint8]],
    masks: Sequence[Masks],
    *,
    phrases: Mapping[str, str | Sequence[str]] | None = None,
    prompts: Sequence[str | None] | None = None,
    samples: Sequence[str] = (),
    trace: TraceSettings | None = None,
    timesteps: Sequence[int] = TIMESTEPS,
    seed: int = 0,
    pull: float = PULL,
    model: str | None = None,
) -> dict[str, ClassToken]:
    """Learn the tokens of several classes together, as rivals of each other.

    Args:
        pipe: a Stable Diffusion 1.x or 2.x text-to-image pipeline.
        images: (H, W, 3) uint8 RGB, of any sizes.
        masks: per image class -> (H, W) bool, all pixels of the class; a class that is left out is not in the image.
        phrases: class -> the words that mean it in prompts; it starts from the first. By default the class's name.
        prompts: the prompt of each image, None where unknown: then the names of the classes guide the model.
        samples: names of the images in the provenance, such as ids or paths.
        trace: which attention is read. Its range of noise does not apply, as ``timesteps`` replace it.
        timesteps: the noise steps at which the images are denoised.
        seed: of the noise.
        pull: weight of the tokens' squared distance from the words that they start from, above 0.
        model: name of the model in the provenance; by default what the pipeline was loaded from.

    Returns:
        Class -> its token, in the order in which the masks name the classes.

    Raises:
        LabelError: no images, images or masks of another shape or dtype, or a class whose masks are all empty.
        InvalidSetting: timesteps beyond the model's schedule, or a ``pull`` that is not above 0.
        ModelError: a model that cannot be traced or used for this.
    """
    labels = list(dict.fromkeys(label for each in masks for label in each))
    _check(images, masks, labels)
    if not pull > 0:
        raise InvalidSetting(
            "pull", pull, "use a number above 0: without it tokens of separable masks grow without end"
        )
    check_timesteps(pipe, timesteps)
    if getattr(pipe, "unet", None) is None:
        raise ModelError(
            f"{type(pipe).__name__} needs more than a prompt to learn tokens; use a Stable Diffusion 1.x or 2.x model"
        )
    settings = (trace or TraceSettings()).changed(noise=(0.0, 1.0), refine_noise=None)
    phrases_of = {label: (phrases or {}).get(label, label) for label in labels}
    classes = {label: (words,) if isinstance(words, str) else tuple(words) for label, words in phrases_of.items()}
    words = {label: texts[0] for label, texts in classes.items()}
    usual = class_prompts(classes, pipe.tokenizer)[0]
    guides = [prompt or usual for prompt in prompts or [None] * len(images)]
    views = training_views(pipe, images, masks, labels, guides, settings, timesteps, seed)
    start = torch.stack(start_states(pipe, words))
    tokens, loss = fit_tokens(views, start, pull / len(images))
    ious = class_ious(views, tokens)
    layers, now = fingerprint(attributable(pipe)), datetime.now(UTC).isoformat(timespec="seconds")
    learned = {}
    for index, label in enumerate(labels):
        about = Provenance(
            model=model or str(model_name(pipe)),
            fingerprint=layers,
            samples=tuple(samples),
            rivals=tuple(other for other in labels if other != label),
            timesteps=tuple(timesteps),
            seed=seed,
            optimiser=f"L-BFGS, pull {pull:g}",
            loss=loss,
            iou=ious[index],
            made=now,
        )
        learned[label] = ClassToken(label, torch.stack([tokens[0], tokens[1 + index]]), about)
    plain, contrasted = _calibrations(pipe, images, masks, guides, learned, classes, settings, timesteps, seed)
    return {
        label: replace(token, calibration=plain.get(label), contrasted=contrasted.get(label))
        for label, token in learned.items()
    }


def _calibrations(
    pipe: Any,
    images: Sequence[NDArray[np.uint8]],
    masks: Sequence[Masks],
    prompts: Sequence[str],
    tokens: Mapping[str, ClassToken],
    classes: Mapping[str, Sequence[str]],
    settings: TraceSettings,
    timesteps: Sequence[int],
    seed: int,
) -> tuple[dict[str, Calibration], dict[str, Calibration]]:
    """Class -> the calibration of its maps, without contrast and with it, from the images that show it and whose prompt
    mentions it."""
    named = [tuple(find_phrases(prompt, classes)) for prompt in prompts]
    usable: dict[str, list[tuple[int, Evidence]]] = defaultdict(list)
    for size, indices in batches(pipe, images):
        evidences = gather(
            pipe,
            [images[k] for k in indices],
            [prompts[k] for k in indices],
            classes,
            embeddings(tokens),
            [named[k] for k in indices],
            size,
            timesteps,
            seed,
            settings,
            True,
        )
        for k, evidence in zip(indices, evidences, strict=True):
            for label in evidence.words.keys() & evidence.tokens.keys() & masks[k].keys():
                usable[label].append((k, evidence))
    plain, contrasted = dict[str, Calibration](), dict[str, Calibration]()
    for label, rows in usable.items():
        shown, truths = [images[k] for k, _ in rows], [masks[k][label] for k, _ in rows]
        words, by_token = (
            [evidence.words[label] for _, evidence in rows],
            [evidence.tokens[label] for _, evidence in rows],
        )
        plain[label] = calibrate(shown, truths, words, by_token)
        contrasted[label] = calibrate(
            shown, truths, words, by_token, [evidence.contrast[label] for _, evidence in rows]
        )
    return plain, contrasted


def _check(images: Sequence[NDArray[np.uint8]], masks: Sequence[Masks], labels: Sequence[str]) -> None:
    check_images(images)
    if not images or len(masks) != len(images):
        raise LabelError(f"{len(masks)} masks were given for {len(images)} images; give at least one, and one each")
    for index, (image, each) in enumerate(zip(images, masks, strict=True)):
        for label, mask in each.items():
            if mask.shape != image.shape[:2] or mask.dtype != np.bool_:
                raise LabelError(
                    f"mask of '{label}' in image {index} is {mask.dtype} {mask.shape}, expected bool {image.shape[:2]}"
                )
    for label in labels:
        if not any(label in each and each[label].any() for each in masks):
            raise LabelError(f"no mask of '{label}' holds a pixel; give at least one image that shows it")
    if not labels:
        raise LabelError("the masks name no class; give class -> mask for each image")
