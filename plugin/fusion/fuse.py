"""Several label sources of a dataset become one, sample by sample, under a name of its own.

What is fused is stored as any source's labels are, so that it is compared, curated and exported like them; each
instance lists the sources that have it. Instances with the label tag ``human``, and a source of that name, are kept as
they are. What a person called right in a review wins over what nobody looked at; what a person called wrong is left
out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

import fiftyone as fo
import numpy as np

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.fusion.fuse import fuse as fuse_instances
from diffucurate.generator.fusion.settings import FusionSettings
from diffucurate.generator.labels.model import HUMAN, IGNORE, Instance, Labels
from diffucurate.generator.progress import Listener, Meter
from diffucurate.generator.sources import LabelResult
from diffucurate.generator.text.class_names import folded
from diffucurate.plugin.appearance.scheme import place_fields
from diffucurate.plugin.comparison.class_names import unseen_classes
from diffucurate.plugin.fusion.names import FUSED
from diffucurate.plugin.fusion.start import check_fuse
from diffucurate.plugin.labelling.images import SampleImage
from diffucurate.plugin.labelling.start import wanted_classes
from diffucurate.plugin.labelling.writer import LabelWriter
from diffucurate.plugin.store import runs
from diffucurate.plugin.store.as_detections import detections_field
from diffucurate.plugin.store.classes import classes_in
from diffucurate.plugin.store.decisions import is_accepted, is_rejected
from diffucurate.plugin.store.image_size import image_size
from diffucurate.plugin.store.instances import UnreadableInstanceError, described, read_instance
from diffucurate.plugin.store.label_sources import count_masks
from diffucurate.plugin.store.media_folder import media_folder
from diffucurate.plugin.store.run_files import marked_run
from diffucurate.plugin.store.samples import all_images, parts_of
from diffucurate.plugin.store.schema import declare_found_by


@dataclass(frozen=True)
class Fusion:
    """What ``fuse`` made.

    ``samples`` have fused labels under the source name ``source``; ``skipped`` ones lack the labels of a source or have
    no known size. ``instances`` were kept; ``found_by`` counts them by the sources that have them, joined by " + ".
    ``left_open`` is the share of pixels whose class no source could decide, 255 in the semantic masks. ``left_out``
    names instances that cannot be read, each with its sample and why.
    """

    source: str
    samples: int
    skipped: int
    instances: int
    found_by: Mapping[str, int]
    left_open: float
    left_out: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


class _Source(NamedTuple):
    name: str
    field: str
    unseen: frozenset[str]


def fuse(
    samples: fo.Dataset | fo.DatasetView,
    sources: Sequence[str],
    *,
    into: str = FUSED,
    settings: FusionSettings | None = None,
    progress: Listener | None = None,
) -> Fusion:
    """Make one set of labels of those of several sources.

    Objects that two sources have at one place are one, with an outline between theirs and a higher confidence; what one
    alone has is kept where it is certain enough. ``generator.fusion`` says how.

    Args:
        samples: a dataset or view whose samples have the labels of all sources.
        sources: names of label sources, such as ``attention``, or of other fields of labels, such as ``ground_truth``.
        into: under which the fused labels are stored: ``<into>_instances`` and so on. Those of an earlier call are
            replaced.
        settings: what counts as the same object, and what is kept.
        progress: called with the share that is done.

    Raises:
        InvalidSetting: fewer than two sources, one twice, ``into`` is a source or has labels that were not fused, or a
            label that no class can be called.
        DatasetError: there is no such source or field, no sample has the labels of all, or some have masks and others
            boxes alone.
    """
    settings = settings or FusionSettings()
    dataset = check_fuse(samples, sources, into=into, settings=settings)
    fields = {name: detections_field(samples, dataset, name) for name in sources}
    known = [_Source(name, field, _unseen(dataset, name, fields)) for name, field in fields.items()]
    names = _names(dataset, known)
    has_all = all_images(dataset).select_fields(list(fields.values()))
    for field in fields.values():
        has_all = has_all.exists(field)
    ready = set(has_all.values("id"))
    ids = [identifier for identifier in samples.values("id") if identifier in ready]
    if not ids:
        raise DatasetError(f"no sample has labels of {' and '.join(sources)}; label the same samples with each first")

    by_boxes = _by_boxes(all_images(dataset).select(ids), fields)
    named = list(dict.fromkeys(names.values()))
    wanted = wanted_classes(dataset, named) if named else {}
    record = {"sources": list(sources), "into": into, "settings": settings.model_dump(mode="json"), "samples": len(ids)}
    with runs.recorded(dataset, "fuse", record) as run:
        writer = LabelWriter(dataset, into, wanted, run.key)
        declare_found_by(dataset, into)
        counts: Counter[str] = Counter()
        left_out: list[str] = []
        pixels = undecided = 0
        meter = Meter(progress, len(ids))
        with marked_run(media_folder(dataset), run.key):
            try:
                for sample in chain.from_iterable(parts_of(all_images(dataset), ids)):
                    meter.advance()
                    shape = image_size(sample)
                    if shape is None:
                        continue
                    found: dict[str, list[Instance]] = {name: [] for name in (*sources, HUMAN)}
                    confirmed: dict[str, list[Instance]] = {name: [] for name in sources}
                    for each in known:
                        for name, instance, certain in _read(sample, each, shape, names, left_out, by_boxes):
                            (confirmed if certain else found)[name].append(instance)
                    asked = {each.name: [name for name in wanted if folded(name) not in each.unseen] for each in known}
                    labels = fuse_instances(found, tuple(wanted), shape, settings, asked, confirmed)
                    if by_boxes:
                        boxes = [replace(each, boxed=True) for each in labels.instances]
                        labels = Labels.from_instances(boxes, labels.classes, shape)
                    writer.save(_image(sample, shape), LabelResult(labels))
                    counts.update(" + ".join(one.found_by) for one in labels.instances)
                    pixels += labels.semantic.size
                    undecided += int(np.count_nonzero(labels.semantic == IGNORE))
            finally:
                writer.remove_old()
        result = Fusion(
            into,
            writer.saved,
            len(samples) - writer.saved,
            sum(counts.values()),
            dict(counts.most_common()),
            undecided / max(pixels, 1),
            tuple(left_out),
        )
        run.facts |= result.to_dict()
    place_fields(dataset)
    return result


def _unseen(dataset: fo.Dataset, name: str, fields: Mapping[str, str]) -> frozenset[str]:
    """The classes, folded, that a source was not asked for or knows none of."""
    others = [field for other, field in fields.items() if other != name]
    return frozenset(folded(label) for field in others for label in unseen_classes(dataset, name, fields[name], field))


def _by_boxes(samples: fo.DatasetView, fields: Mapping[str, str]) -> bool:
    """Whether the instances of all sources are boxes, which then count with all their pixels.

    Raises:
        DatasetError: those of some sources are.
    """
    counts = {name: count_masks(samples, field) for name, field in fields.items()}
    boxes = [name for name, (instances, masks) in counts.items() if instances and not masks]
    others = [name for name, (_, masks) in counts.items() if masks]
    if boxes and others:
        raise DatasetError(
            f"the labels of {' and '.join(boxes)} are boxes without masks, those of {' and '.join(others)} have masks; "
            "fuse sources of one kind"
        )
    return bool(boxes)


def _names(dataset: fo.Dataset, sources: Sequence[_Source]) -> dict[str, str]:
    """Every label of the sources, folded -> what its class is called; those of the dataset first, in their order."""
    names: dict[str, str] = {}
    for source in sources:
        for label in classes_in(dataset, source.field):
            names.setdefault(folded(label), label)
    return names


def _read(
    sample: Any, source: _Source, shape: tuple[int, int], names: Mapping[str, str], left_out: list[str], by_boxes: bool
) -> Iterator[tuple[str, Instance, bool]]:
    """The instances of a sample by one source but those that a person rejected, each with the source that it counts for
    and whether a person accepted it."""
    for detection in sample[source.field].detections or ():
        tags = detection.tags or ()
        if is_rejected(tags, sample.tags, source.name):
            continue
        try:
            instance = read_instance(detection, shape, box_suffices=by_boxes)
        except UnreadableInstanceError as reason:
            left_out.append(f"{sample.filepath}, {source.field}: {described(detection, reason)}")
            continue
        human = HUMAN in tags or source.name == HUMAN
        accepted = not human and is_accepted(tags, sample.tags, source.name)
        confidence = 1.0 if human or accepted else instance.confidence
        fused = Instance(names[folded(instance.label)], instance.mask, confidence)
        yield HUMAN if human else source.name, fused, accepted


def _image(sample: Any, shape: tuple[int, int]) -> SampleImage:
    """The sample as labels are written to it; its pixels are not looked at, and take no memory."""
    return SampleImage(sample, np.broadcast_to(np.uint8(0), (*shape, 3)))
