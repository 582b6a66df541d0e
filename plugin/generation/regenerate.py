"""Samples -> new samples beside them: the same prompts with other seeds, or with other values of their attributes.

Each new sample names the one it varies in ``source_id``. As in ``generate``, a job that has a sample is never painted
again, and a run that was stopped or killed goes on under its own key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from math import prod
from typing import Any, TypeAlias

import fiftyone as fo
from fiftyone import ViewField as F

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.jobs.variations import altered, refilled
from diffucurate.generator.progress import Listener, part_of
from diffucurate.generator.recipe.amount import MAX_JOBS
from diffucurate.generator.recipe.checks import check_attributes
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.plugin.generation.paint_and_store import job_ids
from diffucurate.plugin.generation.painting_session import painting_session
from diffucurate.plugin.provenance.painted_samples import Samples, painted_samples
from diffucurate.plugin.provenance.provenance import Provenance, ProvenanceReader
from diffucurate.plugin.store import field_names, runs

Values: TypeAlias = str | Sequence[str]
Seeds: TypeAlias = int | list[int]


@dataclass
class Part:
    """The variations of the samples of one recipe, which are painted in one run.

    ``wanted`` are all the jobs asked for, those that the dataset holds already included, with the sample each one
    varies by its id in ``source_ids``; ``todo`` are those to be painted. ``key`` is that of the run that is continued,
    if any.
    """

    recipe: Recipe
    settings: dict[str, Any]
    key: str | None
    wanted: list[Job] = field(default_factory=list)
    todo: list[Job] = field(default_factory=list)
    source_ids: dict[str, str] = field(default_factory=dict)


def regenerate(
    samples: Samples,
    *,
    seeds: int | Sequence[int] | None = None,
    attributes: Mapping[str, Values] | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    progress: Listener | None = None,
) -> fo.DatasetView:
    """Paint samples again with other seeds, other attributes or both, and add what comes out to their dataset.

    Args:
        samples: what is varied: a sample, several of one dataset, a dataset or a view.
        seeds: how many seeds that the dataset does not hold yet for a prompt, or the seeds themselves; by default
            each sample's own.
        attributes: attribute -> the value, or the values, to be filled into each sample's template instead of its own;
            all combinations are made. Values that the recipe does not list are allowed. A sample whose template does
            not use an attribute is not changed by it.
        batch_size, device, progress: as for ``generate``.

    Returns:
        A view of all the samples asked for, those that were there already included. What would equal the sample
        it varies is left out.

    Raises:
        InvalidSetting: nothing is asked for, a seed or value is wrong, or a prompt would name no class any more.
        ModelError: the model cannot be loaded.
        DatasetError: a sample was not painted by Diffucurate, or its run was deleted.
    """
    dataset, parts = plan(samples, seeds=seeds, attributes=attributes)
    total, done = sum(len(part.todo) for part in parts), 0
    for part in parts:
        if part.todo:
            with painting_session(part.recipe, device) as session:
                session.paint(
                    dataset,
                    part.todo,
                    verb="regenerate",
                    settings=part.settings,
                    facts={"asked": len(part.wanted)},
                    batch_size=batch_size,
                    source_ids=part.source_ids,
                    progress=part_of(progress, done, total),
                )
            done += len(part.todo)
    return dataset.match(F(field_names.JOB_ID).is_in([job.job_id for part in parts for job in part.wanted]))


def plan(
    samples: Samples, *, seeds: int | Sequence[int] | None = None, attributes: Mapping[str, Values] | None = None
) -> tuple[fo.Dataset, list[Part]]:
    """What ``regenerate`` would do, a part per recipe; loads no model.

    Raises:
        InvalidSetting, DatasetError: as ``regenerate``.
    """
    dataset, whole = painted_samples(samples)
    reader = ProvenanceReader(dataset)
    return dataset, plan_of(dataset, [reader.provenance(sample) for sample in whole], seeds, attributes or {})


def plan_of(
    dataset: fo.Dataset,
    origins: Sequence[Provenance],
    seeds: int | Sequence[int] | None,
    attributes: Mapping[str, Values],
) -> list[Part]:
    """``plan`` for samples whose provenance is known.

    Raises:
        InvalidSetting: as ``regenerate``.
    """
    changes = {name: _listed(values) for name, values in attributes.items()}
    if seeds is None and not changes:
        raise InvalidSetting("seeds", None, "say how many new seeds, which seeds, or which attributes to change")
    check_attributes(changes)
    asked = seeds if seeds is None or isinstance(seeds, int | str) else list(seeds)
    _check_used(changes, origins)
    groups: dict[str, list[Provenance]] = {}
    for origin in origins:
        groups.setdefault(origin.recipe.fingerprint(), []).append(origin)
    painted = job_ids(dataset)
    return [_part(dataset, group, asked, changes, painted) for group in groups.values()]


def _part(
    dataset: fo.Dataset,
    group: Sequence[Provenance],
    seeds: Seeds | None,
    changes: Mapping[str, list[str]],
    painted: set[str],
) -> Part:
    recipe = group[0].recipe
    if seeds is not None:
        # The recipe's own checks validate the seeds; its own number of images is not used.
        Recipe.from_mapping({**recipe.model_dump(mode="json"), "seeds": seeds, "sample": {"count": 1}})
    images = len(group) * prod(map(len, changes.values())) * (seeds if isinstance(seeds, int) else len(seeds or [0]))
    if images > MAX_JOBS:
        raise InvalidSetting(
            "seeds", seeds, f"this would make {images:,} images, more than {MAX_JOBS:,}; ask for fewer"
        )
    settings = {
        "recipe": recipe.model_dump(mode="json"),
        "fingerprint": recipe.fingerprint(),
        "sources": [origin.sample_id for origin in group],
        "seeds": seeds,
        "attributes": changes,
    }
    part = Part(recipe, settings, runs.unfinished(dataset, "regenerate", settings))
    # What a stopped run has painted does not count, so that the run that continues it chooses the same seeds.
    used = _used_seeds(dataset, part.key) if isinstance(seeds, int) else {}
    varied: dict[str, Job] = {}
    for origin in group:
        for job in _variations(origin.job, recipe, changes, seeds, used):
            if job.job_id != origin.job.job_id and job.job_id not in varied:
                varied[job.job_id] = job
                part.source_ids[job.job_id] = origin.sample_id
    part.wanted = list(varied.values())
    part.todo = [job for job in part.wanted if job.job_id not in painted]
    return part


def _variations(
    job: Job, recipe: Recipe, changes: Mapping[str, list[str]], seeds: Seeds | None, used: dict[str, set[int]]
) -> Iterator[Job]:
    for changed in refilled(job, recipe, changes) if changes else [job]:
        if seeds is None:
            yield changed
        else:
            chosen = seeds if isinstance(seeds, list) else _fresh(seeds, changed, job, used)
            yield from (altered(changed, seed=seed) for seed in chosen)


def _fresh(number: int, changed: Job, job: Job, used: dict[str, set[int]]) -> list[int]:
    """The lowest seeds that the prompt was not painted with yet, other than the source's own; they count as used."""
    taken = used.setdefault(changed.prompt, set())
    chosen = list(islice((seed for seed in count() if seed not in taken and seed != job.seed), number))
    taken.update(chosen)
    return chosen


def _used_seeds(dataset: fo.Dataset, without: str | None) -> dict[str, set[int]]:
    """Prompt -> the seeds that the dataset holds of it, those of the run ``without`` left out."""
    used: dict[str, set[int]] = {}
    for prompt, seed, key in zip(
        *dataset.values([field_names.PROMPT, field_names.SEED, field_names.RUN_KEY]), strict=True
    ):
        if prompt is not None and seed is not None and (key is None or key != without):
            used.setdefault(prompt, set()).add(seed)
    return used


def _check_used(changes: Mapping[str, list[str]], origins: Iterable[Provenance]) -> None:
    known = sorted({name for origin in origins for name in origin.job.attributes})
    for name, values in changes.items():
        if name not in known:
            there = f"they have {', '.join(known)}" if known else "they have no attributes"
            raise InvalidSetting(f"attributes.{name}", values, f"no prompt of these images has this attribute; {there}")


def _listed(values: Values) -> list[str]:
    return [values] if isinstance(values, str) else list(values)
