"""Whether comparing, curating and exporting take time in proportion and memory that does not grow.

    python benchmarks/scale.py [--samples 1000 10000] [--seconds 480]

Samples of 128 x 128 px with two sources of two or three objects each are written straight into FiftyOne's database; the
second source is the first one, moved, with some objects left out and some of another class. Each step runs in a process
of its own: its seconds, and by how much the memory of the process grew above that of the same step on ten samples. The
last step is FiftyOne's own evaluation of the same fields with masks and average precision, which comparing should not
be slower than by much: it marks each instance, too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = ("car", "bus", "tree")
A, B = "first", "second"
STEPS = ("compare", "curate", "export", "fiftyone")
SIZE = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--steps", nargs="+", default=list(STEPS), choices=STEPS)
    parser.add_argument("--seconds", type=int, default=1800, help="that a step may take")
    parser.add_argument("--step", nargs=3, metavar=("STEP", "DATASET", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(run(*arguments.step)))
        return
    os.environ |= {"FIFTYONE_DO_NOT_TRACK": "1", "FIFTYONE_SHOW_PROGRESS_BARS": "false"}
    import fiftyone as fo

    print(f"{'samples':>8} {'step':<10} {'seconds':>8} {'ms per sample':>14} {'grown by (MiB)':>15}", flush=True)
    base: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in (10, *arguments.samples):
            dataset = fo.Dataset()
            try:
                fill(dataset, count, Path(folder))
                for step in arguments.steps:
                    seconds, peak = measured(step, dataset.name, Path(folder) / f"{step}-{count}", arguments.seconds)
                    base.setdefault(step, peak)
                    if count > 10:
                        row = f"{seconds:8.1f} {1000 * seconds / count:14.2f} {peak - base[step]:15.0f}"
                        print(f"{count:8,} {step:<10} {row}", flush=True)
            finally:
                dataset.delete()


def measured(step: str, dataset: str, folder: Path, seconds: int) -> tuple[float, float]:
    """Seconds and greatest resident memory, in MiB, of a step in a process of its own."""
    command = [sys.executable, __file__, "--step", step, dataset, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    result = json.loads(done.stdout.splitlines()[-1])
    return result["seconds"], result["peak"]


def run(step: str, name: str, folder: str) -> dict[str, float]:
    import fiftyone as fo

    import diffucurate as dc

    dataset = fo.load_dataset(name)
    start = time.perf_counter()
    if step == "compare":
        dc.compare(dataset, A, B)
    elif step == "curate":
        dc.curate(dataset, source=A, min_confidence=0.3, min_agreement=0.1, against=B, max_per_class=len(dataset))
    elif step == "export":
        dc.export(dataset, folder, format="coco", source=A, link_images=True)
    else:
        fields = {"gt_field": f"{B}_instances", "eval_key": "theirs", "use_masks": True, "compute_mAP": True}
        dataset.evaluate_detections(f"{A}_instances", method="coco", **fields)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def fill(dataset: Any, count: int, folder: Path) -> None:
    """The schema as the library makes it, the samples in bulk, each with an image file of its own."""
    from diffucurate.plugin.fiftyone_private import database, dataset_id
    from diffucurate.plugin.store.schema import declare_label_fields

    dataset.media_type = "image"
    for source in (A, B):
        declare_label_fields(dataset, source, CLASSES)
    collection = database()[database().datasets.find_one({"_id": dataset_id(dataset)})["sample_collection_name"]]
    images = folder / f"images-{count}"
    images.mkdir()
    first = image(images / "0.png")
    rng = np.random.default_rng(0)
    for start in range(0, count, 1000):
        documents = []
        for index in range(start, min(start + 1000, count)):
            path = images / f"{index}.png"
            if index:
                os.link(first, path)
            documents.append(sample(rng, path, dataset_id(dataset)))
        collection.insert_many(documents)
    dataset.reload()


def image(path: Path) -> Path:
    from PIL import Image

    Image.new("RGB", (SIZE, SIZE), "grey").save(path)
    return path


def sample(rng: np.random.Generator, path: Path, dataset: Any) -> dict[str, Any]:
    """A sample as FiftyOne stores it."""
    from datetime import UTC, datetime

    from bson import ObjectId

    count = rng.integers(2, 4)
    objects = [(str(rng.choice(CLASSES)), rng.uniform(0, 0.6, 2), rng.uniform(0.3, 1)) for _ in range(count)]
    moved = [
        (str(rng.choice(CLASSES)) if rng.random() < 0.1 else label, place + rng.normal(0, 0.02, 2), sure)
        for label, place, sure in objects
        if rng.random() > 0.1
    ]
    now = datetime.now(UTC)
    return {
        "_id": ObjectId(),
        "_media_type": "image",
        "_rand": float(rng.random()),
        "_dataset_id": dataset,
        "filepath": str(path),
        "tags": [],
        "metadata": {"_cls": "ImageMetadata", "width": SIZE, "height": SIZE, "num_channels": 3},
        "created_at": now,
        "last_modified_at": now,
        **{f"{source}_instances": detections(each) for source, each in ((A, objects), (B, moved))},
    }


def detections(objects: list[tuple[str, Any, float]]) -> dict[str, Any]:
    import fiftyone.core.utils as fou
    from bson import Binary, ObjectId

    mask = Binary(fou.serialize_numpy_array(np.hypot(*np.mgrid[-24:24, -24:24]) < 24))
    found = [
        {
            "_id": ObjectId(),
            "_cls": "Detection",
            "attributes": {},
            "tags": [],
            "label": label,
            "bounding_box": [*np.clip(place, 0, 0.62).tolist(), 0.375, 0.375],
            "mask": mask,
            "confidence": float(sure),
            "area": 0.11,
        }
        for label, place, sure in objects
    ]
    return {"_cls": "Detections", "detections": found}


if __name__ == "__main__":
    main()
