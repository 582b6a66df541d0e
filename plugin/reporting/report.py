"""Writes one page on a dataset or view: what it holds, how varied and how good it is, and what was thrown away."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import fiftyone as fo

from diffucurate.generator.errors import ExportError, InvalidSetting
from diffucurate.generator.files.atomic import write_text
from diffucurate.generator.progress import Listener, Meter
from diffucurate.generator.reporting.page import MARK, page, paragraph
from diffucurate.plugin.exporting.target import existing_parent
from diffucurate.plugin.reporting import image_sections, label_sections, origin_sections
from diffucurate.plugin.reporting.scope import scope_of
from diffucurate.plugin.reporting.vectors import MOST_IMAGES, Vectors, read_images
from diffucurate.plugin.store import runs
from diffucurate.plugin.store.samples import dataset_of


@dataclass(frozen=True)
class ReportSummary:
    """A page that was written: its ``path``, how many images it is about, and whose labels.

    ``figures`` are the numbers in it by name; ``missing`` says by the title of a section why it shows nothing, or not
    everything.
    """

    path: str
    images: int
    source: str | None
    against: str | None
    figures: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def report(
    samples: fo.Dataset | fo.DatasetView,
    path: str | os.PathLike[str],
    *,
    source: str | None = None,
    against: str | None = None,
    reference: fo.Dataset | fo.DatasetView | None = None,
    embeddings: str | Vectors | None = None,
    reference_embeddings: str | Vectors | None = None,
    overwrite: bool = False,
    progress: Listener | None = None,
) -> ReportSummary:
    """Write a page of HTML that needs nothing else: examples, counts, and measures of images and labels.

    The page says of each measure what it is made of; a section without data says why. Of more than 1,000 images every
    n-th is measured. The same view gives the same page.

    Args:
        samples: a dataset or view; what its filters hide is not counted.
        path: the file to write, such as ``page.html``.
        source: whose labels it is about; by default those that were compared last, else the first that there are.
        against: the source whose agreement is shown; by default the one that was compared last.
        reference: images to compare with, such as photographs: the distances of FID and KID, by the features below.
        embeddings: a field of vectors or a similarity run, or an (n, d) array in the order of ``samples``; simple
            histograms of colours and gradients by default.
        reference_embeddings: the same of ``reference``; where ``embeddings`` is a name, the same name by default.
        overwrite: replace a report that is there already, and never anything else.
        progress: called after each image.

    Raises:
        InvalidSetting: no such embeddings, an array of another length, embeddings of the reference alone, or labels
            that were not compared with ``against``.
        DatasetError: no samples, or no such source.
        ExportError: the file is there already, or cannot be written.
    """
    target = Path(path).expanduser().absolute()
    check_report_path(target, overwrite=overwrite)
    scope = scope_of(samples, source, against)
    if reference_embeddings is None and isinstance(embeddings, str):
        reference_embeddings = embeddings
    if reference is not None and (embeddings is None) != (reference_embeddings is None):
        lacking = "embeddings" if embeddings is None else "reference_embeddings"
        raise InvalidSetting(lacking, None, "give both of them or none: vectors of both sets must be of one kind")
    count = len(samples)
    name = None if reference is None else dataset_of(reference).name
    settings = {"path": str(target), "source": scope.source, "against": scope.against, "samples": count}
    if name is not None:
        settings["reference"] = name
    with runs.recorded(scope.dataset, "report", settings) as run:
        total = min(count, MOST_IMAGES) + (0 if reference is None else min(len(reference), MOST_IMAGES))
        meter = Meter(progress, total)
        read = read_images(samples, embeddings, meter)
        other = None if reference is None else read_images(reference, reference_embeddings, meter)
        sections = [
            image_sections.examples(scope),
            label_sections.classes(scope),
            label_sections.density(scope),
            image_sections.diversity(scope, read),
            image_sections.fidelity(read, other, name),
            label_sections.agreement(scope),
            label_sections.calibration(scope),
            origin_sections.coverage(scope),
            origin_sections.thrown_away(scope),
        ]
        labels = "no labels" if scope.source is None else f"the labels of '{scope.source}'"
        introduction = paragraph(f"{count:,} images of dataset '{scope.dataset.name}', with {labels}.")
        text = page(f"Report on {scope.dataset.name}", [introduction], sections)
        try:
            write_text(target, text)
        except OSError as error:
            raise ExportError(f"{target} cannot be written: {error.strerror or error}") from error
        summary = ReportSummary(
            str(target),
            count,
            scope.source,
            scope.against,
            {figure: value for section in sections for figure, value in section.figures},
            {section.title: section.why for section in sections if section.why},
        )
        run.facts |= summary.to_dict()
    return summary


def check_report_path(path: Path, *, overwrite: bool) -> None:
    """Refuse a file that is there already, unless it is a report that may be replaced. Quick enough for forms.

    Raises:
        ExportError: a folder, a file that is no report, a report without ``overwrite``, or a place where nothing can
            be written.
    """
    if path.is_dir():
        raise ExportError(f"{path} is a folder; name a file in it, such as {path / 'report.html'}")
    if not os.path.exists(path):  # which does not raise where a folder on the way may not be searched
        above = existing_parent(path)
        if not (above.is_dir() and os.access(above, os.W_OK | os.X_OK)):
            raise ExportError(f"nothing can be written in {above}; name a file somewhere else")
        return
    try:
        with path.open("rb") as file:
            ours = file.read(len(MARK)) == MARK.encode()
    except OSError as error:
        raise ExportError(f"{path} cannot be read: {error.strerror}; name another file") from error
    if not ours:
        raise ExportError(f"{path} is there already and no report; name another file")
    if not overwrite:
        raise ExportError(f"{path} is there already; overwrite it or name another file")
