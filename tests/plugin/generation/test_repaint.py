"""Painted again, an image is the same to the pixel; a lost file comes back, and nothing else is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
import torch

from diffucurate.generator.errors import DatasetError
from diffucurate.plugin.generation.generate import generate
from diffucurate.plugin.generation.repaint import repaint
from diffucurate.plugin.store.media_files import read_image, write_png


@pytest.fixture(scope="module")
def streets() -> Iterator[fo.Dataset]:
    """Four images of the built-in model: three painted together and one alone."""
    dataset = generate(
        {
            "dataset": "repainted-streets",
            "model": "tiny",
            "size": [128, 128],
            "steps": 6,
            "seeds": 2,
            "classes": {"car": ["car"], "bus": ["bus"]},
            "templates": ["a red {object} on a road at noon"],
            "attributes": {"object": ["car", "bus"]},
        },
        batch_size=3,
    )
    yield dataset
    dataset.delete()


def test_pixels_are_identical_whatever_is_asked_for_together(streets):
    everything = repaint(streets)
    for result, sample in zip(everything, streets, strict=True):
        assert np.array_equal(result.image, read_image(sample.filepath))
        assert result.identical and result.verdict == "Painted again, it is identical: every pixel is the same."
    assert [result.conditions.batch_size for result in everything] == [3, 3, 3, 1]
    (alone,) = repaint(streets.first())
    turned = repaint(streets.select(streets.values("id")[2:0:-1], ordered=True))
    assert alone.identical and all(result.identical for result in turned)


def test_rounding_depends_on_the_batch_and_the_threads_so_those_of_then_are_used(streets):
    sample, threads = streets.first(), torch.get_num_threads()
    assert sample.painted.threads == threads
    try:
        torch.set_num_threads(threads + 1)  # as other libraries do
        (result,) = repaint(sample)
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    assert result.identical and result.conditions.threads == threads

    unknown = streets.clone()  # as before these were recorded
    unknown.set_values("painted", [None] * len(unknown))
    results = repaint(unknown)
    unknown.delete()
    assert any(result.different for result in results[:3])
    for result in results:
        assert result.different <= 20 and result.levels <= 2
        assert result.identical or "was not recorded" in result.verdict


def test_files_that_are_gone_or_damaged_come_back_and_others_stay(generated, tmp_path):
    paths = [Path(path) for path in generated.values("filepath")]
    before = [path.read_bytes() for path in paths]
    paths[0].unlink()
    paths[1].write_bytes(before[1][: len(before[1]) // 2])
    pixels = read_image(paths[2]).copy()
    pixels[5, 7, 1] ^= 8
    write_png(paths[2], pixels)
    write_png(paths[3], pixels[:32])
    edited = [path.read_bytes() for path in paths[2:]]
    results = repaint(generated)
    assert [result.restored for result in results] == [True, True, False, False]
    assert [path.read_bytes() for path in paths] == before[:2] + edited
    assert "restored" in results[0].verdict
    assert (results[2].different, results[2].levels) == (1, 8)
    assert "1 of 4,096 pixels, by at most 8 of 255 levels" in results[2].verdict
    assert (results[3].different, results[3].identical) == (None, False)
    assert "not 64 x 64 px any more" in results[3].verdict


def test_changed_fields_do_not_mislead(generated):
    sample = generated.first()
    sample["prompt"], sample["seed"] = "a cat", 9
    sample.save()
    (result,) = repaint(sample)
    assert result.identical and result.provenance.changed == ("prompt", "seed")


def test_progress_and_what_cannot_be_repainted(generated, dataset):
    told = []
    repaint(generated[:2], progress=told.append)
    assert [(report.done, report.total) for report in told] == [(1, 2), (2, 2)]
    dataset.add_sample(fo.Sample(filepath="/mine.png"))
    with pytest.raises(DatasetError, match="not painted by Diffucurate"):
        repaint(dataset)
    with pytest.raises(DatasetError, match="several datasets"):
        repaint([generated.first(), dataset.first()])
    with pytest.raises(DatasetError, match="no sample"):
        repaint([])
    sample = generated.first()
    sample.filepath = "/proc/nowhere/image.png"
    sample.save()
    with pytest.raises(DatasetError, match="cannot be restored"):
        repaint(sample)


def test_only_images_in_the_datasets_own_folder_are_restored(generated, tmp_path):
    """What an imported dataset calls its image may be a document of somebody's."""
    (tmp_path / "thesis.png").write_text("years of work")
    sample = generated.first()
    for path in (tmp_path / "thesis.png", tmp_path / "new.png"):
        sample.filepath = str(path)
        sample.save()
        with pytest.raises(DatasetError, match="not in the dataset's own folder"):
            repaint(sample)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.png"]
    assert (tmp_path / "thesis.png").read_text() == "years of work"
