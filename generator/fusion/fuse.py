"""One set of labels of an image from those of several sources. Knows only ``Instance``s.

Objects of a class that overlap are one: their outlines become one (``outlines``), their confidences too. An object that
every source has is more certain than what one alone has. What a person drew is right: it stays as it is, and what is
fused gives way to it. What a person has confirmed is certain: it is fused with other confirmed objects alone, and what
nobody confirmed gives way to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from diffucurate.generator.errors import LabelError
from diffucurate.generator.fusion.outlines import most_likely, weighted
from diffucurate.generator.fusion.settings import FusionSettings
from diffucurate.generator.labels.model import HUMAN, IGNORE, Instance, Labels

#: The share of objects that a source finds, by which an object is less likely where a source has none.
_RECALL = 0.6

#: An object is a part of another if this share of it lies in that.
_PART = 0.5

#: Confidences nearer to 0 or 1 count as this far from it: no source is certain of anything.
_LEAST = 0.02


@dataclass
class _Object:
    """What several sources take for one object."""

    label: str
    members: dict[str, Instance] = field(default_factory=dict)
    confidence: float = 0.0

    def mask(self, settings: FusionSettings) -> NDArray[np.bool_]:
        """Its outline by the sources that have it so far."""
        masks = [member.mask for member in self.members.values()]
        if len(masks) == 1:
            return masks[0]
        if settings.method == "em" or (settings.method == "auto" and len(masks) > 2):
            return most_likely(masks)
        trust = [settings.trust.get(name, 1.0) for name in self.members]
        return weighted(masks, [_weight(one) * much for one, much in zip(self.members.values(), trust, strict=True)])


def fuse(
    sources: Mapping[str, Sequence[Instance]],
    classes: Sequence[str],
    shape: tuple[int, int],
    settings: FusionSettings | None = None,
    asked: Mapping[str, Sequence[str]] | None = None,
    confirmed: Mapping[str, Sequence[Instance]] | None = None,
) -> Labels:
    """Fuse the instances that several sources found in one image.

    Confidences should mean something: 0.8 is right four times in five. An object's odds are the product of its sources'
    odds, times 0.4 for each that was asked for its class and has none there (sources find 6 of 10 objects, say).

    Args:
        sources: source -> its instances, of one image. Those of ``human`` are kept as they are.
        classes: in the order of their ids, from 1.
        shape: (height, width) of the image.
        settings: see ``FusionSettings``.
        asked: source -> the classes that it looked for; by default every source looked for all of them.
        confirmed: source -> those of its instances that a person called right, which are not in ``sources``.

    Returns:
        Labels whose instances say which sources they were ``found_by``.

    Raises:
        LabelError: an instance of another size, or of a class that is none of ``classes``.
    """
    settings = settings or FusionSettings()
    confirmed = confirmed or {}
    for name, instances in [*sources.items(), *confirmed.items()]:
        for instance in instances:
            if instance.mask.shape != shape or instance.label not in classes:
                raise LabelError(
                    f"'{name}' has an instance of '{instance.label}', {instance.mask.shape}; expected "
                    f"{shape} and one of {', '.join(classes)}"
                )
    human = [replace(each, found_by=(HUMAN,)) for each in sources.get(HUMAN, ())]
    machines = {name: instances for name, instances in sources.items() if name != HUMAN}
    objects = [each for label in classes for each in _objects(machines, label, settings)]
    for each in objects:
        each.confidence = _confidence(each, machines, asked)
    certain = [*human, *_confirmed(confirmed, human, classes, settings)]
    taken = _union(certain, shape)
    outlined = [(each, each.mask(settings)) for each in objects if _is_kept(each, settings)]
    outlined = [(each, mask) for each, mask in outlined if all(_iou(mask, one.mask) < settings.iou for one in certain)]
    kept, masks = [each for each, _ in outlined], [mask & ~taken for _, mask in outlined]
    chosen, undecided = _without_rivals(kept, masks, shape, settings)

    instances = [
        *certain,
        *(Instance(kept[i].label, masks[i], kept[i].confidence, found_by=tuple(kept[i].members)) for i in chosen),
    ]
    semantic = Labels.from_instances(instances, classes, shape).semantic.copy()
    semantic[undecided & ~taken] = IGNORE
    for instance in certain:
        semantic[instance.mask] = 1 + list(classes).index(instance.label)
    return Labels(semantic, tuple(instances), tuple(classes))


def _confirmed(
    sources: Mapping[str, Sequence[Instance]],
    human: Sequence[Instance],
    classes: Sequence[str],
    settings: FusionSettings,
) -> list[Instance]:
    """What a person has confirmed, certain, less the pixels and the objects that a person drew."""
    objects = [(each, each.mask(settings)) for label in classes for each in _objects(sources, label, settings)]
    instances = []
    for each, mask in objects:
        free = mask & ~_union(human, mask.shape)
        if free.any() and all(_iou(mask, one.mask) < settings.iou for one in human):
            instances.append(Instance(each.label, free, 1.0, found_by=tuple(each.members)))
    return instances


def _union(instances: Sequence[Instance], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The pixels of any of them."""
    return np.logical_or.reduce([each.mask for each in instances]) if instances else np.zeros(shape, np.bool_)


def _objects(sources: Mapping[str, Sequence[Instance]], label: str, settings: FusionSettings) -> list[_Object]:
    """The objects of a class: each source's instances are matched to what the sources before it have, so that the sum
    of IoUs is the greatest."""
    objects: list[_Object] = []
    for name, instances in sources.items():
        own = [instance for instance in instances if instance.label == label]
        outlines = [known.mask(settings) for known in objects]
        overlaps = np.zeros((len(objects), len(own)))
        for row in range(len(objects)):
            overlaps[row] = [_iou(outlines[row], new.mask) for new in own]
        pairs = zip(*linear_sum_assignment(overlaps, maximize=True), strict=True)
        matched = {int(new): objects[int(old)] for old, new in pairs if overlaps[old, new] >= settings.iou}
        for index, instance in enumerate(own):
            if index not in matched:
                objects.append(_Object(label))
                matched[index] = objects[-1]
            matched[index].members[name] = instance
    return objects


def _confidence(
    found: _Object, sources: Mapping[str, Sequence[Instance]], asked: Mapping[str, Sequence[str]] | None
) -> float:
    odds = sum(_log_odds(member.confidence) for member in found.members.values())
    for name in sources:
        looked = asked is None or found.label in asked.get(name, ())
        if name not in found.members and looked:
            odds += math.log(1 - _RECALL)
    return 1 / (1 + math.exp(-odds))


def _is_kept(found: _Object, settings: FusionSettings) -> bool:
    if len(found.members) > 1:
        return True
    (name,) = found.members
    least = settings.lone.get(name, math.inf) if isinstance(settings.lone, Mapping) else settings.lone
    return found.confidence >= least


def _without_rivals(
    objects: Sequence[_Object],
    masks: Sequence[NDArray[np.bool_]],
    shape: tuple[int, int],
    settings: FusionSettings,
) -> tuple[list[int], NDArray[np.bool_]]:
    """The objects that stay, and the pixels whose class is left open.

    Of two that are one place under two names the more certain stays; where neither is, both go. Of what lies in a more
    certain object of its class nothing is left: one source tells apart what others take for one.
    """
    undecided = np.zeros(shape, np.bool_)
    gone = {index for index, mask in enumerate(masks) if not mask.any()}
    order = sorted(range(len(objects)), key=lambda index: -objects[index].confidence)
    for place, first in enumerate(order):
        for second in order[place + 1 :]:
            if {first, second} & gone:
                continue
            shared = masks[first] & masks[second]
            if objects[first].label == objects[second].label:
                gone |= {second} if shared.sum() >= _PART * masks[second].sum() else set()
                continue
            close = objects[first].confidence - objects[second].confidence < settings.margin
            if close:
                undecided |= shared
            if shared.any() and _iou(masks[first], masks[second]) >= settings.iou:
                gone |= {first, second} if close else {second}
    return [index for index in range(len(objects)) if index not in gone], undecided


def _weight(member: Instance) -> float:
    return max(member.confidence, _LEAST)


def _log_odds(confidence: float) -> float:
    within = min(1 - _LEAST, max(_LEAST, confidence))
    return math.log(within / (1 - within))


def _iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    shared = np.count_nonzero(one & other)
    return shared / (np.count_nonzero(one) + np.count_nonzero(other) - shared) if shared else 0.0
