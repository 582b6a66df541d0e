"""What an actor does, without Ray: it paints and labels files, and has never heard of FiftyOne."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_PAINT_AND_LABEL = """
import sys
from pathlib import Path
from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.sources.protocol import LabelRequest
from diffucurate.generator.sources.registry import source_named
from diffucurate.plugin.cluster.label_worker import LabelItem, LabelWorker
from diffucurate.plugin.cluster.paint_worker import Destination, PaintItem, PaintWorker

model, folder = sys.argv[1], Path(sys.argv[2])
recipe = Recipe.from_mapping({
    "dataset": "d", "model": model, "size": [64, 64], "steps": 1, "guidance": 2, "seeds": 3,
    "classes": {"car": ["car"]}, "templates": ["a car"],
})
classes = {"bus": ("bus",), "car": ("car",)}
worker = PaintWorker(recipe, "cpu", 2)
assert worker.facts()["device"] == "cpu" and worker.at_once(jobs(recipe)[0]) == 2
place = Destination(folder, "run_1", classes)
done = worker.work([PaintItem(job, place) for job in jobs(recipe)])
assert len(done.paintings) == 3 and not done.failed and done.at_once == 2
for painting in done.paintings:
    stem = f"{painting.job.job_id}-run_1"
    assert Path(painting.image.path) == folder / "images" / f"{stem}.png" and painting.image.size == (64, 64)
    assert Path(painting.image.path).stat().st_size == painting.image.size_bytes
    assert Path(painting.attention.mask).is_file() and Path(painting.attention.heatmaps.maps).is_file()
    assert painting.attention.labels.classes == ("bus", "car")
    assert all("polygons" in vars(instance) for instance in painting.attention.labels.instances)

source = source_named("attention")
request = LabelRequest(classes, source.make_settings({}))
items = [
    LabelItem(str(index), each.image.path, each.job.prompt, each.attention.heatmaps.maps, None, False)
    for index, each in enumerate(done.paintings)
]
items += [LabelItem("lost", str(folder / "gone.png"), None, None, None, False)]
items += [LabelItem("bare", items[0].path, None, str(folder / "gone.safetensors"), None, False)]
lease = LabelWorker("attention", request, True).work(items)
assert sorted(lease.results) == ["0", "1", "2"]
assert all(shape == (64, 64) for shape, _ in lease.results.values())
assert lease.skipped["lost"] == str(folder / "gone.png") and "its heatmaps in" in lease.skipped["bare"]

known = {"fiftyone", "pymongo", "bson"} & set(sys.modules)
assert not known, known
"""


def test_workers_paint_and_label_without_a_database(model_folder: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PAINT_AND_LABEL, model_folder, str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=environment)
    assert done.returncode == 0, done.stderr


def test_a_folder_that_another_machine_lacks_is_named(model_folder: str, tmp_path: Path) -> None:
    code = _PAINT_AND_LABEL.replace("Path(sys.argv[2])", 'Path(sys.argv[2]) / "elsewhere"')
    command = [sys.executable, "-c", code, model_folder, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode and f"the media folder '{tmp_path / 'elsewhere'}' is not on this machine" in done.stderr
