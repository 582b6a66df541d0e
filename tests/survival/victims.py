"""A process that has loaded everything and forks one for each command, to be killed: its own start is paid once.

Reads a line of JSON for each command and answers with one: ``{"start": name, "arguments": {...}}`` gives the process of
a new command, ``{"wait": process, "kill_after": seconds}`` what became of it. Nothing of the database is shared: it is
connected by each command, as by a program of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers  # noqa: F401  (loaded here, and not by each command)
import fiftyone as fo
import fiftyone.core.odm.database as odm
import torch
import transformers  # noqa: F401
import ultralytics  # noqa: F401

import diffucurate as dc
from diffucurate.generator.errors import DiffucurateError
from diffucurate.generator.painting import painter  # noqa: F401
from diffucurate.plugin.environment.machine_problems import machine_problem
from diffucurate.plugin.store.media_folder import media_folder

#: Fields whose values an interrupted run may leave in another order, or that differ between runs.
_NAMED = ("attention_mask", "yolov8_mask")


def generate(recipe: dict[str, Any], media: str | None = None, **options: Any) -> None:
    if media is not None:
        os.environ["DIFFUCURATE_MEDIA_DIR"] = media
    dc.generate(recipe, batch_size=2, **options)


def label(dataset: str, source: str) -> None:
    dc.label(fo.load_dataset(dataset), source=source)


def compare(dataset: str) -> None:
    dc.compare(fo.load_dataset(dataset), "attention", "yolov8")


def curate(dataset: str) -> None:
    samples = fo.load_dataset(dataset)
    dc.curate(samples, source="attention", min_confidence=0.2, max_per_class=4, save_as="kept")


def export(dataset: str, folder: str, format: str) -> None:
    dc.export(fo.load_dataset(dataset), folder, format=format, source="attention", overwrite=True)


def train_segmenter(dataset: str, folder: str) -> None:
    dc.train_segmenter(
        fo.load_dataset(dataset), "attention", name="student", epochs=2, image_size=64, batch_size=4, folder=folder
    )


def delete(dataset: str) -> None:
    if fo.dataset_exists(dataset):
        fo.delete_dataset(dataset)


def rename(dataset: str, name: str) -> None:
    fo.load_dataset(dataset).name = name


def clone(dataset: str, name: str) -> None:
    fo.load_dataset(dataset).clone(name, persistent=True)


def move_media(dataset: str, to: str) -> None:
    os.rename(media_folder(fo.load_dataset(dataset)), to)


def state(dataset: str) -> dict[str, Any]:
    """What a dataset holds: a row per sample, by job, the files that are gone or broken, and those nobody names."""
    if not fo.dataset_exists(dataset):
        return {"rows": [], "broken": [], "stray": [], "runs": []}
    samples = fo.load_dataset(dataset)
    rows, named, broken = [], set[str](), list[str]()
    masks = [name for name in _NAMED if samples.has_sample_field(name)]
    heatmaps = [name for name in samples.get_field_schema() if name.startswith("heatmap_")]
    agreements = [name for name in samples.get_field_schema() if name.startswith("agreement")]
    for sample in samples:
        files = [sample.filepath, sample.attention_maps]
        files += [sample[name].mask_path for name in masks if sample[name] is not None]
        files += [sample[name].map_path for name in heatmaps if sample[name] is not None]
        row: list[Any] = [sample.job_id, sorted(sample.tags), [sample[name] is not None for name in agreements]]
        for path in filter(None, files):
            named.add(path)
            try:
                row.append(hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12])
            except OSError:
                broken.append(path)
        for source in ("attention", "yolov8"):
            found = sample[f"{source}_instances"] if sample.has_field(f"{source}_instances") else None
            row.append(None if found is None else [[each.label, each.bounding_box] for each in found.detections])
        rows.append(row)
    folder = media_folder(samples)
    stray = [str(path) for path in folder.rglob("*") if path.is_file() and str(path) not in named]
    runs = sorted(samples.get_run_info(key).config.status for key in samples.list_runs())
    return {"rows": sorted(rows, key=str), "broken": broken, "stray": stray, "runs": runs}


def files(folder: str) -> dict[str, str]:
    """The files of an export with their content, but for its own list, which has times."""
    root = Path(folder)
    found = [path for path in sorted(root.rglob("*")) if path.is_file() and path.name != ".diffucurate-export.json"]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in found}


COMMANDS: dict[str, Callable[..., Any]] = {
    each.__name__: each
    for each in (
        generate, label, compare, curate, export, train_segmenter, delete, rename, clone, move_media, state, files,
    )
}  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    odm._disconnect()
    running: dict[int, tuple[int, float]] = {}
    answer({"ready": os.getpid()})
    for line in sys.stdin:
        command = json.loads(line)
        if "start" in command:
            process, pipe = begin(COMMANDS[command["start"]], command["arguments"])
            running[process] = pipe, time.monotonic()
            answer({"process": process})
        else:
            process = command["wait"]
            answer(ended(process, *running.pop(process), command.get("kill_after")))


def begin(function: Callable[..., Any], arguments: dict[str, Any]) -> tuple[int, int]:
    """A new process that does a command, and where it says what came of it."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    os.close(reading)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    try:
        content = {"result": function(**arguments)}
    except BaseException as error:
        sentence = str(error) if isinstance(error, DiffucurateError) else machine_problem(error)
        content = {"error": sentence, "traceback": traceback.format_exc()}
    with os.fdopen(writing, "w") as pipe:
        json.dump(content, pipe)
    os._exit(0)


def ended(process: int, pipe: int, started: float, kill_after: float | None) -> dict[str, Any]:
    """What became of a process, which is killed where it takes longer; ``error`` is None where it raised none."""
    text = b""
    left = None if kill_after is None else max(0.0, started + kill_after - time.monotonic())
    readable, _, _ = select.select([pipe], [], [], left)
    if not readable:
        os.kill(process, signal.SIGKILL)
    while part := os.read(pipe, 1 << 16):
        text += part
    os.close(pipe)
    os.waitpid(process, 0)
    seconds = time.monotonic() - started
    return {"killed": not readable, "seconds": seconds, **(json.loads(text) if text else {})}


def answer(content: dict[str, Any]) -> None:
    print(json.dumps(content), flush=True)


if __name__ == "__main__":
    main()
