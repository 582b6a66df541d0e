"""Several processes paint one recipe together: each image once, also where one of them is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest

from diffucurate.generator.errors import BlackedOutError, DatasetError
from diffucurate.plugin.generation.generate import generate
from diffucurate.plugin.store.lease import leases
from diffucurate.plugin.store.media_files import read_image

_SHARE = """
import sys
from diffucurate.plugin.generation.generate import generate
generate(sys.argv[1], batch_size=2, share=True, progress=lambda report: print("painted", report.done, flush=True))
"""


@pytest.fixture
def content(model_folder: str, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """A recipe of twelve images."""
    name = f"shared-{abs(hash(request.node.name)):x}"
    yield {
        "dataset": name,
        "model": model_folder,
        "size": [64, 64],
        "steps": 2,
        "seeds": 6,
        "classes": {"car": ["car"], "bus": ["bus"]},
        "templates": ["a red {object}"],
        "attributes": {"object": ["car", "bus"]},
    }
    for each in (name, f"{name}-alone"):
        if fo.dataset_exists(each):
            fo.delete_dataset(each)


def start(recipe: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _SHARE, str(recipe)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def images(dataset: fo.Dataset) -> dict[str, np.ndarray[Any, Any]]:
    """Job id -> pixels."""
    return {sample.job_id: read_image(sample.filepath) for sample in dataset}


def assert_same_images(dataset: fo.Dataset, content: dict[str, Any]) -> None:
    """What one process makes: these jobs, each once, and all of their files but no others."""
    alone = images(generate({**content, "dataset": f"{content['dataset']}-alone"}, batch_size=2))
    dataset.reload()
    assert sorted(dataset.values("job_id")) == sorted(alone)
    for job_id, pixels in images(dataset).items():
        np.testing.assert_allclose(pixels.astype(int), alone[job_id].astype(int), atol=1)
    folder = Path(dataset.info["diffucurate"]["media_folder"])
    heatmaps = [f"{name}.map_path" for name in dataset.get_field_schema() if name.startswith("heatmap_")]
    columns = dataset.values(["filepath", "attention_maps", "attention_mask.mask_path", *heatmaps])
    assert {Path(path) for column in columns for path in column if path} == {
        path for path in folder.rglob("*") if path.is_file()
    }


def test_a_process_that_shares_is_refused_by_one_that_does_not(content: dict[str, Any]) -> None:
    refused: list[str] = []

    def second(report: Any) -> None:
        if report.done and not refused:
            with pytest.raises(DatasetError, match=r"process \d+ on .* makes these images") as raised:
                generate(content, share=not shared)
            refused.append(str(raised.value))

    for shared in (True, False):
        refused.clear()
        dataset = generate(content, batch_size=2, share=shared, progress=second)
        assert refused and len(dataset) == 12
        dataset.delete()


def test_one_that_is_alone_leaves_a_run_that_is_done(content: dict[str, Any]) -> None:
    dataset = generate(content, batch_size=2, share=True)
    (key,) = dataset.list_runs()
    config = dataset.get_run_info(key).config
    assert (config.status, config.facts["added"], config.facts["processes"]) == ("done", 12, 1)
    assert_same_images(dataset, content)


def test_what_was_stopped_is_taken_up_under_its_own_key(content: dict[str, Any]) -> None:
    def interrupt(report: Any) -> None:
        if report.done >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(content, batch_size=2, share=True, progress=interrupt)
    dataset = fo.load_dataset(content["dataset"])
    (key,) = dataset.list_runs()
    assert dataset.get_run_info(key).config.status == "stopped" and 0 < len(dataset) < 12
    assert leases().count_documents({"_id": {"$regex": f"^{dataset._doc.id}/"}}) == 0
    generate(content, batch_size=2, share=True)
    assert dataset.list_runs() == [key]
    assert dataset.get_run_info(key).config.status == "done"
    assert len(dataset) == 12


def test_a_job_that_fails_is_tried_by_one_process_and_waited_for_by_none(
    content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffucurate.generator.painting import retries

    paint = retries.paint_with_retries

    def without_seed_3(jobs: Any, *, on_failure: Any, **options: Any) -> Any:
        for job in jobs:
            if job.seed == 3:
                on_failure(job, BlackedOutError("blacked out"))
        yield from paint([job for job in jobs if job.seed != 3], on_failure=on_failure, **options)

    monkeypatch.setattr(retries, "paint_with_retries", without_seed_3)
    dataset = generate(content, batch_size=2, share=True)
    assert len(dataset) == 10 and 3 not in dataset.distinct("seed")
    (key,) = dataset.list_runs()
    assert len(dataset.get_run_info(key).config.facts["failed"]) == 2
    monkeypatch.undo()
    assert len(generate(content, batch_size=2, share=True)) == 12  # a later run tries again


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True], ids=["both live", "one is killed"])
def test_two_processes_make_what_one_makes(content: dict[str, Any], tmp_path: Path, killed: bool) -> None:
    content["seeds"] = 24  # long enough that both take part
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(content))
    with start(recipe) as first, start(recipe) as second:
        if killed:
            assert first.stdout is not None
            for line in first.stdout:  # it has painted a batch, and leased the next
                if line.startswith("painted") and line != "painted 0\n":
                    break
            time.sleep(0.05)
            first.send_signal(signal.SIGKILL)
        first.communicate(timeout=240)
        _, errors = second.communicate(timeout=240)
        assert second.returncode == 0, errors
        assert first.returncode == (-signal.SIGKILL if killed else 0)
    dataset = fo.load_dataset(content["dataset"])
    assert_same_images(dataset, content)
    (key,) = dataset.list_runs()
    config = dataset.get_run_info(key).config
    assert config.status == "done"
    assert config.facts["processes"] == (1 if killed else 2)
    if not killed:
        assert config.facts["added"] == 48
