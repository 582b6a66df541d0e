"""Labels measured against others that count as the truth.

FiftyOne's own evaluations do the matching and keep the results, so that its Model Evaluation panel opens on them; our
measures stand beside them there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import fiftyone as fo
import numpy as np
from fiftyone import ViewField as F

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.progress import Listener
from diffucurate.plugin.comparison.class_names import all_spellings, spelled_alike
from diffucurate.plugin.comparison.matching import Matching, known_precision, match_fields
from diffucurate.plugin.comparison.start import check_pair
from diffucurate.plugin.evaluation.measures import pixels_of, store_measures
from diffucurate.plugin.evaluation.scenarios import prepare_scenarios
from diffucurate.plugin.evaluation.semantic import evaluate_masks, semantic_fields
from diffucurate.plugin.store import field_names, runs
from diffucurate.plugin.store.as_detections import detections_field
from diffucurate.plugin.store.classes import only_classes, read_classes


@dataclass(frozen=True)
class ClassScore:
    """How right the labels of one class are, or of all of them.

    ``truth`` and ``predictions`` count instances, ``matched`` those of both. ``ap`` is COCO's average precision over
    IoU 0.50 to 0.95 and ``ap50`` at 0.50, None where predictions have no confidences or there is no truth.
    ``semantic_iou`` and ``boundary_f`` are of the pixels of all instances of the class, None without masks. In the row
    of all classes, the last four are means over the classes.
    """

    label: str
    truth: int
    predictions: int
    matched: int
    ap: float | None = None
    ap50: float | None = None
    semantic_iou: float | None = None
    boundary_f: float | None = None

    @property
    def precision(self) -> float | None:
        """The share of predictions that are right."""
        return self.matched / self.predictions if self.predictions else None

    @property
    def recall(self) -> float | None:
        """The share of the truth that was found."""
        return self.matched / self.truth if self.truth else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall."""
        total = self.truth + self.predictions
        return 2 * self.matched / total if total else None


@dataclass(frozen=True)
class Evaluation:
    """What ``evaluate`` found: per class in the order of the class ids, and overall.

    ``eval_key`` names the evaluation of instances in FiftyOne and its Model Evaluation panel, ``masks_key`` that of
    semantic masks, None where one of both has none. ``samples`` were evaluated; ``skipped`` ones lack the labels of
    one. ``calibration_error`` is the expected calibration error, ``confidence_ranking`` Spearman's correlation of
    confidence with IoU; None where they cannot be measured. ``without_masks`` names fields whose instances lack masks:
    then boxes were matched. ``left_out`` names instances that cannot be read. ``scenarios`` are those prepared for the
    panel.
    """

    prediction: str
    truth: str
    eval_key: str
    masks_key: str | None
    samples: int
    skipped: int
    classes: tuple[ClassScore, ...]
    overall: ClassScore
    calibration_error: float | None
    confidence_ranking: float | None
    without_masks: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()

    @property
    def matched_by(self) -> str:
        return "boxes" if self.without_masks else "masks"

    def table(self) -> list[dict[str, Any]]:
        """One plain mapping per class and a last one, labelled ``all``."""
        rates = ("precision", "recall", "f1")
        return [
            {**asdict(row), **{name: getattr(row, name) for name in rates}} for row in (*self.classes, self.overall)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "matched_by": self.matched_by}


def evaluate(
    samples: fo.Dataset | fo.DatasetView,
    prediction: str,
    truth: str,
    *,
    classes: Sequence[str] | None = None,
    iou: float = 0.5,
    across_classes: bool = False,
    key: str | None = None,
    scenarios: Sequence[str] | None = None,
    progress: Listener | None = None,
) -> Evaluation:
    """Measure labels against others that count as the truth, in FiftyOne's evaluation.

    The instances are matched as COCO does, by masks, or by boxes where instances of either have only those. Where both
    have semantic masks with the same ids, these are evaluated too, without the pixels that are 255 in either. Names
    that differ in capitals only, or in what stands between words, are one class. Earlier evaluations under the same
    keys are replaced.

    Args:
        samples: a dataset or view; filtered instances stay filtered.
        prediction, truth: names of label sources, such as ``attention``, or of fields, such as ``ground_truth``.
        classes: only instances of these are evaluated; of all classes by default.
        iou: least IoU of a match, in (0, 1].
        across_classes: whether instances of different classes match, so that FiftyOne's confusion matrix says which
            class is taken for which; average precision is COCO's only without.
        key: of the evaluation, ``evaluate_<prediction>_<truth>`` by default; that of semantic masks ends with
            ``_masks``.
        scenarios: fields of the samples for each of which the panel gets a scenario, which compares its values; the
            attributes of the prompts by default, none for an empty list.
        progress: called with the share that is done.

    Raises:
        DatasetError: there is no such source or field, or no sample has the labels of both.
        InvalidSetting: the same labels twice, a class that neither has, an ``iou`` out of range, a ``key`` that none
            can have, or a scenario's field that samples lack.
    """
    dataset = check_pair(samples, prediction, truth, iou=iou, second="truth")
    name = field_names.evaluation_of(prediction, truth) if key is None else key
    if not name.isidentifier():
        raise InvalidSetting("key", name, "use letters, digits and underscores only, as in 'night_test'")
    fields = tuple(detections_field(samples, dataset, each) for each in (prediction, truth))
    labelled = samples.match((F(fields[0]) != None) & (F(fields[1]) != None))  # noqa: E711  (a database expression)
    count = len(labelled)
    if not count:
        raise DatasetError(f"no sample has labels of both '{prediction}' and '{truth}'; label the same samples first")
    whole = labelled
    if classes is not None:
        labelled = only_classes(labelled, dataset, fields, all_spellings(dataset, fields, classes))
    labelled = spelled_alike(labelled, fields, read_classes(dataset))
    prepared = prepare_scenarios(dataset, scenarios)
    settings = {"prediction": prediction, "truth": truth, "iou": iou, "samples": count, "key": name}
    settings |= {} if classes is None else {"classes": list(classes)}
    with runs.recorded(dataset, "evaluate", settings) as run:
        matching = match_fields(labelled, *fields, key=name, iou=iou, classwise=not across_classes, progress=progress)
        figures = store_measures(matching.samples, matching.results, with_masks=not matching.without_masks)
        masks = semantic_fields(dataset, prediction, truth) if classes is None else None
        masks_key = None if masks is None else evaluate_masks(whole, *masks, key=f"{name}_masks")
        rows = _rows(matching, list(read_classes(dataset)))
        evaluation = Evaluation(
            prediction,
            truth,
            name,
            masks_key,
            count,
            len(samples) - count,
            rows,
            _overall(matching, rows),
            figures["calibration_error"],
            figures["confidence_ranking"],
            matching.without_masks,
            matching.left_out,
            prepared,
        )
        run.facts |= evaluation.to_dict()
    return evaluation


def _rows(matching: Matching, order: Sequence[str]) -> tuple[ClassScore, ...]:
    results = matching.results
    truth, predicted = np.asarray(results.ytrue), np.asarray(results.ypred)
    pixels = {} if matching.without_masks else pixels_of(matching.samples, results)
    seen = {str(label) for label in (*truth, *predicted)} - {results.missing}
    scores = []
    for label in (*(name for name in order if name in seen), *sorted(seen.difference(order))):
        measured = pixels.get(label)
        scores.append(
            ClassScore(
                label,
                int((truth == label).sum()),
                int((predicted == label).sum()),
                int(((truth == label) & (predicted == label)).sum()),
                known_precision(results.mAP(classes=[label])) if matching.ranked else None,
                _ap50(results, label) if matching.ranked else None,
                None if measured is None else measured.iou,
                None if measured is None else measured.boundary_f,
            )
        )
    return tuple(scores)


def _ap50(results: Any, label: str) -> float | None:
    """The average precision at an IoU of 0.50."""
    at = (np.flatnonzero(np.isclose(results.iou_threshs, 0.5)), np.flatnonzero(np.asarray(results.classes) == label))
    return known_precision(float(results.precision[at[0][0], at[1][0]].mean())) if all(map(len, at)) else None


def _overall(matching: Matching, rows: Sequence[ClassScore]) -> ClassScore:
    def mean(name: str) -> float | None:
        values = [value for row in rows if (value := getattr(row, name)) is not None]
        return float(np.mean(values)) if values else None

    return ClassScore(
        "all",
        *(sum(getattr(row, name) for row in rows) for name in ("truth", "predictions", "matched")),
        *(mean(name) for name in ("ap", "ap50", "semantic_iou", "boundary_f")),
    )
