"""How long the Curation panel takes to open on a large dataset, and a click in it: seconds for each of its tabs.

    python benchmarks/panel.py [--samples 20000] [--repeats 5]

The dataset is written straight into FiftyOne's database: samples with one to four objects of each of two sources,
each with a mask of 40 x 40, a polygon of 40 points and what a comparison leaves on it, with attributes and agreement.
Each figure is the median of several runs in which nothing was kept from the run before: the panel's whole answer
to the App, from the request to the JSON. Plugin registration, which the App adds to every request, is part of it. Then
the same for clicks: the answer that sets the view, and the count of its samples, with the tab's numbers kept, as they
are when a person clicks.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
URI = "@diffucurate/diffucurate/curation"
A, B = "attention", "yolov8"
CLASSES = ("car", "bus", "truck", "person", "tree", "house", "sign", "cone")
ATTRIBUTES = {
    "object": CLASSES, "colour": ("red", "blue", "yellow", "green"), "place": ("road", "beach", "park", "city"),
    "time": ("noon", "sunset", "night"),
}  # fmt: skip
GOAL_SECONDS = 2.0

#: What is clicked: tab, the panel's method, and its parameters.
CLICKS = (
    ("overview", "pick_class", {"row": 0, "column": 1}),
    ("overview", "pick_confidence", {"trace_idx": 0, "idx": 18}),
    ("agreement", "pick_match", {"row": 0, "column": 1}),
    ("classes", "pick_confusion", {"x": "(nothing)", "y": "car"}),
    ("classes", "pick_worst", {"label_of": "car"}),
    ("thresholds", "move_threshold", {"value": 0.6}),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as plugins:
        (Path(plugins) / "diffucurate").symlink_to(ROOT)
        os.environ |= {"FIFTYONE_PLUGINS_DIR": plugins, "FIFTYONE_DO_NOT_TRACK": "1"}
        import fiftyone as fo

        start = time.perf_counter()
        dataset = fo.Dataset()
        try:
            fill(dataset, arguments.samples, Path(plugins))
            print(f"{arguments.samples:,} samples written in {time.perf_counter() - start:.1f} s\n")
            measure(dataset, arguments.repeats)
        finally:
            dataset.delete()


def measure(dataset: Any, repeats: int) -> None:
    from diffucurate.operators.panel.state import TABS
    from diffucurate.plugin.statistics import snapshot

    answer(dataset.name, "overview")  # FiftyOne's own first steps
    print(f"{'tab':<16} {'median':>8} {'slowest':>8}   (seconds; the goal is {GOAL_SECONDS})")
    for tab in TABS:
        seconds = []
        for _ in range(repeats):
            snapshot._snapshots.clear()
            start = time.perf_counter()
            answer(dataset.name, tab)
            seconds.append(time.perf_counter() - start)
        print(f"{tab:<16} {statistics.median(seconds):8.2f} {max(seconds):8.2f}")
    print(f"\n{'click':<16} {'median':>8} {'slowest':>8}")
    for tab, method, params in CLICKS:
        answer(dataset.name, tab)
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            count_shown(dataset, answer(dataset.name, tab, method, params))
            seconds.append(time.perf_counter() - start)
        print(f"{method:<16} {statistics.median(seconds):8.2f} {max(seconds):8.2f}")


def count_shown(dataset: Any, answered: str) -> None:
    """Count the samples of the view that an answer sets, if it sets one, as the App does."""
    import json

    import fiftyone as fo

    for request in json.loads(answered)["executor"]["requests"]:
        if request["operator_uri"] == "set_view":
            len(fo.DatasetView._build(dataset, request["params"]["view"]))


def answer(dataset: str, tab: str, method: str = "on_load", clicked: dict[str, Any] | None = None) -> str:
    """What the server sends when the panel is opened on a tab, or something is clicked there."""
    import json

    from fiftyone.operators.executor import execute_or_delegate_operator

    params = {"__method__": method, "panel_id": "panel", "panel_state": {"tab": tab}, **(clicked or {})}
    request = {"dataset_name": dataset, "view": [], "filters": {}, "params": params}
    result = asyncio.run(execute_or_delegate_operator(URI, request))
    if result.error:
        raise RuntimeError(result.error)
    return json.dumps(result.to_json(), default=str)


def fill(dataset: Any, count: int, folder: Path) -> None:
    """Schema and runs as the library makes them, then the samples in bulk."""
    import fiftyone as fo
    from PIL import Image

    from diffucurate.plugin.store import field_names, runs
    from diffucurate.plugin.store.schema import declare_job_fields, declare_label_fields

    dataset.media_type = "image"
    declare_job_fields(dataset, ATTRIBUTES, CLASSES)
    for source in (A, B):
        declare_label_fields(dataset, source, CLASSES)
    dataset.add_sample_field(field_names.agreement(A, B), fo.FloatField)
    for source, other in ((A, B), (B, A)):
        path = f"{field_names.instances(source)}.detections.{field_names.class_in(other)}"
        dataset.add_sample_field(path, fo.StringField)
    recipe = {
        "dataset": "benchmark",
        "classes": {name: [name] for name in CLASSES},
        "templates": ["a {colour} {object} on a {place} at {time}"],
        "attributes": {name: list(values) for name, values in ATTRIBUTES.items()},
    }
    with runs.recorded(dataset, "generate", {"recipe": recipe}):
        pass
    with runs.recorded(dataset, "compare", {"a": A, "b": B}):
        pass
    image = folder / "image.png"
    Image.new("RGB", (128, 128), "grey").save(image)
    documents = _documents(dataset, count, str(image))
    while chunk := [document for _, document in zip(range(2000), documents, strict=False)]:
        dataset._sample_collection.insert_many(chunk, ordered=False)


def _documents(dataset: Any, count: int, image: str) -> Iterator[dict[str, Any]]:
    import fiftyone.core.utils as fou
    import numpy as np
    from bson import Binary, ObjectId

    from diffucurate.plugin.store import field_names

    rng, now = random.Random(0), datetime.now(UTC)
    key, polygon = field_names.evaluation(A, B), [[[i / 40, (i * 7 % 40) / 40] for i in range(40)]]
    mask = Binary(fou.serialize_numpy_array(np.hypot(*np.mgrid[-20:20, -20:20]) < 20))

    def instances(number: int, match: str, other: str) -> list[dict[str, Any]]:
        return [
            {
                "_id": ObjectId(),
                "_cls": "Detection",
                "attributes": {},
                "tags": [],
                "label": (label := rng.choice(CLASSES)),
                "bounding_box": [0.1, 0.2, 0.3, 0.4],
                "mask": mask,
                "confidence": rng.random(),
                "area": 0.1,
                key: "tp" if (shared := rng.random() < 0.7) else match,
                f"{key}_id": "",
                f"{key}_iou": rng.uniform(0.5, 1) if shared else None,
                field_names.class_in(other): label if shared else None,
            }
            for _ in range(number)
        ]

    for index in range(count):
        fields_of: dict[str, Any] = {}
        for source, other, match in ((A, B, "fp"), (B, A, "fn")):
            found = instances(rng.randint(1, 4), match, other)
            lines = [{"_id": ObjectId(), "_cls": "Polyline", "label": one["label"], "points": polygon} for one in found]
            fields_of[field_names.instances(source)] = {"_cls": "Detections", "detections": found}
            fields_of[field_names.polygons(source)] = {"_cls": "Polylines", "polylines": lines}
            fields_of[field_names.mask(source)] = {
                "_id": ObjectId(),
                "_cls": "Segmentation",
                "mask_path": "/nowhere.png",
            }
        yield {
            "_id": ObjectId(),
            "filepath": image,
            "tags": [],
            "_media_type": "image",
            "_rand": rng.random(),
            "_dataset_id": dataset._doc.id,
            "created_at": now,
            "last_modified_at": now,
            field_names.JOB_ID: f"{index:016x}",
            field_names.PROMPT: "a photo of a red car and a green tree on a road at noon",
            field_names.ATTRIBUTES: {
                "_cls": "DynamicEmbeddedDocument",
                **{name: rng.choice(values) for name, values in ATTRIBUTES.items()},
            },
            field_names.agreement(A, B): rng.random(),
            **fields_of,
        }


if __name__ == "__main__":
    main()
