"""Images labelled by actors of a real Ray cluster: the labels of one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.labels.settings import LabelSettings
from diffucurate.plugin.cluster.engine import RayEngine
from diffucurate.plugin.labelling.label import label


@pytest.mark.slow
def test_actors_label_as_one_process_does(generated: fo.Dataset, ray: Any) -> None:
    settings = LabelSettings(min_confidence=0.0)
    label(generated, source="attention", settings=settings)
    field = "attention_instances.detections"
    before = generated.values(["id", f"{field}.label", f"{field}.bounding_box", f"{field}.confidence"])
    masks = [np.asarray(mask) for masks in generated.values(f"{field}.mask") for mask in masks]
    lost = generated.skip(3).first()
    Path(lost.filepath).unlink()
    label(generated, source="attention", settings=settings, engine=RayEngine(actors=2), batch_size=1)
    generated.reload()
    assert generated.values(["id", f"{field}.label", f"{field}.bounding_box", f"{field}.confidence"]) == before
    after = [np.asarray(mask) for masks in generated.values(f"{field}.mask") for mask in masks]
    assert len(after) == len(masks) and all(map(np.array_equal, after, masks))
    facts = generated.get_run_info(max(generated.list_runs(method="diffucurate/label"))).config.facts
    assert facts["labelled"] == 3 and facts["unreadable"] == [lost.filepath] and facts["engine"] == "ray"
    assert sum(actor["images"] for actor in facts["actors"]) == 4


def test_what_only_this_process_can_do_is_refused(generated: fo.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffucurate.plugin.cluster.engine.is_installed", lambda: True)
    with pytest.raises(InvalidSetting, match="engine: 'ray' - source 'zoo' needs FiftyOne's database"):
        label(generated, source="zoo", zoo_model="mask-rcnn-resnet50-fpn-coco-torch", engine="ray")

    class Own:
        name = "own"

        def label(self, images: Any) -> Any:
            raise AssertionError("nothing is labelled")

    with pytest.raises(InvalidSetting, match="engine: 'ray' - source 'own' is an object of this process"):
        label(generated, source=Own(), engine="ray")
