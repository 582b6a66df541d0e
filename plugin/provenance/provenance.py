"""What made a sample: its job, its recipe, the run that painted it, and the runs that labelled it since.

Knows nothing of models: painting again is ``plugin.generation.repaint``'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone as fo

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.painting.conditions import Conditions
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.plugin.provenance.job_of_sample import painted_job
from diffucurate.plugin.provenance.painted_samples import dataset_with
from diffucurate.plugin.store import field_names, runs
from diffucurate.plugin.store.label_sources import sources_in


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
        changed: the sample's fields whose values were changed since the painting.
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
            "labelled": [{"source": labelling.source, "run": labelling.run_key} for labelling in self.labelled],
        }


def provenance(sample: fo.Sample) -> Provenance:
    """What made a sample.

    Args:
        sample: a sample of a dataset, or of a view, that ``generate`` or ``regenerate`` added.

    Raises:
        DatasetError: it is in no dataset, was not painted by Diffucurate, its run was deleted, or too much was changed
            to identify its job.
    """
    dataset = dataset_with(sample)
    return ProvenanceReader(dataset).provenance(dataset[sample.id])  # whole: a view may leave fields out


class ProvenanceReader:
    """Reads the provenance of many samples of one dataset, and each run once."""

    def __init__(self, dataset: fo.Dataset) -> None:
        self._dataset = dataset
        self._records: dict[str, runs.Record] = {}
        self._recipes: dict[str, Recipe] = {}

    def provenance(self, sample: fo.Sample) -> Provenance:
        """As the function of that name; ``sample`` has all its fields."""
        run, recipe = self._run(sample)
        job, changed = painted_job(sample, recipe, run.verb)
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

    def _labelled(self, sample: fo.Sample, painted_by: str) -> Iterator[Labelling]:
        """By the names of the mask files, which end with the key of the run that wrote them."""
        for source in sources_in(self._dataset):
            mask = sample[field_names.mask(source)] if sample.has_field(field_names.mask(source)) else None
            key = Path(mask.mask_path).stem.rpartition("-")[2] if mask is not None and mask.mask_path else None
            if key is not None and key != painted_by:
                kept = self._dataset.has_run(key)
                yield Labelling(source, key, runs.read(self._dataset, key) if kept else None)
