"""The prompts of a recipe whose images start from init images: what each of these is painted again with.

Only the database is asked and no image read, so that forms can show them; ``init_plan`` makes the jobs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import NamedTuple

import fiftyone as fo
from fiftyone import ViewField as F

from diffucurate.generator.errors import DatasetError, DiffucurateError, ImageError, RecipeError
from diffucurate.generator.jobs.jobs import Choice, Job, choices, job_of
from diffucurate.generator.jobs.variations import refilled, template_of
from diffucurate.generator.recipe.init_image import InitImage
from diffucurate.generator.recipe.init_image_config import Objects
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.text.templates import attributes_of, fill
from diffucurate.plugin.generation.init_sources import own_labels
from diffucurate.plugin.generation.starts import Start, augmented_starts, evenly
from diffucurate.plugin.provenance.provenance import ProvenanceReader
from diffucurate.plugin.store import field_names, runs
from diffucurate.plugin.store.label_fields import label_field
from diffucurate.plugin.store.samples import all_images, dataset_of, parts_of


class Item(NamedTuple):
    """An init image; ``instance`` is the object to replace, None for the largest or, without objects, for none."""

    sample_id: str
    instance: str | None = None
    prompt: str | None = None
    """The init image's own prompt, if Diffucurate painted it."""


#: Init images that a preview looks at; what more of them lead to is worked out from these.
_PREVIEWED = 100

#: Images that a preview counts one by one.
_COUNTED = 5_000


class Preview(NamedTuple):
    """Some of the prompts that init images are painted with, and how many images that makes in all; ``exact`` where
    each was counted. ``size`` is the (width, height) of the first init image, None where nobody knows it."""

    prompts: tuple[str, ...]
    images: int
    exact: bool
    size: tuple[int, int] | None


def preview_of(recipe: Recipe, prompts: int) -> Preview:
    """What a recipe will paint from its init images, with up to so many ``prompts``; reads no image.

    Raises:
        DatasetError: there is no such dataset, view or field, or none of the images can be used.
        RecipeError: values that no init image's template uses, or that all have already.
    """
    samples = source_samples(recipe)
    dataset, total = dataset_of(samples), len(samples)
    if (kept := own_labels(recipe)) is not None:
        label_field(dataset, kept)
    first, failed = samples.limit(_PREVIEWED), dict[str, str]()
    starts = list(islice(starts_of(recipe, dataset, items_of(recipe, dataset, first, {}), failed), _COUNTED))
    looked_at = min(total, _PREVIEWED)
    if not starts and looked_at == total:
        raise nothing_to_paint(recipe, failed)
    return Preview(
        tuple(islice(dict.fromkeys(start.choice.prompt for start in starts), prompts)),
        round(len(starts) * total / looked_at),
        looked_at == total and len(starts) < _COUNTED,
        _size(first.first()),
    )


def _size(sample: fo.Sample) -> tuple[int, int] | None:
    try:
        found = sample.metadata or fo.ImageMetadata.build_for(sample.filepath)
    except Exception:  # FiftyOne and the image libraries each have their own
        return None
    return (found.width, found.height) if found.width and found.height else None


def nothing_to_paint(recipe: Recipe, failed: Mapping[str, str]) -> DatasetError | RecipeError:
    """The error to raise where no image is to be painted; ``failed`` says why init images cannot be used."""
    if failed:
        return DatasetError(f"none of the init images can be used: {next(iter(failed.values()))}")
    remedy = "every init image has these values already; name others to change"
    return RecipeError("attributes", dict(recipe.attributes), remedy)


def source_samples(recipe: Recipe) -> fo.Dataset | fo.DatasetView:
    """The samples that a recipe names as its init images, without those that it led to itself.

    Raises:
        DatasetError: there is no such dataset or view, or it has no samples.
    """
    source = recipe.source
    if source is None:
        raise RecipeError("source", None, "name the dataset whose images are the start")
    if source.dataset is None or not fo.dataset_exists(source.dataset):
        raise DatasetError(f"there is no source dataset '{source.dataset}'; name one of fiftyone.list_datasets()")
    dataset = fo.load_dataset(source.dataset)
    samples = all_images(dataset)
    if source.view is not None:
        if not dataset.has_saved_view(source.view):
            there = ", ".join(dataset.list_saved_views()) or "none"
            raise DatasetError(f"dataset '{source.dataset}' has no saved view '{source.view}'; it has {there}")
        samples = dataset.load_saved_view(source.view)
    dataset_of(samples)  # refuses patches, videos and what is empty
    if source.samples is not None:
        samples = samples.select(source.samples, ordered=True)
    if recipe.dataset == source.dataset and dataset.has_sample_field(field_names.RUN_KEY):
        own = [
            key
            for key in dataset.list_runs(method=runs.method("generate"))
            if dataset.get_run_info(key).config.settings.get("fingerprint") == recipe.fingerprint()
        ]
        samples = samples.match(~F(field_names.RUN_KEY).is_in(own)) if own else samples
    if recipe.augment is not None:  # what is augmented already is no real image
        samples = samples.match_tags(field_names.AUGMENTED, bool=False)
        if not samples:
            raise DatasetError(f"all images of dataset '{source.dataset}' are augmented ones; choose a view of others")
    for name, values in (source.where or {}).items():
        samples = samples.match(F(f"{field_names.ATTRIBUTES}.{name}").is_in(values))
        if not samples:
            raise DatasetError(f"no image of dataset '{source.dataset}' has {name} {' or '.join(values)}")
    return samples


def items_of(
    recipe: Recipe, dataset: fo.Dataset, samples: fo.Dataset | fo.DatasetView, failed: dict[str, str]
) -> list[Item]:
    ids = samples.values("id")
    named = (recipe.source.samples or ()) if recipe.source else ()
    missing = [sample_id for sample_id in named if sample_id not in set(ids)]
    failed |= {sample_id: f"dataset '{dataset.name}' has no such sample" for sample_id in missing}
    objects = recipe.objects
    if objects is not None:
        return list(_objects(dataset, samples, objects, failed))
    if not dataset.has_sample_field(field_names.JOB_ID):
        return [Item(sample_id) for sample_id in ids]
    prompts = zip(ids, *samples.values([field_names.JOB_ID, field_names.PROMPT]), strict=True)
    return [Item(sample_id, None, None if job_id is None else prompt) for sample_id, job_id, prompt in prompts]


def _objects(
    dataset: fo.Dataset, samples: fo.Dataset | fo.DatasetView, objects: Objects, failed: dict[str, str]
) -> Iterator[Item]:
    path = label_field(dataset, objects.field)
    if objects.instances == "largest":
        yield from (Item(sample_id) for sample_id in samples.values("id"))
        return
    from diffucurate.plugin.store.label_objects import labels_in  # with OpenCV, which forms mostly do without

    wanted = None if objects.instances == "each" else set(objects.instances)
    present: set[str] = set()
    for sample in samples.select_fields(path.name):
        try:
            names = labels_in(sample[path.name], path)
        except ImageError as error:
            failed[sample.id] = f"{sample.filepath}: {error}"
            continue
        counted = [name for name, label in names if objects.classes is None or label in objects.classes]
        if wanted is None and not counted:
            failed[sample.id] = f"{sample.filepath}: '{objects.field}' has nothing to replace"
        for name in counted:
            if wanted is None or name in wanted:
                present.add(name)
                yield Item(sample.id, name)
    for name in sorted((wanted or set()) - present):
        raise RecipeError("objects.instances", name, f"'{objects.field}' of these images has no such instance")


def starts_of(recipe: Recipe, dataset: fo.Dataset, items: Sequence[Item], failed: dict[str, str]) -> Iterator[Start]:
    """What is painted from each init image, in the order of the jobs; why one cannot be used is added to ``failed``.

    Raises:
        RecipeError: values that no init image's template uses.
    """
    if recipe.augment is not None:
        yield from augmented_starts(recipe, dataset, [item.sample_id for item in items], failed)
        return
    if not recipe.templates:
        yield from _own_starts(recipe, dataset, items, failed)
        return
    for choice in choices(recipe, len(items)):
        if recipe.objects is not None or choice.prompt != items[choice.init_image].prompt:
            yield Start(choice)


def _own_starts(recipe: Recipe, dataset: fo.Dataset, items: Sequence[Item], failed: dict[str, str]) -> list[Start]:
    """Each init image's template with the recipe's values in place of its own, wherever that changes the prompt."""
    reader = ProvenanceReader(dataset)
    starts_of_each: list[list[Start]] = []
    used: set[str] = set()
    variants = [(seed, size) for seed in recipe.seed_list for size in recipe.sizes or (None,)]
    wholes = chain.from_iterable(parts_of(all_images(dataset), [item.sample_id for item in items]))
    for index, sample in enumerate(wholes):
        try:
            job, origin = _painted_from(sample, recipe, dataset.name, reader)
            template = template_of(job, origin)
        except DiffucurateError as error:
            failed[sample.id] = f"{sample.filepath}: {error}; write templates for images that have none"
            continue
        # Other tools may store more attributes than the template uses.
        used.update(job.attributes, sample[field_names.ATTRIBUTES].to_dict() if job.source else ())
        starts = [
            Start(Choice(varied.prompt, varied.attributes, seed, size, index), template)
            for varied in refilled(job, origin, recipe.attributes)
            if varied.prompt != job.prompt
            for seed, size in variants
        ]
        starts_of_each.append(starts)
    unused = [name for name in recipe.attributes if name not in used]
    if unused and used:
        there = ", ".join(sorted(used))
        remedy = f"no prompt of these images has this attribute; they have {there}"
        raise RecipeError(f"attributes.{unused[0]}", recipe.attributes[unused[0]], remedy)
    return evenly(starts_of_each, recipe.sample)


def _painted_from(sample: fo.Sample, recipe: Recipe, dataset: str, reader: ProvenanceReader) -> tuple[Job, Recipe]:
    """The job and recipe of an init image, by its provenance or by the template that another tool stored with it.

    Raises:
        DiffucurateError: it has neither, or the template cannot be filled.
    """
    template = sample[field_names.TEMPLATE] if sample.has_field(field_names.TEMPLATE) else None
    if template is None:
        origin = reader.provenance(sample)
        return origin.job, origin.recipe
    document = sample[field_names.ATTRIBUTES] if sample.has_field(field_names.ATTRIBUTES) else None
    stored = {} if document is None else document.to_dict()
    try:
        values = {name: stored[name] for name in attributes_of(template)}
    except (ValueError, KeyError) as error:
        problem = f"has no value for {{{error.args[0]}}}" if isinstance(error, KeyError) else str(error)
        raise ImageError(f"its template '{template}' {problem}") from error
    source = InitImage(dataset, sample.id, "", 1.0, template=template)
    return job_of(recipe, Choice(fill(template, values), values, 0), (8, 8), source), recipe
