"""Picks the samples that are good enough: rules become a tag and a saved view, and can be undone. Deletes no sample.

Before anything changes, the earlier tag and saved view of that name are stored with the run. The rules are in
``plugin.curation.rules``, how samples are chosen by them in ``plugin.curation.selection``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Literal

import fiftyone as fo
from bson import json_util

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.progress import Listener
from diffucurate.generator.text.class_names import some_of
from diffucurate.plugin.curation.rules import BoundRules, Limits, Rules
from diffucurate.plugin.curation.selection import Count, select
from diffucurate.plugin.fiftyone_private import repair_saved_views, saved_stages, slug, stages_of, view_of, view_stages
from diffucurate.plugin.store import runs
from diffucurate.plugin.store.as_detections import detections_field
from diffucurate.plugin.store.samples import all_images, dataset_of

#: The tag and saved view that ``curate`` makes when no other name is given.
CURATED = "curated"

#: The status of a curation's run once it was undone.
UNDONE = "undone"


def curate(
    samples: fo.Dataset | fo.DatasetView,
    *,
    source: str,
    min_confidence: float | None = None,
    class_confidence: Mapping[str, float] | None = None,
    min_agreement: float | None = None,
    against: str | None = None,
    classes: Sequence[str] | None = None,
    min_area: float | None = None,
    max_area: float | None = None,
    scores: Mapping[str, Limits] | None = None,
    max_per_class: int | None = None,
    exact_duplicates: bool = False,
    near_duplicates: float | bool = False,
    embeddings: str | None = None,
    backgrounds: float | None = None,
    reviewed: Literal["accepted", "not rejected"] | None = None,
    save_as: str | None = None,
    progress: Listener | None = None,
) -> fo.DatasetView:
    """Tag the samples of ``samples`` that pass all rules, and save them as a view.

    Rules on instances (confidence, class, area) hide every instance and polygon that breaks one; a sample in
    which no instance is left drops out. Without such a rule a sample stays whether or not anything was found in
    it: an image where two sources agree that there is nothing is a result too. Samples that ``source`` has not
    labelled always drop out.

    Then duplicates are left out, then images beyond the limit of a class. The best images stay: those with the highest
    agreement (of ``source`` with ``against``, else with the source it was compared with last), then with the highest
    mean confidence of the instances that are left; equals are taken in the order of their ids.

    Curating again under the same name replaces the tag and the view; ``undo_curation`` brings them back. Label
    filters of the view passed in remain in the saved one.

    Args:
        source: the label source whose instances are judged, or the name of any field of labels.
        min_confidence: least confidence of an instance, in [0, 1]; one without confidence counts as certain.
        class_confidence: class -> least confidence, in the place of ``min_confidence`` for the classes that it names.
        min_agreement: least agreement of ``source`` with ``against``, in [0, 1]; ``compare`` must have run.
        classes: only instances of these.
        min_area, max_area: share of the image an instance may cover, in [0, 1].
        scores: numeric sample field -> (least, greatest) value, None for no limit, as in
            ``{"uniqueness": (0.2, None)}``. A sample without the value drops out.
        max_per_class: at most so many images that show a class; an image counts for every class it shows.
        exact_duplicates: keep one of the images whose files are equal.
        near_duplicates: keep one of the images that are so near each other or nearer; True for the usual distance.
            On thumbnails 0 is the same and 1 black against white, on embeddings it is a cosine distance; see
            ``plugin.curation.duplicates``.
        embeddings: the field or similarity run that ``near_duplicates`` is measured on, thumbnails by default.
        backgrounds: of what is kept, the greatest share of images in which the source found no object of ``classes`` at
            all (hard negatives), in [0, 1). They are kept although rules on instances would drop them, and exported as
            images without objects. Without a number, those rules drop all of them, and without such rules all stay.
        reviewed: ``accepted`` keeps the instances that a person called right in a ``review``, drew or mended,
            ``not rejected`` all but those that a person called wrong.
        save_as: the name of both tag and saved view, ``curated`` by default.
        progress: called while images are read, which only near-duplicates need.

    Returns:
        The saved view. It may be empty.

    Raises:
        InvalidSetting: a rule out of range, an agreement without a partner, a class, score or embeddings the dataset
            does not have.
        DatasetError: no labels of ``source``, no comparison, or a tag or saved view of that name that ``curate``
            did not make.
    """
    name = CURATED if save_as is None else save_as.strip()
    rules = Rules(
        source=source,
        min_confidence=min_confidence,
        class_confidence=class_confidence or {},
        min_agreement=min_agreement,
        against=against,
        classes=classes,
        min_area=min_area,
        max_area=max_area,
        scores=scores or {},
        max_per_class=max_per_class,
        exact_duplicates=exact_duplicates,
        near_duplicates=near_duplicates,
        embeddings=embeddings,
        backgrounds=backgrounds,
        reviewed=reviewed,
    )
    dataset = dataset_of(samples)
    repair_saved_views(dataset)
    detections_field(samples, dataset, source)  # which makes detections of other labels
    bound = BoundRules(dataset, rules)
    check_name(dataset, name)
    chosen = select(samples, bound, progress)

    saved = _label_filters(samples, dataset).match_tags(name)
    rule = bound.instance_rule()
    if rule is not None:
        for field in (bound.instances, bound.polygons):
            saved = saved if field is None else saved.filter_labels(field, rule, only_matches=False)
    with runs.recorded(dataset, "curate", {**rules.to_dict(), "view": name}) as run:
        before = _remember(dataset, run.key, name, chosen.ids, saved)
        all_images(dataset).select(sorted(set(before).difference(chosen.ids))).untag_samples(name)
        all_images(dataset).select(chosen.ids).tag_samples(name)
        dataset.save_view(name, saved, description=f"Curated by Diffucurate: {rules.describe()}", overwrite=True)
        counted = chosen.count
        run.facts |= {
            "curated": counted.kept,
            "considered": counted.considered,
            "removed": [[rule, number] for rule, number in counted.removed.items()],  # a rule's name may hold a dot
            "ranked_by": chosen.ranked_by,
        }
    return dataset.load_saved_view(name)


@dataclass(frozen=True)
class Curation:
    """A curation that was not undone: the name of its tag and saved view, its run, when it was made (ISO, UTC), its
    rules in words, and the number of samples kept; None for a run that was stopped.
    """

    name: str
    run_key: str
    made: str
    rules: str
    count: Count | None


def curations(dataset: fo.Dataset) -> list[Curation]:
    """The curations that ``undo_curation`` can undo, the latest first; of each name only the latest."""
    latest: dict[str, Curation] = {}
    infos = [dataset.get_run_info(key) for key in dataset.list_runs(method=runs.method("curate"))]
    # By the time of recording: keys of the same second have no order.
    for info in sorted(infos, key=lambda info: info.timestamp, reverse=True):
        with suppress(AttributeError, KeyError, TypeError, ValueError):  # not a record that ``curate`` wrote
            curation = _curation(info)
            if info.config.status != UNDONE and curation.name not in latest and _changed_anything(dataset, info):
                latest[curation.name] = curation
    return list(latest.values())


def _curation(info: Any) -> Curation:
    config = info.config
    settings, facts = runs.plain(config.settings), runs.plain(getattr(config, "facts", {}))
    name = settings.pop("view")
    counted = Count(facts["considered"], facts["curated"], dict(facts["removed"])) if facts else None
    return Curation(name, info.key, config.started, Rules(**settings).describe(), counted)


@dataclass(frozen=True)
class UndoResult:
    """The result of undoing a curation: how many samples lost and still have its tag, and what happened to the saved
    view.

    ``view`` is ``removed``, ``restored`` (the one that was replaced is back) or ``kept`` (somebody had changed it).
    """

    name: str
    untagged: int
    tagged: int
    view: str


def undo_curation(dataset: fo.Dataset, name: str = CURATED) -> UndoResult:
    """Undo the latest curation under ``name``: remove its tag and saved view, and restore those that they replaced.

    Only what that curation made is touched: a tag of the same name that somebody put on other samples since stays,
    and so does a saved view of that name that somebody has changed since. A second call undoes the curation before it.

    Raises:
        DatasetError: there is no curation of that name to undo.
    """
    repair_saved_views(dataset)
    standing = {curation.name: curation for curation in curations(dataset)}
    if name not in standing:
        there = f"there are {some_of(standing)}" if standing else "there are none"
        raise DatasetError(f"dataset '{dataset.name}' has no curation '{name}' to undo; {there}")
    key = standing[name].run_key
    memory = _memory(dataset, key)
    if memory is None:
        raise DatasetError(
            f"curation '{name}' is of a time when nothing was kept to undo it; remove tag and view by hand"
        )
    with runs.recorded(dataset, "undo_curation", {"view": name, "run": key}) as run:
        tagged = all_images(dataset).select(memory.tagged).match_tags(name).values("id")
        untagged = sorted(set(tagged).difference(memory.before))
        all_images(dataset).select(untagged).untag_samples(name)
        all_images(dataset).select(memory.before).tag_samples(name)
        undone = UndoResult(
            name, len(untagged), len(memory.before), _restore_view(dataset, name, memory.stages, memory.view)
        )
        run.facts |= asdict(undone)
    config = dataset.get_run_info(key).config
    config.status = UNDONE
    dataset.update_run_config(key, config)
    return undone


def check_name(dataset: fo.Dataset, name: str) -> None:
    """Refuse the name of a tag or saved view that no curation made.

    Raises:
        InvalidSetting: a name that no tag or no saved view can have.
        DatasetError: a tag or saved view of that name which no curation made, or a saved view of another name that
            has the same address in the App.
    """
    if not name.strip() or "," in name:
        raise InvalidSetting("save_as", name, "give a name for the tag and the saved view, without commas")
    try:
        other = _sharing_address(dataset, name)
    except ValueError:
        remedy = "give a name that an address can have: not too long, with a letter of a to z or a digit in it"
        raise InvalidSetting("save_as", name, remedy) from None
    if other is not None:
        raise DatasetError(
            f"view '{name}' would share its address in the App with the saved view '{other}', which would be lost; "
            "choose another name"
        )
    if any(curation.name == name for curation in curations(dataset)):
        return
    if dataset.has_saved_view(name):
        raise DatasetError(f"there is a saved view '{name}' that curate did not make; choose another name")
    if name in all_images(dataset).distinct("tags"):
        raise DatasetError(f"samples have a tag '{name}' that curate did not set; choose another name")


def _sharing_address(dataset: fo.Dataset, name: str) -> str | None:
    """The saved view of another name in whose place FiftyOne would save one of this name; None where there is none.

    Raises:
        ValueError: no view can have this name.
    """
    address = slug(name)
    others = (other for other in dataset.list_saved_views() if other != name and slug(other) == address)
    return next(others, None)


def _label_filters(samples: fo.Dataset | fo.DatasetView, dataset: fo.Dataset) -> fo.DatasetView:
    """The stages of a view that filter labels, without those that pick samples: the tag does that."""
    view = all_images(dataset).view()
    for stage in view_stages(samples):
        if stage.get_filtered_fields(dataset):
            view = view.add_stage(stage)
    return view


def _remember(dataset: fo.Dataset, run_key: str, name: str, ids: Sequence[str], view: fo.DatasetView) -> list[str]:
    """Store the new tag and view with the run, and the earlier ones of that name; returns the ids tagged before."""
    stages = [json_util.dumps(stage) for stage in stages_of(view)]
    before: list[str] = all_images(dataset).match_tags(name).values("id")
    results = dataset.init_run_results(
        run_key, tagged=list(ids), stages=stages, before=before, view=_saved_view(dataset, name)
    )
    dataset.save_run_results(run_key, results, cache=False)
    return before


def _memory(dataset: fo.Dataset, run_key: str) -> Any:
    """The facts that ``_remember`` stored; None where it did not."""
    return dataset.load_run_results(run_key, cache=False, load_view=False)


def _changed_anything(dataset: fo.Dataset, info: Any) -> bool:
    """Whether a run changed tags or views; one that was killed before ``_remember`` did not."""
    return info.config.status == runs.DONE or _memory(dataset, info.key) is not None


def _saved_view(dataset: fo.Dataset, name: str) -> dict[str, Any] | None:
    """A saved view as plain data, also where its stages no longer fit the dataset; None where there is none."""
    if not dataset.has_saved_view(name):
        return None
    info = dataset.get_saved_view_info(name)
    stages = saved_stages(dataset, name)
    return {"stages": stages, "description": info["description"], "color": info["color"]}


def _restore_view(dataset: fo.Dataset, name: str, ours: list[str], before: dict[str, Any] | None) -> str:
    """Restore the saved view of ``before``, None for none, unless somebody changed ``ours``; returns
    ``UndoResult.view``."""
    standing = _saved_view(dataset, name)
    if (standing is not None and standing["stages"] != ours) or _sharing_address(dataset, name) is not None:
        return "kept"
    if before is None:
        if standing is not None:
            dataset.delete_saved_view(name)
        return "removed"
    view = view_of(dataset, [json_util.loads(stage) for stage in before["stages"]])
    dataset.save_view(name, view, description=before["description"], color=before["color"], overwrite=True)
    return "restored"
