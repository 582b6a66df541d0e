"""Provenance in words, for people."""

from __future__ import annotations

import pytest

from diffucurate.generator.progress import Progress
from diffucurate.plugin.generation.regenerate import regenerate
from diffucurate.plugin.labelling.label import label
from diffucurate.plugin.provenance.describe import of_image, of_run
from diffucurate.plugin.provenance.provenance import provenance


def test_image_and_run(generated, model_folder):
    sample = generated.first()
    image, run = of_image(provenance(sample)), of_run(provenance(sample))
    assert sorted(image.pop("Attributes").split(", ")) == ["colour: red", "object: car", "time: noon"]
    assert image == {
        "Prompt": "a red car at noon",
        "Looked for": "car",
        "Seed": "0",
        "Size": "64 x 64 px",
        "Steps": "1",
        "Guidance": "7.5",
        "Model": model_folder,
        "Task": "Image from text",
    }
    assert list(run) == ["Name", "Time", "Painted", "Recipe", "Versions"]
    assert run["Time"].endswith(" UTC") and " to " in run["Time"]
    assert run["Painted"].startswith("on cpu (") and run["Painted"].endswith(", 4 at once")


def test_variations_and_later_labels(generated):
    made = regenerate(generated.first(), seeds=[7], attributes={"object": ["sedan"], "time": "night"}).first()
    label(generated.select(made.id), source="attention")
    image, run = of_image(provenance(made)), of_run(provenance(made))
    assert (image["Looked for"], image["Variation of"]) == ("car (sedan)", f"image {generated.first().id}")
    assert run["Asked for"] == "seeds 7; object: sedan; time: night"
    assert run["Painted"].endswith(", alone")
    assert run["Labels of attention"].startswith("since 20")


def test_refiner_is_told_of(generated, segmenter_folder):
    label(generated.limit(1), source="attention", refiner=segmenter_folder)
    run = of_run(provenance(generated.first()))
    assert run["Labels of attention"].endswith(f"), outlines redrawn by {segmenter_folder}")


def test_run_that_was_stopped(generated):
    def interrupt(report: Progress) -> None:
        if report.done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        regenerate(generated.first(), seeds=20, progress=interrupt)
    assert of_run(provenance(generated.last()))["Time"].endswith(" UTC, stopped before its end")
