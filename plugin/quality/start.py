"""What keeps ``assess`` from measuring as asked, before a model is loaded or an image read; writes nothing.

Every run begins here, and forms ask the same at every keystroke.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fiftyone as fo

from diffucurate.generator.errors import DatasetError, InvalidSetting, ModelError
from diffucurate.generator.models.label_models import CLIP_MODELS
from diffucurate.generator.quality.label_scores import check_installed
from diffucurate.generator.sources.extras import ULTRALYTICS
from diffucurate.generator.sources.protocol import LabelRequest
from diffucurate.generator.sources.registry import find_source
from diffucurate.generator.sources.spec import SourceSpec
from diffucurate.plugin.labelling.start import wanted_classes
from diffucurate.plugin.quality.checks import CHECKS, USUAL, unseen_name
from diffucurate.plugin.quality.label_runs import latest_label_run
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.labelled_together import check_labelled, labels_path
from diffucurate.plugin.store.samples import dataset_of


def check_assess(
    samples: fo.Dataset | fo.DatasetView,
    *,
    source: str | None = None,
    checks: Sequence[str] = USUAL,
    against: str | None = None,
    folds: int | None = None,
    clip_model: str | None = None,
) -> tuple[str, ...]:
    """The checks that ``assess`` with the same arguments makes.

    Raises:
        InvalidSetting: no such check, or one without what it needs; labels that no source can make again, for ``flip``.
        DatasetError: no labels of a source, no prompts, or too few images for ``folds``.
        ModelError: a model or a package is not there.
    """
    if folds is not None:
        if source is None:
            raise InvalidSetting("source", source, "name the labels that the segmenters learn from, or leave folds out")
        check_folds(samples, source, folds, against)
    made_by_folds = None if folds is None else unseen_name(str(source))
    wanted = wanted_checks(checks, source, against or made_by_folds, clip_model)
    dataset = dataset_of(samples)
    for name in (source, against):
        if name is not None:
            labels_path(dataset, name)
    if source is not None and against is not None:
        check_labelled(samples, dataset, (source, against))
    if "prompt" in wanted:
        check_prompts(dataset)
    if "flip" in wanted and source is not None:
        flip_request(samples, dataset, source)
    if "label_quality" in wanted:
        check_installed()
    if "clip" in wanted and clip_model is not None:
        CLIP_MODELS.locate(clip_model)
    return wanted


def wanted_checks(
    checks: Sequence[str], source: str | None, against: str | None, clip_model: str | None
) -> tuple[str, ...]:
    """The checks that are made, if each has what it needs.

    Raises:
        InvalidSetting: one has not, or there is no such check.
    """
    if isinstance(checks, str) or not checks:
        raise InvalidSetting("checks", checks, f"name some of {', '.join(CHECKS)}, such as image, masks")
    if tuple(checks) == USUAL and source is None:
        return ("image",)
    given = {"source": source, "against": against, "clip_model": clip_model}
    for check in checks:
        if check not in CHECKS:
            raise InvalidSetting("checks", check, f"there is no such check; there are {', '.join(CHECKS)}")
        for need in CHECKS[check].needs:
            if not given[need]:
                raise InvalidSetting(need, given[need], f"the check '{check}' needs it; name one, or leave it out")
    if source is not None and source == against:
        raise InvalidSetting("against", against, "name a source other than the one that is measured")
    return tuple(dict.fromkeys(checks))


def check_folds(samples: fo.Dataset | fo.DatasetView, source: str, folds: int, against: str | None = None) -> None:
    """See that segmenters can be trained on all but a part of the images each.

    Raises:
        InvalidSetting: fewer than two folds, or a second source beside them.
        DatasetError: fewer images than folds.
        ModelError: Ultralytics is not installed.
    """
    if against is not None:
        raise InvalidSetting("against", against, "folds make the second source; leave one of both out")
    if not isinstance(folds, int) or folds < 2:
        raise InvalidSetting("folds", folds, "use at least 2")
    if len(samples) < folds:
        raise DatasetError(f"{len(samples)} images with labels of '{source}' are too few for {folds} folds")
    if not ULTRALYTICS.installed:
        raise ModelError(ULTRALYTICS.remedy("Training a segmenter"))


def check_prompts(dataset: fo.Dataset) -> None:
    """See that a dataset has prompts.

    Raises:
        DatasetError: it has none.
    """
    if not dataset.has_sample_field(field_names.PROMPT):
        raise DatasetError(f"dataset '{dataset.name}' has no prompts; leave the check 'prompt' out")


def flip_request(
    samples: fo.Dataset | fo.DatasetView,
    dataset: fo.Dataset,
    source: str,
    device: str | None = None,
    batch_size: int | None = None,
) -> tuple[SourceSpec[Any], LabelRequest[Any]]:
    """The label source that labels mirrored images as the stored labels of ``source`` were made, and what it is to do.

    Raises:
        InvalidSetting: labels that no source can make again, or of several models.
        ModelError: a model or a package is not there.
    """
    run = latest_label_run(dataset, source)
    spec = find_source(source if run is None else run.source)
    if spec is None:
        remedy = f"labels of '{source}' came from elsewhere and cannot be made of mirrored images; leave 'flip' out"
        raise InvalidSetting("checks", "flip", remedy)
    names = {option.name for option in spec.options}
    options = {name: value for name, value in run.options.items() if name in names} if run is not None else {}
    if spec.keeps_maps and options.get("model") is None:
        options["model"] = _painter(samples, source)
    classes = wanted_classes(dataset, None)
    if run is not None:
        classes = {name: phrases for name, phrases in classes.items() if name in run.classes}
    settings = spec.make_settings({}) if run is None else run.settings_of(spec)
    spec.check(options, settings)
    return spec, LabelRequest(classes, settings, options, device, batch_size)


def _painter(samples: fo.Dataset | fo.DatasetView, source: str) -> str:
    """The model that painted all images, which looks at the mirrored ones."""
    painted = samples.has_sample_field(field_names.JOB_ID) and samples.has_sample_field(field_names.MODEL)
    models = samples.distinct(field_names.MODEL) if painted else []
    foreign = len(samples) - len(samples.exists(field_names.JOB_ID)) if painted else len(samples)
    if len(models) != 1 or foreign:
        remedy = f"no single model painted these images; label them by '{source}' with a model that is named first"
        raise InvalidSetting("checks", "flip", remedy)
    return str(models[0])
