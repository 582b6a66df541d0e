"""A person's script that uses every verb, as ``mypy --strict`` sees it against the installed package; never run."""

from __future__ import annotations

import diffucurate as dc


class Bright:
    """A label source of one's own."""

    name = "bright"

    def label(self, images: object, /) -> list[dc.Labels]:
        return []


recipe = dc.Recipe.load("night-streets.yaml")
dataset = dc.generate(recipe, count=8, batch_size=4, device="cpu", progress=lambda report: print(report.done))
several = dc.generate([recipe, recipe])
print(len(several), dc.generate("night-streets.yaml", trust_pickle=False))
dc.label(dataset, source="attention", settings=dc.LabelSettings(floor=0.6), classes={"car": ["car", "sedan"]})
dc.label(dataset, source="yolov8", weights="yolo.pt", settings=dc.YoloSettings(min_confidence=0.3), device="cpu")
dc.label(dataset, source=Bright(), classes=["car"])
comparison: dc.Comparison = dc.compare(dataset, "attention", "yolov8", classes=["car"], iou=0.5)
print(comparison.table())
fusion: dc.Fusion = dc.fuse(dataset, ["attention", "yolov8"], into="fused", settings=dc.FusionSettings(lone=0.5))
print(fusion.found_by)
view = dc.curate(dataset, source="attention", min_agreement=0.6, against="yolov8", save_as="good")
undone: dc.UndoResult = dc.undo_curation(dataset, "good")
summary: dc.ExportSummary = dc.export(
    view, "out/coco", format="coco", source="attention", splits={"train": 0.8, "val": 0.2}, overwrite=True
)
dc.regenerate(view, seeds=2, attributes={"time": "night"}, batch_size=4)
dc.img2img(view, attributes={"time": ["night"]}, carry="attention", strength=[0.4, 0.6], seeds=2, steps=30)
dc.inpaint(view, "attention", "a red bus", classes=["bus"], instances="largest", model="tiny", shape="keep")
dc.mask2img(view, "attention", prompt="a photo of {labels} at night", classes=["bus"], boost=8.0, guide=12.0)
variants = dc.augment(view, "ground_truth", variants=2, part="objects", strength=[0.5], seed=1, save_as="more")
tokens: dict[str, dc.ClassToken] = dc.learn_token(view, "ground_truth", "car", name="my-car")
expanded: dc.CaptionExpansion = dc.expand_captions(
    "captions.txt", "more.json", model="Qwen/Qwen3-0.6B", classes={"car": ["car"]}
)
scores: dc.Evaluation = dc.evaluate(dataset, "yolov8", "ground_truth", classes=["car"], scenarios=["attributes.time"])
measures: dc.Assessment = dc.assess(dataset, source="attention", checks=["image", "masks"], batch_size=8)
queue: dc.ReviewQueue = dc.review(dataset, "attention", "yolov8", by="iou")
mosaics = dc.mosaic(view, source="attention", count=20, grids=[(2, 2)])
page: dc.ReportSummary = dc.report(view, "report.html", source="attention", reference=mosaics)
trained: dc.TrainedSegmenter = dc.train_segmenter(view, "fused", start="yolov8n-seg", epochs=50, into="student")
figures: dc.SegmenterFigures = trained.figures
adapter: dc.TrainedAdapter = dc.train_adapter(variants, "ground_truth", name="mine", steps=800, noise=0.05)
more: dc.NextRound = dc.generate_more(dataset, "fused", "student", 200, cap=4)
print(
    adapter,
    scores.overall,
    measures.means,
    queue.counts,
    page.figures,
    figures.mask_map50,
    more.recipe,
    more.weaknesses[0],
)
word: dc.TrainResult = dc.train_token(view, "<piano>", vectors=4, lora={"layers": "all"}, steps=300)
made_by: dc.Provenance = dc.provenance(view.first())
again: list[dc.RepaintResult] = dc.repaint(view)
print(made_by.job.prompt, again[0].verdict, word.recipe_parts(), tokens, expanded, undone, summary)
try:
    dc.TraceSettings(tau=2)
except dc.InvalidSetting as error:
    print(error.field, error.value, error.remedy)
except dc.DiffucurateError as error:
    print(error)
