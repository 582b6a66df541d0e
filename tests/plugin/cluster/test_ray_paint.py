"""A recipe painted by actors of a real Ray cluster on this machine: the images of one process, whatever is killed."""

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

from diffucurate.plugin.cluster.engine import RayEngine
from diffucurate.plugin.generation.generate import generate
from diffucurate.plugin.store.media_files import read_image

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(ray: Any) -> RayEngine:
    """Two actors in the tests' own cluster."""
    return RayEngine(actors=2)


@pytest.fixture
def content(model_folder: str, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """A recipe of twelve images."""
    name = f"ray-{abs(hash(request.node.name)):x}"
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
    for each in (name, f"{name}-alone", f"{name}-four"):
        if fo.dataset_exists(each):
            fo.delete_dataset(each)


def images(dataset: fo.Dataset) -> dict[str, np.ndarray[Any, Any]]:
    """Job id -> pixels."""
    return {sample.job_id: read_image(sample.filepath) for sample in dataset}


def assert_whole(dataset: fo.Dataset, count: int) -> None:
    """Every sample is whole, no job has two, and no file lies about that no sample names."""
    assert len(dataset) == len(set(dataset.values("job_id"))) == count
    assert dataset.count("attention_instances") == dataset.count("attention_polygons") == count
    folder = Path(dataset.info["diffucurate"]["media_folder"])
    heatmaps = [f"{name}.map_path" for name in dataset.get_field_schema() if name.startswith("heatmap_")]
    columns = dataset.values(["filepath", "attention_maps", "attention_mask.mask_path", *heatmaps])
    named = {Path(path) for column in columns for path in column if path}
    assert named == {path for path in folder.rglob("*") if path.is_file()}


def facts(dataset: fo.Dataset) -> dict[str, Any]:
    dataset.reload()
    (key,) = dataset.list_runs()
    config = dataset.get_run_info(key).config
    return {"status": config.status, **config.facts}


def pids_of_actors() -> list[int]:
    """The processes of actors that are alive."""
    commands = {path.parent.name: path for path in Path("/proc").glob("[0-9]*/cmdline")}
    found = []
    for pid, path in commands.items():
        try:
            if path.read_bytes().startswith(b"ray::Holder"):
                found.append(int(pid))
        except OSError:
            continue
    return found


def test_one_process_two_actors_and_four_make_the_same_images(content: dict[str, Any], cluster: RayEngine) -> None:
    two = generate(content, batch_size=2, engine=cluster)
    assert_whole(two, 12)
    done = facts(two)
    assert done["status"] == "done" and done["engine"] == "ray" and done["added"] == 12
    assert [actor["device"] for actor in done["actors"]] == ["cpu", "cpu"]
    assert sum(actor["images"] for actor in done["actors"]) == 12
    four = generate({**content, "dataset": f"{content['dataset']}-four"}, batch_size=2, engine=RayEngine(actors=4))
    alone = generate({**content, "dataset": f"{content['dataset']}-alone"}, batch_size=2)
    expected = images(alone)
    for dataset in (two, four):
        painted = images(dataset)
        assert painted.keys() == expected.keys()
        assert all(np.array_equal(painted[job_id], expected[job_id]) for job_id in expected)
    key = "attention_instances.detections"
    assert two.count_values(f"{key}.label") == alone.count_values(f"{key}.label")


def test_what_an_actor_had_that_is_killed_is_painted_by_another(
    content: dict[str, Any], cluster: RayEngine, caplog: pytest.LogCaptureFixture
) -> None:
    killed: list[int] = []

    def kill(report: Any) -> None:
        if report.done >= 2 and not killed:
            killed.extend(pids_of_actors()[:1])
            os.kill(killed[0], signal.SIGKILL)

    dataset = generate(content, batch_size=2, engine=cluster, progress=kill)
    assert_whole(dataset, 12)
    assert len(killed) == 1 and facts(dataset)["status"] == "done"
    assert "was lost (ActorDiedError" in caplog.text


def test_a_stopped_run_goes_on_and_init_images_are_sent_along(content: dict[str, Any], cluster: RayEngine) -> None:
    def interrupt(report: Any) -> None:
        if report.done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(content, batch_size=2, engine=cluster, progress=interrupt)
    dataset = fo.load_dataset(content["dataset"])
    assert facts(dataset)["status"] == "stopped" and 0 < len(dataset) < 12
    generate(content, batch_size=2, engine=cluster)
    assert_whole(dataset, 12)
    assert facts(dataset)["status"] == "done"
    varied = {
        "dataset": f"{content['dataset']}-four",
        "task": "img2img",
        "source": {"dataset": content["dataset"]},
        "strength": 0.5,
        **{name: content[name] for name in ("model", "steps", "classes")},
        "templates": ["a blue car and a blue bus"],
    }
    again = generate(varied, count=4, batch_size=2, engine=cluster)
    assert_whole(again, 4)
    assert set(again.values("source_id")) <= {str(each) for each in dataset.values("id")}


_DRIVER = """
import sys
import ray
from diffucurate.plugin.cluster.engine import RayEngine
from diffucurate.plugin.generation.generate import generate
ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=128 * 1024**2, log_to_driver=False)
listener = lambda report: print("painted", report.done, flush=True)
generate(sys.argv[1], batch_size=2, engine=RayEngine(actors=2), progress=listener)
"""


def test_a_driver_that_is_killed_loses_nothing(content: dict[str, Any], tmp_path: Path) -> None:
    content["seeds"] = 16
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(content))
    command = [sys.executable, "-c", _DRIVER, str(recipe)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as driver:
        assert driver.stdout is not None
        for line in driver.stdout:
            if line.startswith("painted") and int(line.split()[1]) >= 10:
                break
        driver.kill()
    dataset = fo.load_dataset(content["dataset"])
    dataset.reload()
    assert 8 <= len(dataset) < 32
    time.sleep(2)  # its actors end with it
    generate(content, batch_size=2)
    assert_whole(dataset, 32)
    assert facts(dataset)["status"] == "done"
