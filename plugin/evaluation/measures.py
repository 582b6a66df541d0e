"""Our measures of an evaluation, each with what FiftyOne shows of it. Operators compute them for FiftyOne's own
evaluations; ``evaluate`` stores them where the plugin is not installed.

The pixels of an evaluation are measured once, whichever measures ask for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import fiftyone as fo
import fiftyone.operators as foo

from diffucurate.plugin.evaluation.calibration import calibration_error, rank_correlation
from diffucurate.plugin.evaluation.pixels import ClassPixels, mean_boundary_f, mean_iou, measure_pixels

#: The plugin's name, which begins the URIs of its operators.
PLUGIN = "@diffucurate/diffucurate"

#: The attribute of FiftyOne's results that keeps what was measured of their pixels; one that is not stored.
_PIXELS = "_diffucurate_pixels"

Samples: TypeAlias = fo.Dataset | fo.DatasetView


@dataclass(frozen=True)
class Measure:
    """A figure of an evaluation.

    Attributes:
        name: of the operator, and of the figure in FiftyOne's ``results.metrics()``.
        label: in the Model Evaluation panel.
        description: what it says, in a sentence.
        lower_is_better: whether less of it is better.
        compute: from the samples and FiftyOne's results of a detection evaluation; None where it cannot be measured.
    """

    name: str
    label: str
    description: str
    lower_is_better: bool
    compute: Callable[[Samples, Any], float | None]

    @property
    def uri(self) -> str:
        """Of its operator."""
        return f"{PLUGIN}/{self.name}"

    def as_stored(self, value: float) -> dict[str, Any]:
        """The figure as FiftyOne's results keep those of ``custom_metrics``."""
        return {"key": self.name, "value": value, "label": self.label, "lower_is_better": self.lower_is_better}


def pixels_of(samples: Samples, results: Any) -> Mapping[str, ClassPixels]:
    """Label -> how far prediction and truth of an evaluation agree on its pixels; measured once."""
    if not hasattr(results, _PIXELS):
        fields = results.config.pred_field, results.config.gt_field
        setattr(results, _PIXELS, measure_pixels(samples.view(), *fields))
    measured: Mapping[str, ClassPixels] = getattr(results, _PIXELS)
    return measured


def predictions_of(results: Any) -> list[tuple[float, bool, float]]:
    """(confidence, whether it is right, IoU with its match or 0) of each prediction that has a confidence."""
    rows = zip(results.ytrue, results.ypred, results.ious, results.confs, strict=True)
    return [
        (float(confidence), bool(truth == label), float(iou or 0))
        for truth, label, iou, confidence in rows
        if label != results.missing and confidence is not None and confidence == confidence
    ]


def _calibration(samples: Samples, results: Any) -> float | None:
    predictions = predictions_of(results)
    return calibration_error([each[0] for each in predictions], [each[1] for each in predictions])


def _ranking(samples: Samples, results: Any) -> float | None:
    predictions = predictions_of(results)
    return rank_correlation([each[0] for each in predictions], [each[2] for each in predictions])


#: The names of those that need masks.
_OF_PIXELS = ("semantic_iou", "boundary_f_score")

#: In the order in which the panel shows them.
MEASURES = (
    Measure(
        "semantic_iou",
        "Semantic IoU",
        "Mean over the classes of the IoU of all their pixels",
        False,
        lambda samples, results: mean_iou(pixels_of(samples, results)),
    ),
    Measure(
        "boundary_f_score",
        "Boundary F-score",
        "How far outlines agree within 0.75 % of the diagonal, mean over the classes",
        False,
        lambda samples, results: mean_boundary_f(pixels_of(samples, results)),
    ),
    Measure(
        "calibration_error",
        "Calibration error",
        "Expected distance of confidence and share of right predictions, in ten intervals",
        True,
        _calibration,
    ),
    Measure(
        "confidence_ranking",
        "Confidence ranking",
        "Spearman's correlation of confidence with the IoU of the match",
        False,
        _ranking,
    ),
)


def store_measures(samples: Samples, results: Any, *, with_masks: bool) -> dict[str, float | None]:
    """Measure an evaluation and store the figures with it, as FiftyOne stores those of its ``custom_metrics``.

    Where the plugin is installed, FiftyOne computes them by our operators, and so renames and deletes them too.

    Args:
        samples: those that ``results`` are of.
        results: of FiftyOne's evaluation of detections, under a key.
        with_masks: whether instances have masks; without, those of pixels are None.

    Returns:
        The measure's name -> its figure.
    """
    measures = MEASURES if with_masks else tuple(each for each in MEASURES if each.name not in _OF_PIXELS)
    if all(foo.operator_exists(measure.uri) for measure in measures):
        results.add_custom_metrics([measure.uri for measure in measures])
        stored = results.custom_metrics or {}
        figures = {measure.name: stored.get(measure.uri, {}).get("value") for measure in measures}
    else:
        figures = {measure.name: measure.compute(samples, results) for measure in measures}
        results.custom_metrics = {
            measure.uri: measure.as_stored(value)
            for measure in measures
            if (value := figures[measure.name]) is not None
        }
        results.save()
    return {measure.name: figures.get(measure.name) for measure in MEASURES}
