"""Our measures as metrics of FiftyOne's evaluations, which its Model Evaluation panel shows beside its own."""

from __future__ import annotations

from typing import Any, ClassVar

import fiftyone as fo
import fiftyone.operators as foo

from diffucurate.plugin.evaluation.measures import MEASURES, Measure


class LabelMetric(foo.EvaluationMetric):
    """A metric of evaluations of detections, such as ``evaluate_detections(custom_metrics=[uri])`` takes."""

    measure: ClassVar[Measure]

    @property
    def config(self) -> foo.EvaluationMetricConfig:
        config = foo.EvaluationMetricConfig(
            name=self.measure.name,
            label=self.measure.label,
            description=self.measure.description,
            eval_types=["detection"],
            lower_is_better=self.measure.lower_is_better,
            unlisted=True,
        )
        # FiftyOne stores what it finds here, and does not put it here.
        config.kwargs["lower_is_better"] = self.measure.lower_is_better
        return config

    def compute(self, samples: fo.Dataset | fo.DatasetView, results: Any) -> float | None:
        """The figure of an evaluation; None where it cannot be measured."""
        return self.measure.compute(samples, results)


#: One class for each measure: FiftyOne registers classes.
METRICS: tuple[type[LabelMetric], ...] = tuple(
    type(measure.name.title().replace("_", ""), (LabelMetric,), {"measure": measure, "__doc__": measure.description})
    for measure in MEASURES
)
