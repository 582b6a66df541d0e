"""What made a sample: its job, rebuilt from its fields and checked against its id, and the runs behind it.

The id of a job is a hash of its whole content, so a rebuilt job is either exactly the one that was painted or
known to differ. Knows nothing of models: painting again is ``plugin.generation.repaint``'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import fiftyone as fo

from diffucurate.generator.captions.config import Captions, ClassPrompt
from diffucurate.generator.captions.source import CaptionSource
from diffucurate.generator.errors import DatasetError, RecipeError
from diffucurate.generator.jobs.jobs import Job, choices, job_of, jobs, negative_prompt, phrases_of
from diffucurate.generator.jobs.variations import altered, template_of
from diffucurate.generator.painting.conditions import Conditions
from diffucurate.generator.recipe.init_image_config import InitImages, Objects
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.plugin.fiftyone_private import SampleView, dataset_name_of
from diffucurate.plugin.store import field_names, runs
from diffucurate.plugin.store.caption_document import caption_in
from diffucurate.plugin.store.init_document import init_image_in
from diffucurate.plugin.store.label_sources import sources_in
from diffucurate.plugin.store.media_files import read_image
from diffucurate.plugin.store.samples import dataset_of

#: Part of a job -> the sample's field that holds it, where the names differ.
_FIELD_OF = {"size": "metadata"}

#: What a whole recipe has in common, so that its value is known without the sample.
_COMMON = ("task", "model", "steps", "guidance")

#: One sample, several of one dataset, a dataset, or a view of whole images.
Samples: TypeAlias = fo.Sample | Iterable[fo.Sample] | fo.Dataset | fo.DatasetView


@dataclass(frozen=True)
class Labelling:
    """The labels that a sample has of one source now; ``run`` is None where the run that made them was deleted."""

    source: str
    run_key: str
    run: runs.Record | None


@dataclass(frozen=True)
class Provenance:
    """What made a sample.

    Attributes:
        sample_id: the sample.
        job: exactly what was painted, whatever the sample's fields say now.
        recipe: the recipe of the run, whose classes were looked for.
        run: what painted it.
        conditions: under which it was painted, None for samples older than their being recorded.
        source_id: the sample of which this one is a variation, or from which it was painted, if any.
        labelled: the labellings later than the painting, by source.
        changed: the sample's fields that do not say any more what was painted.
    """

    sample_id: str
    job: Job
    recipe: Recipe
    run: runs.Record
    conditions: Conditions | None
    source_id: str | None
    labelled: tuple[Labelling, ...]
    changed: tuple[str, ...]

    @property
    def device(self) -> str | None:
        """What painted it, such as ``cpu`` or ``cuda:0``; None if that was never recorded."""
        return self.conditions.device if self.conditions is not None else self.run.facts.get("device")

    @property
    def warning(self) -> str | None:
        """One sentence on fields that were changed since, None if none were."""
        if not self.changed:
            return None
        names = ", ".join(f"'{name}'" for name in self.changed)
        return f"changed since it was painted: field{'s' * (len(self.changed) > 1)} {names}; shown is what was painted"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "sample_id": self.sample_id,
            **self.job.to_dict(),
            "source_id": self.source_id,
            "changed": list(self.changed),
            "device": self.device,
            "batch_size": self.conditions.batch_size if self.conditions is not None else None,
            "threads": self.conditions.threads if self.conditions is not None else None,
            "run": {**vars(self.run), "fingerprint": self.recipe.fingerprint()},
            "labelled": [{"source": made.source, "run": made.run_key} for made in self.labelled],
        }


def provenance(sample: fo.Sample) -> Provenance:
    """What made a sample.

    Args:
        sample: a sample of a dataset, or of a view, that ``generate`` or ``regenerate`` added.

    Raises:
        DatasetError: it is in no dataset, was not painted by Diffucurate, its run was deleted, or so much of it
            was changed that what was painted cannot be told.
    """
    dataset = dataset_with(sample)
    return ProvenanceReader(dataset).provenance(dataset[sample.id])  # whole: a view may leave fields out


def recipe_of(sample: fo.Sample) -> Recipe:
    """The recipe of this one image: its only job is the sample's.

    Raises:
        DatasetError: as ``provenance``, or the prompt names no class, without which there is no recipe.
    """
    made = provenance(sample)
    job = made.job
    if not job.phrases:
        raise DatasetError(
            f"the prompt '{job.prompt}' names none of its recipe's classes, so there is no recipe of this image alone"
        )
    return Recipe(
        dataset=dataset_with(sample).name,
        model=job.model,
        size=job.size,
        steps=job.steps,
        guidance=job.guidance,
        seeds=[job.seed],
        negative_prompt=made.recipe.negative_prompt,
        scheduler=job.model_options.scheduler,
        loras=list(job.model_options.loras),
        tokens=list(job.model_options.tokens),
        prompt_weights=job.model_options.prompt_weights,
        classes={name: made.recipe.classes[name] for name in job.phrases},
        attributes={name: [value] for name, value in job.attributes.items()},
        **({"templates": [template_of(job, made.recipe)]} if job.caption is None else _captions(job, job.caption)),
        **_pictures(job),
    )


def _captions(job: Job, caption: CaptionSource) -> dict[str, Any]:
    """What the recipe of one image says of its caption."""
    way: ClassPrompt = "none"
    if caption.class_prompt is not None:
        way = "separate" if job.prompt == caption.text else "append"
    return {"captions": Captions(texts=[caption.entry()], class_prompt=way), "templates": []}


def _pictures(job: Job) -> dict[str, Any]:
    """What the recipe of one image says of the picture that it starts from."""
    source = job.source
    if source is None:
        return {}
    found: dict[str, Any] = {
        "task": job.task,
        "source": InitImages(dataset=source.dataset, samples=[source.sample_id]),
        "strength": source.strength,
    }
    if source.region is not None:
        region = source.region
        found["objects"] = Objects(field=region.field, instances=[region.instance], margin=region.margin)
    return found


def dataset_with(sample: fo.Sample) -> fo.Dataset:
    """The dataset that a sample, or a view's sample, is in.

    Raises:
        DatasetError: it is in none.
    """
    if not isinstance(sample, fo.Sample | SampleView):
        raise DatasetError(f"expected a FiftyOne sample, found {type(sample).__name__}")
    if isinstance(sample, SampleView):
        return fo.load_dataset(dataset_name_of(sample))
    if not sample.in_dataset:
        raise DatasetError("the sample is in no dataset; pass one of a dataset, such as dataset.first()")
    return sample.dataset


def painted_samples(samples: Samples) -> tuple[fo.Dataset, list[fo.Sample]]:
    """The dataset of some samples, and the samples in their order with all their fields.

    Raises:
        DatasetError: there are none, they are of several datasets, or patches or frames.
    """
    if isinstance(samples, fo.Dataset | fo.DatasetView):
        dataset, ids = dataset_of(samples), samples.values("id")
    else:
        listed = [samples] if isinstance(samples, fo.Sample | SampleView) else list(samples)
        if not listed:
            raise DatasetError("no sample is given; pass at least one")
        dataset, ids = dataset_with(listed[0]), [sample.id for sample in listed]
        if any(dataset_with(sample).name != dataset.name for sample in listed):
            raise DatasetError("the samples are of several datasets; pass those of one at a time")
    return dataset, list(dataset.select(ids, ordered=True))


class ProvenanceReader:
    """Tells the provenance of many samples of one dataset, and reads each run once."""

    def __init__(self, dataset: fo.Dataset) -> None:
        self._dataset = dataset
        self._records: dict[str, runs.Record] = {}
        self._recipes: dict[str, Recipe] = {}

    def provenance(self, sample: fo.Sample) -> Provenance:
        """As the function of that name; ``sample`` has all its fields."""
        run, recipe = self._run(sample)
        job, changed = self._job(sample, recipe, run.verb)
        painted = sample[field_names.PAINTED] if sample.has_field(field_names.PAINTED) else None
        return Provenance(
            sample_id=sample.id,
            job=job,
            recipe=recipe,
            run=run,
            conditions=Conditions(painted.device, painted.batch_size, painted.threads) if painted is not None else None,
            source_id=sample[field_names.SOURCE_ID],
            labelled=tuple(self._labelled(sample, run.key)),
            changed=changed,
        )

    def _run(self, sample: fo.Sample) -> tuple[runs.Record, Recipe]:
        key = sample[field_names.RUN_KEY] if sample.has_field(field_names.RUN_KEY) else None
        if key is None or sample[field_names.JOB_ID] is None:
            raise DatasetError(
                f"sample {sample.id} of dataset '{self._dataset.name}' was not painted by Diffucurate; "
                "choose an image that 'generate' added"
            )
        if key not in self._records:
            run = runs.read(self._dataset, key)
            self._records[key], self._recipes[key] = run, Recipe.from_mapping(run.settings["recipe"])
        return self._records[key], self._recipes[key]

    def _job(self, sample: fo.Sample, recipe: Recipe, verb: str) -> tuple[Job, tuple[str, ...]]:
        """What was painted, and the fields that say something else by now."""
        told, wanted = _as_told(sample, recipe), sample[field_names.JOB_ID]
        if told.job_id == wanted:
            return told, ()
        for job in _candidates(told, recipe, verb):
            if job.job_id == wanted:
                parts = (name for name in vars(job) if name not in ("job_id", "phrases"))
                changed = [_FIELD_OF.get(name, name) for name in parts if getattr(told, name) != getattr(job, name)]
                return job, tuple(changed)
        raise DatasetError(
            f"sample {sample.id} was changed since it was painted: neither its fields nor its run "
            f"'{sample[field_names.RUN_KEY]}' lead to job {wanted}, so what was painted cannot be told"
        )

    def _labelled(self, sample: fo.Sample, painted_by: str) -> Iterator[Labelling]:
        """By the names of the mask files, which end with the key of the run that wrote them."""
        for source in sources_in(self._dataset):
            mask = sample[field_names.mask(source)] if sample.has_field(field_names.mask(source)) else None
            key = Path(mask.mask_path).stem.rpartition("-")[2] if mask is not None and mask.mask_path else None
            if key is not None and key != painted_by:
                kept = self._dataset.has_run(key)
                yield Labelling(source, key, runs.read(self._dataset, key) if kept else None)


def _as_told(sample: fo.Sample, recipe: Recipe) -> Job:
    """The job that the sample's fields tell of now."""
    prompt, attributes, caption = sample[field_names.PROMPT] or "", sample[field_names.ATTRIBUTES], caption_in(sample)
    names = attributes.field_names if attributes is not None else ()
    return Job.of(
        task=sample[field_names.TASK],
        prompt=prompt,
        negative_prompt=sample[field_names.NEGATIVE_PROMPT] or "",
        phrases=phrases_of(prompt, recipe.classes, caption),
        attributes={name: attributes[name] for name in names if attributes[name] is not None},
        seed=sample[field_names.SEED],
        # Metadata can be cleared and computed again at any time; without them the recipe still knows.
        size=_size_of(sample, recipe),
        steps=sample[field_names.STEPS],
        guidance=sample[field_names.GUIDANCE],
        model=sample[field_names.MODEL],
        model_options=recipe.model_options,
        source=init_image_in(sample),
        caption=caption,
    )


def _size_of(sample: fo.Sample, recipe: Recipe) -> tuple[int, int]:
    if sample.metadata is not None:
        return sample.metadata.width, sample.metadata.height
    if recipe.sizes:
        return recipe.sizes[0]
    try:
        height, width = read_image(sample.filepath).shape[:2]
    except OSError as error:
        raise DatasetError(
            f"the size of sample {sample.id} is not known: its metadata and its image file are gone"
        ) from error
    return width, height


def _candidates(told: Job, recipe: Recipe, verb: str) -> Iterator[Job]:
    """Jobs that may have been painted where the fields tell another."""
    common = {name: getattr(recipe, name) for name in _COMMON}
    for size in recipe.sizes or (told.size,):
        yield altered(told, **common, size=size, negative_prompt=negative_prompt(recipe, told.attributes))
    if verb == "generate" and told.source is None:
        with suppress(RecipeError):  # a file of captions may be gone or changed by now
            yield from jobs(recipe)
    elif verb == "generate":
        for choice in choices(recipe.model_copy(update={"sample": "all"})):
            yield job_of(recipe, choice, choice.size or told.size, told.source)
