"""The names of fields, runs and evaluations, in one place. Knows nothing of what they hold."""

from __future__ import annotations

import re

from diffucurate.generator.errors import DatasetError

JOB_ID = "job_id"
RUN_KEY = "run_key"
PROMPT = "prompt"
TEMPLATE = "prompt_template"
NEGATIVE_PROMPT = "negative_prompt"
SEED = "seed"
STEPS = "steps"
GUIDANCE = "guidance"
TASK = "task"
MODEL = "model"
ATTRIBUTES = "attributes"
SOURCE_ID = "source_id"

#: What an image was painted from, with all that is needed to find and check it (``plugin.store.init_document``).
SOURCE = "source"

#: The caption that the prompt was made of, and where that came from (``plugin.store.caption_document``).
CAPTION = "caption"

#: The regions of a canvas (``plugin.store.canvas_document``).
CANVAS = "canvas"

#: The mask that the image was painted by (``plugin.store.layout_document``).
LAYOUT = "layout"

#: Device, batch size and threads of the painting: with the job, all that decides every bit of the image.
PAINTED = "painted"
PAINTED_PATHS = tuple(f"{PAINTED}.{part}" for part in ("device", "batch_size", "threads"))

#: Of what a mosaic is made: the samples' ids, row by row, and how many rows and columns there are.
MOSAIC = "mosaic"
MOSAIC_PARENTS = f"{MOSAIC}.parents"
MOSAIC_PATHS = (MOSAIC_PARENTS, *(f"{MOSAIC}.{part}" for part in ("rows", "columns", "digest")))

#: The label source of what painting labels.
PAINTING_SOURCE = "attention"

#: In ``PAINTED``, where a safety checker blacked out the image of the job's own seed: that seed, part of the job's id.
PLANNED_SEED = "planned_seed"

#: The file of an image's raw class maps, from which attention labels can be made again.
ATTENTION_MAPS = "attention_maps"

#: The key under which Diffucurate keeps its own facts in ``dataset.info``.
INFO = "diffucurate"

#: A Detection's or Polyline's share of the image, in [0, 1].
AREA = "area"

#: Connected parts of a Detection's mask, and its area by that of a disc with an outline as long, in [0, 1].
PARTS = "parts"
COMPACTNESS = "compactness"

#: Set on Detections whose mask a second model redrew.
REFINED = "refined"

#: Tags of augmented images, and of labels carried over to them that the new attention does not find again.
AUGMENTED, UNCONFIRMED = "augmented", "unconfirmed"

#: The attribute of a label that was carried over to an augmented image: the id of the label it is a copy of.
CARRIED_FROM = "carried_from"

#: The attribute of a fused instance that lists the sources that have it.
FOUND_BY = "found_by"


def heatmap(label: str) -> str:
    """The Heatmap field of a class; anything but letters, digits and underscores becomes an underscore.

    Raises:
        DatasetError: a class name without any letter or digit.
    """
    name = re.sub(r"\W+", "_", label).strip("_")
    if not name:
        raise DatasetError(f"class '{label}' gives no field name; use at least one letter or digit in it")
    return f"heatmap_{name}"


def source(name: str) -> str:
    """``name`` itself, if fields can be named after it.

    Raises:
        DatasetError: it is not an identifier, or begins with an underscore.
    """
    if not name.isidentifier() or name.startswith("_"):
        raise DatasetError(f"label source '{name}': use letters, digits and underscores only, as in 'yolov8'")
    return name


def part(name: str) -> str:
    """``name`` as a part of other names: fields of other tools may be called anything, such as ``ground-truth``."""
    return re.sub(r"\W", "_", name)


def mask(source_name: str) -> str:
    """The Segmentation field of a label source."""
    return f"{source(source_name)}_mask"


def polygons(source_name: str) -> str:
    """The Polylines field of a label source."""
    return f"{source(source_name)}_polygons"


def instances(source_name: str) -> str:
    """The Detections field of a label source."""
    return f"{source(source_name)}_instances"


def agreement(a: str, b: str) -> str:
    """The field that says how far two label sources agree on a sample."""
    return f"agreement_{part(a)}_{part(b)}"


def measure(source_name: str, name: str) -> str:
    """The field of a number that ``assess`` finds of a label source's labels."""
    return f"{part(source_name)}_{name}"


def pair_measure(name: str, a: str, b: str) -> str:
    """The field of a number that ``assess`` finds of source ``a`` by source ``b``."""
    return f"{name}_{part(a)}_{part(b)}"


def label_quality(source_name: str, kind: str) -> str:
    """The field of cleanlab's score of a label source's labels: all at once (``quality``), or of one kind of fault."""
    return f"label_quality_{part(source_name)}" + ("" if kind == "quality" else f"_{kind}")


def evaluation(a: str, b: str) -> str:
    """The key of FiftyOne's evaluation of source ``a`` with ``b`` as the reference."""
    return f"compare_{part(a)}_{part(b)}"


def evaluation_of(prediction: str, truth: str) -> str:
    """The key of FiftyOne's evaluation of labels against the truth."""
    return f"evaluate_{part(prediction)}_{part(truth)}"


def iou_with(other: str) -> str:
    """The attribute of an instance that is its IoU with the matching one of another label source, 0 without one."""
    return f"iou_with_{part(other)}"


def matched_with(other: str) -> str:
    """The attribute of an instance that says whether another label source has a matching one."""
    return f"matched_{part(other)}"


def class_in(other: str) -> str:
    """The attribute of an instance that is the class another label source has at its place, None where it has none."""
    return f"class_in_{part(other)}"
