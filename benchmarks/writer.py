"""What the one process can take that adds the samples which a cluster's actors paint, and what an image costs.

    python benchmarks/writer.py [--samples 400] [--size 128 512]

Rendered scenes, scaled up, stand for paintings: written as an actor writes them, pickled as Ray sends them, and
added as ``generate --ray`` adds them. Files of such images are smaller than those of photographs.
"""

from __future__ import annotations

import argparse
import pickle
import tempfile
import time
from pathlib import Path

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--size", type=int, nargs="+", default=[128, 512])
    arguments = parser.parse_args()
    for size in arguments.size:
        with tempfile.TemporaryDirectory() as folder:
            measure(size, arguments.samples, Path(folder))


def measure(size: int, count: int, folder: Path) -> None:
    import fiftyone as fo
    from PIL import Image

    from diffucurate.generator.jobs.jobs import Job
    from diffucurate.generator.painting.conditions import Conditions
    from diffucurate.generator.painting.painter import Painting
    from diffucurate.generator.tiny.scenes import real_scenes
    from diffucurate.generator.tiny.shapes import CLASSES
    from diffucurate.plugin.fiftyone_private import database, dataset_id
    from diffucurate.plugin.generation.paint_and_store import _Writer
    from diffucurate.plugin.store.classes import extend_classes
    from diffucurate.plugin.store.label_files import attention_fields
    from diffucurate.plugin.store.painted_files import write_painting
    from diffucurate.plugin.store.runs import Run
    from diffucurate.plugin.store.schema import declare_heatmaps, declare_job_fields, declare_label_fields

    scenes, written, seconds = real_scenes(20, seed=3), [], 0.0
    classes = {name: (name,) for name in CLASSES}
    for index in range(count):
        scene = scenes[index % len(scenes)]
        image = np.asarray(Image.fromarray(scene.image).resize((size, size)))
        mask = scene.class_mask()[::2, ::2]
        named = {each.label for each in scene.objects}
        heat = {name: np.float32(mask == 1 + CLASSES.index(name)) for name in named}
        content = {"prompt": scene.caption, "negative_prompt": "", "phrases": {name: (name,) for name in named}}
        settings = {"attributes": {}, "size": (size, size), "steps": 20, "guidance": 5.0, "model": "tiny"}
        job = Job.of(task="txt2img", seed=index, **content, **settings)
        painting = Painting(job, image, heat, 0.1, Conditions("cpu", 1, 1))
        start = time.perf_counter()
        written.append(write_painting(painting, classes, folder, f"{job.job_id}-run"))
        for instance in written[-1].attention.labels.instances:
            _ = instance.polygons, instance.box
        seconds += time.perf_counter() - start
    sent = [pickle.dumps(each, protocol=5) for each in written]
    dataset = fo.Dataset()
    extend_classes(dataset, classes)
    declare_job_fields(dataset, (), classes)
    declare_label_fields(dataset, "attention", list(classes))
    declare_heatmaps(dataset, classes)
    run = Run("run", {"added": 0})
    start = time.perf_counter()
    writer = _Writer(
        dataset, classes, run, 8, {}, attention_fields, {each.job.job_id: each.job.seed for each in written}, None
    )
    for each in sent:
        writer.add(pickle.loads(each))
    writer.flush()
    added = time.perf_counter() - start
    name = database().datasets.find_one({"_id": dataset_id(dataset)})["sample_collection_name"]
    stats = database().command("collStats", name)
    files = {kind: [path.stat().st_size for path in folder.glob(f"{kind}/*")] for kind in ("images", "maps")}
    other = [path.stat().st_size for path in folder.glob("*/*") if path.parent.name not in files]
    print(f"{size} px, {count} samples, {dataset.count('attention_instances.detections') / count:.1f} objects each")
    print(f"  labelling and writing at the actor: {1000 * seconds / count:.1f} ms")
    print(f"  sent to the writer:                 {sum(map(len, sent)) / count / 1000:.1f} kB")
    print(f"  adding at the writer:               {1000 * added / count:.1f} ms, {count / added:.0f} samples/s")
    print(f"  document: {stats['avgObjSize'] / 1000:.1f} kB; indexes {stats['totalIndexSize'] / count / 1000:.2f} kB")
    print(
        f"  files: image {sum(files['images']) / count / 1000:.1f} kB, maps {sum(files['maps']) / count / 1000:.1f} kB"
    )
    print(f"         mask and heatmaps {sum(other) / count / 1000:.1f} kB in {len(other) / count:.1f} files")
    dataset.delete()


if __name__ == "__main__":
    main()
