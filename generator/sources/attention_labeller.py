"""How ``attention`` labels images: from class maps that were kept, else from those of a model that looks at them.

No model is loaded until an image needs one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from diffucurate.generator.labels.from_maps import labels_from_maps
from diffucurate.generator.labels.maps.canvas_maps import region_maps, whole_maps
from diffucurate.generator.labels.maps.stored_maps import Heatmaps, as_stored
from diffucurate.generator.labels.model import Labels
from diffucurate.generator.labels.settings import LabelSettings
from diffucurate.generator.recipe.by_model import BUILT_IN
from diffucurate.generator.sources.attention_checks import check_request, check_tokens, painter
from diffucurate.generator.sources.protocol import ImageToLabel, LabelRequest, LabelResult
from diffucurate.generator.text.class_mentions import find_phrases

if TYPE_CHECKING:
    from diffucurate.generator.attention.class_tokens.class_tokens import ClassToken
    from diffucurate.generator.labels.segment_anything import SamRefiner
    from diffucurate.generator.sources.attention_source import AttentionSource


class AttentionLabeller:
    """Follows the ``Labeller`` protocol; the options are those of the source ``attention``, as for ``label``.

    Raises:
        ModelError: the refiner cannot be loaded, or a token's file is broken.
        InvalidSetting: a token that is unknown or finds none of the classes, contrast where several models painted the
            images, concepts without a named model or with tokens or contrast, or a background without concepts.
    """

    def __init__(self, request: LabelRequest[LabelSettings]) -> None:
        check_request(request)
        tokens, contrast, refiner = (request.options.get(name) for name in ("tokens", "contrast", "refiner"))
        model, by = request.options.get("model"), request.options.get("by")
        if contrast and model is None and not tokens:
            model = painter(request.painters())
        self._looks_anew, self._model = bool(contrast or by == "concepts"), model
        self._by_tokens: AttentionSource | None = None
        settings = request.settings
        if tokens:
            found = _found_tokens(tokens, request.classes)
            self._model = model or next(iter(found.values())).provenance.model
            self._by_tokens = _source(request, self._model, found)
            settings = self._by_tokens.settings
        #: With the model that painted the images, and the threshold that tokens carry, where none was named.
        self.request = replace(request, settings=settings, options={**request.options, "model": model})
        self._refiner: SamRefiner | None = None
        if refiner is not None:
            from diffucurate.generator.labels.segment_anything import SamRefiner

            self._refiner = SamRefiner(refiner, request.device, settings.min_agreement)

    @property
    def unseen(self) -> Sequence[str]:
        return ()  # it looks for any phrase

    @property
    def unmapped(self) -> Sequence[str]:
        return ()  # it has no classes of its own

    def results(self, images: Sequence[ImageToLabel]) -> Iterator[tuple[int, LabelResult]]:
        without = []
        for index, image in enumerate(images):
            maps = self._usable_maps(image)
            if maps is None:
                without.append(index)
            else:
                yield index, LabelResult(self._labels(maps, image))
        if without:
            source = self._by_tokens or _source(self.request, self._model or BUILT_IN)
            chosen = [images[index] for index in without]
            found = source.heatmaps([image.pixels for image in chosen], [image.prompt for image in chosen])
            for index, image, raw in zip(without, chosen, found, strict=True):
                maps = as_stored(raw)
                yield index, LabelResult(self._labels(maps, image, source.calibrated), maps, self._model or BUILT_IN)

    def _usable_maps(self, image: ImageToLabel) -> Heatmaps | None:
        """The image's kept maps; None where it has none, where tokens, contrast or concepts are to look, or where a
        model was named that did not make them, or that could find a class which they lack."""
        if self._by_tokens is not None or self._looks_anew:
            return None
        maps = image.kept_maps()
        if maps is None or self._model is None:
            return maps
        if not _same_model(self._model, image.maps_model()):
            return None
        classes = self.request.classes
        mentioned = classes if image.prompt is None else find_phrases(image.prompt, classes)
        named = {region.label for region in region_maps(maps).values()}  # a lost region has no other map
        return maps if set(mentioned) <= {*maps, *named} else None

    def _labels(self, maps: Heatmaps, image: ImageToLabel, calibrated: Sequence[str] = ()) -> Labels:
        classes, settings = self.request.classes, self.request.settings
        regions = region_maps(maps)
        chosen = {name: heat for name, heat in maps.items() if name in classes or name in regions}
        labels = labels_from_maps(chosen, image.pixels, classes, image.prompt, settings, calibrated)
        return labels if self._refiner is None else self._refiner.refine(image.pixels, labels, whole_maps(chosen))


def _source(
    request: LabelRequest[LabelSettings], model: str, tokens: Mapping[str, ClassToken] | None = None
) -> AttentionSource:
    from diffucurate.generator.sources.attention_source import AttentionSource

    return AttentionSource(
        request.classes,
        model,
        request.device,
        request.settings,
        batch_size=request.batch_size,
        tokens=tokens,
        contrast=request.options.get("contrast"),
        by=request.options.get("by") or "words",
        background=request.options.get("background") or ("background",),
    )


def _same_model(name: str, other: str | None) -> bool:
    """Whether two names mean one model: they are equal, or paths of one folder or file."""
    if other is None or name == other:
        return name == other
    paths = [os.path.expanduser(each) for each in (name, other)]
    return all(map(os.path.exists, paths)) and os.path.samefile(*paths)


def _found_tokens(names: Sequence[str], classes: Mapping[str, Sequence[str]]) -> dict[str, ClassToken]:
    """Class -> the learned token that finds it."""
    from diffucurate.generator.attention.class_tokens.class_tokens import find_token

    check_tokens(names, classes)
    return {token.label: token for token in map(find_token, names)}
