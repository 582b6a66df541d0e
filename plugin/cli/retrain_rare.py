"""The second half of the demo of a rare class: a detector that has never seen a piano learns it from painted ones.

Renders with exact labels, and no piano among them, stand for the real images that a detector was trained on before.
Painted pianos with attention's labels, curated, are all that it learns pianos from. Before and after, it is tested on
other renders, of which many show pianos.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import fiftyone as fo

from diffucurate.generator.labels.settings import YoloSettings
from diffucurate.generator.models.built_in import yolo_path
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.tiny.rare import PLACEHOLDER
from diffucurate.generator.tiny.shapes import CLASSES, RARE_CLASSES
from diffucurate.generator.tiny.words import PLACES, TIMES
from diffucurate.plugin.cli.demo_dataset import fresh_dataset
from diffucurate.plugin.cli.terminal import Terminal
from diffucurate.plugin.store.media_files import write_png
from diffucurate.plugin.store.media_folder import media_folder

LESSONS, TEST_RENDERS = "diffucurate-demo-rare-lessons", "diffucurate-demo-rare-test"
SEGMENTER = "demo-rare"

#: The field with the labels that the detector learns from: exact ones of renders, attention's of painted pianos.
LESSON = "lesson"

#: Painted pianos, renders without pianos, and renders of the test.
PIANOS, RENDERS, TESTED = 120, 400, 150

#: The first seeds of the renders; no training, other measurement or choice of a setting draws those of the test.
LESSON_SEED, TEST_SEED = 65_000_000, 66_000_000

#: Chosen on renders of other seeds.
TRAINING: dict[str, Any] = {"epochs": 12, "learning_rate": 1e-3, "patience": 0}


class DetectorScore(NamedTuple):
    """Average precision of masks at IoU 0.5 on renders: of pianos, and the mean over the other classes."""

    piano: float
    others: float


def retrain_on_pianos(terminal: Terminal, parts: dict[str, Any]) -> dict[str, DetectorScore]:
    """Paint, label, curate, train, and test on renders before and after.

    Args:
        terminal: where progress and results are shown.
        parts: the keys of a recipe that use the learned word.

    Returns:
        ``before`` and ``after``.
    """
    import diffucurate as dc

    with terminal.progress("generate lessons") as progress:
        lessons = dc.generate(piano_lessons(PIANOS, parts), progress=progress)
    painted = lessons.exists("prompt")
    curated = dc.curate(painted, source="attention", min_confidence=0.5, save_as="good pianos")
    terminal.show(f"Curated: {len(curated)} of {len(painted)} painted images")
    curated.set_values(LESSON, curated.values("attention_instances"))
    if len(lessons) == len(painted):
        add_renders(lessons, LESSON, RENDERS, LESSON_SEED, CLASSES)
    with terminal.progress("train-segmenter") as progress:
        trained = dc.train_segmenter(
            lessons.exists(LESSON),
            LESSON,
            name=SEGMENTER,
            start=yolo_path(),
            overwrite=True,
            progress=progress,
            **TRAINING,
        )
    test = rendered_test(TESTED, TEST_SEED)
    scores = {}
    for into, weights in (("before", None), ("after", trained.weights)):
        with terminal.progress(f"label {into}") as progress:
            # Average precision is over all confidences.
            settings = YoloSettings(min_confidence=0.05)
            dc.label(test, source="yolov8", weights=weights, into=into, settings=settings, progress=progress)
            scores[into] = detector_score(dc.evaluate(test, into, "ground_truth"))
    before, after = scores["before"], scores["after"]
    terminal.show(
        f"On {len(test)} renders the detector's AP50 for pianos is {before.piano:.2f} before and {after.piano:.2f} "
        f"after, for the other classes {before.others:.3f} and {after.others:.3f}."
    )
    return scores


def detector_score(evaluation: Any) -> DetectorScore:
    """The score of an ``Evaluation``."""
    by_class = {row.label: row.ap50 or 0.0 for row in evaluation.classes if row.truth}
    others = [by_class[name] for name in CLASSES if name in by_class]
    return DetectorScore(by_class.get("piano", 0.0), sum(others) / max(1, len(others)))


def piano_lessons(count: int, parts: dict[str, Any]) -> Recipe:
    """Pianos everywhere and at all times."""
    return Recipe.from_mapping(
        {
            "dataset": LESSONS,
            "model": "tiny",
            "size": [128, 128],
            "steps": 20,
            "classes": {"piano": [PLACEHOLDER]},
            "templates": [f"a {PLACEHOLDER} on a {{place}} at {{time}}"],
            "attributes": {"place": list(PLACES), "time": list(TIMES)},
            "seeds": 10,
            "sample": {"count": count, "seed": 1},
            **parts,
        }
    )


def rendered_test(count: int, seed: int) -> fo.Dataset:
    """Rendered scenes of all classes, pianos more often, with their exact instances in ``ground_truth``."""
    from diffucurate.plugin.store.classes import extend_classes

    dataset = fresh_dataset(TEST_RENDERS)
    extend_classes(dataset, {name: [name] for name in (*CLASSES, *RARE_CLASSES)})
    add_renders(dataset, "ground_truth", count, seed, (*CLASSES, *RARE_CLASSES * 4))
    return dataset


def add_renders(dataset: fo.Dataset, field: str, count: int, seed: int, classes: Sequence[str]) -> None:
    """Add scenes of ``classes``, drawn from these, with their exact instances as detections in ``field``."""
    from diffucurate.generator.labels.model import Instance
    from diffucurate.generator.tiny.scenes import render_scene
    from diffucurate.plugin.store.label_values import to_detection

    folder, samples = media_folder(dataset), []
    for index in range(count):
        scene = render_scene(seed + index, classes=classes)
        path = write_png(folder / "images" / f"render-{index:03d}.png", scene.image)
        truth = [to_detection(Instance(each.label, each.mask, 1.0)) for each in scene.objects]
        samples.append(fo.Sample(filepath=str(path), **{field: fo.Detections(detections=truth)}))
    dataset.add_samples(samples, progress=False)
