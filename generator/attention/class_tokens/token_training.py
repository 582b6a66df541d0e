"""Learns class tokens from a few images with trusted masks (token optimisation: OVAM, Marcos-Manchon et al. 2024).

The pixels' queries do not depend on the text that is attributed, so the model looks at the images once for them; then
only the tokens are fitted: scores as in ``token_contest``, cross-entropy between the shares and the masks at the maps'
own size, and a pull towards the class's own word, which is what holds where few masks say little. Classes that are
learned together learn to tell each other apart. The model then looks once more, with the tokens: what they, the words
and the contrast find there is held against the same masks, which says how hot a pixel of a class must be
(``calibration``). Scores
are linear in the tokens, so this is logistic regression, with one best answer. On exact masks of 28 rendered scenes
L-BFGS finds it in 3 seconds (loss 0.3424). Adam comes as near at a rate of 0.3 in 300 steps (0.3426, five times as
long), and so does OVAM's SGD, whose rate falls to 0.7 of itself eight times, at 30 in 800 steps (0.3426, sixteen times
as long); at 100, OVAM's own, it ends at 0.351.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffucurate.generator.attention.class_tokens.calibration import Calibration, calibrate
from diffucurate.generator.attention.class_tokens.class_tokens import ClassToken, Provenance, embeddings, fingerprint
from diffucurate.generator.attention.probe.class_evidence import Evidence, gather
from diffucurate.generator.attention.probe.image_latents import (
    check_images,
    check_timesteps,
    class_prompts,
    denoise_once,
    encode,
    working_size,
)
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.attention.trace.attribution import Attribution, attributable
from diffucurate.generator.attention.trace.queries import QuerySettings, StoredQueries, model_name
from diffucurate.generator.attention.trace.token_contest import ContestSums, TokenContest
from diffucurate.generator.attention.trace.trace import AttentionTrace
from diffucurate.generator.errors import InvalidSetting, LabelError
from diffucurate.generator.models.load import default_batch
from diffucurate.generator.text.class_mentions import find_phrases

#: Noise steps at which images are looked at, as ``AttentionSource`` does.
TIMESTEPS = (100, 200, 300)

#: Pull towards the words: the weight of a token's squared distance, as against one image's mean cross-entropy. On
#: rendered scenes set aside for choosing, labels by tokens alone had mIoU 0.87, 0.89 and 0.88 with 0.0012, 0.004 and
#: 0.02 (five samples for each class); with one sample, and words beside them, 0.89 with 0.004 and 0.88 with 0.02.
PULL = 0.004

#: L-BFGS: evaluations at most, and pairs remembered.
_EVALUATIONS, _HISTORY = 150, 10

#: Channels whose features are worked out at once, which bounds the memory.
_CHANNELS = 64

Masks = Mapping[str, NDArray[np.bool_]]


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
    """Learn the tokens of several classes, which then know each other as rivals.

    Args:
        pipe: a Stable Diffusion 1.x or 2.x text-to-image pipeline.
        images: (H, W, 3) uint8 RGB, of any sizes.
        masks: per image class -> (H, W) bool, all pixels of the class; a class that is left out is not in the image.
        phrases: class -> the words that mean it in prompts; it starts from the first. By default the class's name.
        prompts: what each image shows, where somebody knows; else the names of the classes guide the model.
        samples: what to call the images in the provenance, such as ids or paths.
        trace: which attention is read. Its range of noise does not apply: ``timesteps`` say it here.
        timesteps: the noise steps at which the images are looked at.
        seed: of the noise.
        pull: how strongly tokens are held to the words that they start from, above 0.
        model: what to call the model in the provenance; by default what the pipeline was loaded from.

    Returns:
        Class -> its token, in the order in which the masks name the classes.

    Raises:
        LabelError: no images, images or masks of another shape or dtype, or a class whose masks are all empty.
        InvalidSetting: timesteps beyond the model's schedule, or no pull.
        ModelError: a model that cannot be traced or used for this.
    """
    labels = list(dict.fromkeys(label for each in masks for label in each))
    _check(images, masks, labels)
    if not pull > 0:
        raise InvalidSetting(
            "pull", pull, "use a number above 0: without it tokens of separable masks grow without end"
        )
    check_timesteps(pipe, timesteps)
    settings = (trace or TraceSettings()).changed(noise=(0.0, 1.0), refine_noise=None)
    given = {label: (phrases or {}).get(label, label) for label in labels}
    classes = {label: (words,) if isinstance(words, str) else tuple(words) for label, words in given.items()}
    words = {label: texts[0] for label, texts in classes.items()}
    usual = class_prompts(classes, pipe.tokenizer)[0]
    known = prompts or [None] * len(images)
    views = _views(pipe, images, masks, labels, [prompt or usual for prompt in known], settings, timesteps, seed)
    start = torch.stack(_words(pipe, words))
    tokens, loss = _fit(views, start, pull / len(images))
    ious = _ious(views, tokens)
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
    guides = [prompt or usual for prompt in known]
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
    """Class -> how its maps are to be read, without contrast and with it, from the images that show it and whose
    prompt mentions it."""
    named = [tuple(find_phrases(prompt, classes)) for prompt in prompts]
    kept: dict[str, list[tuple[int, Evidence]]] = defaultdict(list)
    for size, indices in _batches(pipe, images):
        found = gather(
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
        for k, evidence in zip(indices, found, strict=True):
            for label in evidence.words.keys() & evidence.tokens.keys() & masks[k].keys():
                kept[label].append((k, evidence))
    plain, contrasted = dict[str, Calibration](), dict[str, Calibration]()
    for label, rows in kept.items():
        shown, truths = [images[k] for k, _ in rows], [masks[k][label] for k, _ in rows]
        words, by_token = [one.words[label] for _, one in rows], [one.tokens[label] for _, one in rows]
        plain[label] = calibrate(shown, truths, words, by_token)
        contrasted[label] = calibrate(shown, truths, words, by_token, [one.contrast[label] for _, one in rows])
    return plain, contrasted


def _batches(pipe: Any, images: Sequence[NDArray[np.uint8]]) -> Iterator[tuple[tuple[int, int], list[int]]]:
    """Working sizes, and the numbers of images that are looked at together."""
    by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        by_size[working_size(pipe, image.shape[1], image.shape[0])].append(index)
    for size, indices in by_size.items():
        count = default_batch(pipe, size)
        for start in range(0, len(indices), count):
            yield size, indices[start : start + count]


@dataclass(frozen=True)
class _View:
    """Images of one working size: what scores are made of, (images, channels, height, width), and how much of each
    pixel of the maps is whose, (images, 1 + classes, height, width), what is none of the classes first."""

    features: Tensor
    shares: Tensor


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


def _views(
    pipe: Any,
    images: Sequence[NDArray[np.uint8]],
    masks: Sequence[Masks],
    labels: Sequence[str],
    prompts: Sequence[str],
    settings: TraceSettings,
    timesteps: Sequence[int],
    seed: int,
) -> list[_View]:
    keep = QuerySettings(noise=(0.0, 1.0), every=1, finest=settings.finest, coarsest=settings.coarsest)
    views = []
    for size, indices in _batches(pipe, images):
        with torch.no_grad():
            with AttentionTrace(pipe, settings=settings, keep=keep) as trace:
                latents = encode(pipe, [images[k] for k in indices], size)
                denoise_once(pipe, latents, [prompts[k] for k in indices], timesteps, seed)
            features = _features(pipe, _averaged(trace.queries()), settings)
        size_of_maps = (features.shape[3], features.shape[2])
        shares = np.stack([_shares(masks[k], images[k].shape[:2], labels, size_of_maps) for k in indices])
        views.append(_View(features, torch.from_numpy(shares)))
    return views


def _features(pipe: Any, queries: StoredQueries, settings: TraceSettings) -> Tensor:
    """(images, channels, height, width) on the CPU: a pixel's score is the product of these with the class token less
    the start token. They are the scores of tokens that have one channel each."""
    channels = attributable(pipe).channels
    unit, parts = torch.eye(channels), []
    for block in range(0, channels, _CHANNELS):
        pairs = {
            str(k): torch.stack([torch.zeros(channels), unit[k]]) for k in range(channels)[block : block + _CHANNELS]
        }
        sums, passes = queries.sums(pipe, TokenContest.of(pairs), settings)
        parts.append(cast(ContestSums, sums).scores(passes).cpu())
    return torch.cat(parts, dim=1)


def _averaged(queries: StoredQueries) -> StoredQueries:
    """One pass with the mean of all: scores are linear in the queries."""
    layers = {
        name: replace(layer, passes=[torch.stack([query.float() for query in layer.passes]).mean(dim=0)])
        for name, layer in queries.layers.items()
    }
    return StoredQueries(queries.model, queries.levels[:1], layers)


def _shares(masks: Masks, shape: tuple[int, int], labels: Sequence[str], size: tuple[int, int]) -> NDArray[np.float32]:
    """(1 + classes, height, width): each pixel's parts at (width, height) ``size``; they add up to 1."""
    planes = np.stack([np.float32(masks[label]) if label in masks else np.zeros(shape, np.float32) for label in labels])
    planes /= np.maximum(1, planes.sum(axis=0))  # a pixel of two classes is half of each
    planes = np.concatenate([1 - planes.sum(axis=0, keepdims=True), planes])
    return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes])


def _words(pipe: Any, words: Mapping[str, str]) -> list[Tensor]:
    """The text encoder's states of a start token and of each class's word, each (channels,) float32."""
    starts, states = [], []
    for label, word in words.items():
        (group,) = Attribution.from_text(pipe, f"a photo of a {word}", {label: [word]}).groups
        (tokens,) = group.tokens
        places = tokens.classes.get(label)
        if places is None:
            raise InvalidSetting(
                "phrases", word, f"the model's tokenizer has no room for it; give '{label}' a shorter word"
            )
        row = group.states[0].float().cpu()
        starts.append(row[(tokens.starts or tokens.content)[0]])
        states.append(row[list(places)].mean(dim=0))
    return [torch.stack(starts).mean(dim=0), *states]


def _fit(views: Sequence[_View], words: Tensor, pull: float) -> tuple[Tensor, float]:
    """(1 + classes, channels), the start token first, and the loss that is left."""
    tokens = words.clone().requires_grad_()
    count = sum(view.shares.shape[0] for view in views)
    optimiser = torch.optim.LBFGS(
        [tokens],
        max_iter=_EVALUATIONS,
        max_eval=_EVALUATIONS,
        history_size=_HISTORY,
        line_search_fn="strong_wolfe",
        tolerance_change=1e-6,
    )

    def evaluate() -> Tensor:
        optimiser.zero_grad()
        loss = pull * (tokens - words).square().sum()
        for view in views:
            entropy = -(view.shares * _log_shares(view, tokens)).sum(dim=1)
            loss = loss + entropy.mean(dim=(1, 2)).sum() / count
        loss.backward()
        return loss.detach()

    with torch.enable_grad():
        optimiser.step(evaluate)
        return tokens.detach(), float(evaluate())


def _log_shares(view: _View, tokens: Tensor) -> Tensor:
    """(images, 1 + classes, height, width)."""
    scores = torch.einsum("nchw,kc->nkhw", view.features, tokens[1:] - tokens[0])
    return torch.cat([torch.zeros_like(scores[:, :1]), scores], dim=1).log_softmax(dim=1)


def _ious(views: Sequence[_View], tokens: Tensor) -> list[float]:
    """Per class the IoU of the pixels it wins with those that are mostly its own."""
    sums = torch.zeros(len(tokens) - 1, 2)
    for view in views:
        found = _log_shares(view, tokens).argmax(dim=1)
        for k in range(len(sums)):
            won, own = found == 1 + k, view.shares[:, 1 + k] > 0.5
            sums[k] += torch.tensor([(won & own).sum(), (won | own).sum()])
    return [float(both / max(1, either)) for both, either in sums.tolist()]
