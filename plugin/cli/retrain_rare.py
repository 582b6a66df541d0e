"""The second half of the demo of a rare class: a detector that has never seen a piano learns it from painted ones.

Painted pianos with attention's labels, and painted scenes of everything else with what attention and the detector agree
on, are curated and become the detector's next lesson. Before and after, it is tested on renders, whose truth is known.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import fiftyone as fo

from diffucurate.generator.models.built_in import yolo_path
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.tiny.rare import PLACEHOLDER
from diffucurate.generator.tiny.shapes import CLASSES, COLOURS, RARE_CLASSES
from diffucurate.generator.tiny.words import PLACES, TIMES
from diffucurate.plugin.cli.terminal import Terminal
from diffucurate.plugin.store.media_files import write_png
from diffucurate.plugin.store.media_folder import media_folder

LESSONS, TEST_RENDERS = "diffucurate-demo-rare-lessons", "diffucurate-demo-rare-test"
SEGMENTER = "demo-rare"

#: Painted pianos, painted scenes of the other classes, and renders of the test.
PIANOS, SCENES, TESTED = 120, 240, 150

#: The first seed of the renders that the detector is tested on; no training and no choice of a setting draws them.
TEST_SEED = 66_000_000

#: Chosen on renders of other seeds.
TRAINING: dict[str, Any] = {"epochs": 12, "learning_rate": 5e-4, "batch_size": 16, "patience": 0}


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

    with terminal.progress("render the test") as progress:
        test = rendered_test(TESTED, TEST_SEED)
    for recipe in (piano_lessons(PIANOS, parts), scene_lessons(SCENES)):
        with terminal.progress(f"generate {recipe.templates[0]}") as progress:
            lessons = dc.generate(recipe, progress=progress)
    with terminal.progress("label and fuse") as progress:
        dc.label(lessons, source="yolov8", progress=progress)
        dc.compare(lessons, "attention", "yolov8")
        dc.fuse(lessons, ["attention", "yolov8"])
    curated = dc.curate(lessons, source="fused", min_confidence=0.5)
    terminal.show(
        f"Curated: {len(curated)} of {len(lessons)} painted images, labels fused of attention and the detector"
    )
    with terminal.progress("train-segmenter") as progress:
        trained = dc.train_segmenter(
            curated, "fused", name=SEGMENTER, start=yolo_path(), overwrite=True, progress=progress, **TRAINING
        )
    scores = {}
    for into, weights in (("before", None), ("after", trained.weights)):
        with terminal.progress(f"test {into}") as progress:
            dc.label(test, source="yolov8", weights=weights, into=into, progress=progress)
            scores[into] = detector_score(dc.evaluate(test, into, "ground_truth"))
    terminal.show(
        f"On {len(test)} renders the detector's AP50 for pianos is {scores['before'].piano:.2f} before and "
        f"{scores['after'].piano:.2f} after; for the other classes {scores['before'].others:.3f} and "
        f"{scores['after'].others:.3f}."
    )
    return scores


def detector_score(evaluation: Any) -> DetectorScore:
    by_class = {row.label: row.ap50 or 0.0 for row in evaluation.classes if row.truth}
    others = [by_class[name] for name in CLASSES if name in by_class]
    return DetectorScore(by_class.get("piano", 0.0), sum(others) / max(1, len(others)))


def piano_lessons(count: int, parts: dict[str, Any]) -> Recipe:
    """Pianos everywhere and at all times."""
    return Recipe.from_mapping(
        {
            **_shared(count),
            "classes": {"piano": [PLACEHOLDER]},
            "templates": [f"a {PLACEHOLDER} on a {{place}} at {{time}}"],
            "attributes": {"place": list(PLACES), "time": list(TIMES)},
            "seeds": 10,
            **parts,
        }
    )


def scene_lessons(count: int) -> Recipe:
    """Scenes of the classes that the detector knows, so that it does not forget them."""
    return Recipe.from_mapping(
        {
            **_shared(count),
            "classes": {name: [name] for name in CLASSES},
            "templates": ["a {colour} {object} and a {second} on a {place} at {time}"],
            "attributes": {
                "colour": list(COLOURS),
                "object": list(CLASSES),
                "second": list(CLASSES),
                "place": list(PLACES),
                "time": list(TIMES),
            },
        }
    )


def _shared(count: int) -> dict[str, Any]:
    sample = {"count": count, "seed": 1}
    return {"dataset": LESSONS, "model": "tiny", "size": [128, 128], "steps": 20, "sample": sample}


def rendered_test(count: int, seed: int) -> fo.Dataset:
    """Rendered scenes of all classes, pianos more often, with their exact instances in ``ground_truth``."""
    from diffucurate.generator.labels.model import Instance
    from diffucurate.generator.tiny.scenes import render_scene
    from diffucurate.plugin.store.classes import extend_classes
    from diffucurate.plugin.store.label_values import to_detection

    if fo.dataset_exists(TEST_RENDERS):
        fo.delete_dataset(TEST_RENDERS)
    dataset = fo.Dataset(TEST_RENDERS, persistent=True)
    extend_classes(dataset, {name: [name] for name in (*CLASSES, *RARE_CLASSES)})
    folder, samples = media_folder(dataset), []
    for index in range(count):
        scene = render_scene(seed + index, classes=(*CLASSES, *RARE_CLASSES * 4))
        path = write_png(folder / "images" / f"render-{index:03d}.png", scene.image)
        truth = [to_detection(Instance(each.label, each.mask, 1.0)) for each in scene.objects]
        samples.append(fo.Sample(filepath=str(path), ground_truth=fo.Detections(detections=truth)))
    dataset.add_samples(samples, progress=False)
    return dataset
