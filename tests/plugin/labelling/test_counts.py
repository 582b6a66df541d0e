"""How many objects a prompt says there are counts alike wherever attention labels are made from kept maps."""

from __future__ import annotations

import fiftyone as fo
import numpy as np
import pytest

from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.labels.settings import LabelSettings
from diffucurate.generator.painting.painter import Conditions, Painting
from diffucurate.generator.sources.attention_source import AttentionSource
from diffucurate.plugin.labelling.label import label
from diffucurate.plugin.labelling.preview import preview
from diffucurate.plugin.store.classes import extend_classes
from diffucurate.plugin.store.label_files import attention_fields
from diffucurate.plugin.store.label_values import instances_of
from diffucurate.plugin.store.media_files import write_png
from diffucurate.plugin.store.schema import declare_label_fields

CLASSES = {"car": ("car",), "bus": ("bus",)}


def painting(prompt: str) -> Painting:
    """A red and a blue box that touch, and a map that holds both."""
    image, heat = np.full((80, 80, 3), 128, np.uint8), np.zeros((20, 20), np.float32)
    image[20:60, 10:42], image[20:60, 42:70] = (200, 40, 30), (40, 60, 190)
    heat[5:15, 3:17] = 1
    job = Job.of(
        task="txt2img",
        prompt=prompt,
        negative_prompt="",
        phrases={"car": ("car",)},
        attributes={},
        seed=1,
        size=(80, 80),
        steps=1,
        guidance=1.0,
        model="tiny",
    )
    return Painting(job, image, {"car": heat}, 0.0, Conditions("cpu", 1, 1))


@pytest.mark.parametrize(("prompt", "count"), [("two cars on a road", 2), ("a car and a bus; car", 1)])
def test_a_prompts_count_is_believed_by_all_alike(dataset, tmp_path, prompt, count):
    classes, made = extend_classes(dataset, CLASSES), painting(prompt)
    declare_label_fields(dataset, "attention", classes)
    values = attention_fields(made, classes, tmp_path, "stem")
    image = write_png(tmp_path / "image.png", made.image)
    sample = fo.Sample(filepath=str(image), prompt=prompt, **values)
    dataset.add_sample(sample)

    def held() -> list[tuple[str, bytes]]:
        sample.reload()
        return [(one.label, one.mask.tobytes()) for one in instances_of(sample.attention_instances, (80, 80))]

    stored = held()
    assert len(stored) == count
    seen = preview(sample).labels.instances
    by_library = AttentionSource(CLASSES).from_maps(made.heatmaps, made.image, prompt).instances
    for instances in (seen, by_library):
        assert [(one.label, one.mask.tobytes()) for one in instances] == stored
    label(dataset, source="attention")
    assert held() == stored
    label(dataset, source="attention", settings=LabelSettings(counted=False))
    assert len(held()) == 1
