"""Provenance in words: the lines that the App's form and the terminal show. Knows nothing of either."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from diffucurate.generator.captions.source import CaptionSource
from diffucurate.generator.painting.conditions import Conditions
from diffucurate.generator.recipe.canvas import Canvas
from diffucurate.generator.recipe.guide import Guide
from diffucurate.generator.recipe.layout import LayoutSource
from diffucurate.plugin.provenance.provenance import Provenance
from diffucurate.plugin.store.runs import DONE, RUNNING, Record

_TASKS = {
    "txt2img": "Image from text",
    "img2img": "Image from an image",
    "inpaint": "Object replaced in an image",
    "canvas": "Several objects, each in a region of its own",
    "mask2img": "Image by a mask",
}
_BUILT_IN = "tiny"


def of_image(origin: Provenance) -> dict[str, str]:
    """What was painted: label -> text, without empty lines."""
    job = origin.job
    lines = {
        "Prompt": job.prompt,
        **_caption(job.caption),
        **_regions(job.canvas),
        **_layout(job.layout),
        **_guide(job.guide),
        "Negative prompt": job.negative_prompt,
        "Attributes": ", ".join(f"{name}: {value}" for name, value in job.attributes.items()),
        "Looked for": "; ".join(_phrases(label, phrases) for label, phrases in job.phrases.items()) or "no class",
        "Seed": str(job.seed),
        "Size": f"{job.size[0]} x {job.size[1]} px",
        "Steps": str(job.steps),
        "Guidance": f"{job.guidance:g}",
        "Model": f"{job.model} (built-in)" if job.model == _BUILT_IN else job.model,
        "Task": _TASKS.get(job.task, job.task),
        **_source(origin),
    }
    return {label: text for label, text in lines.items() if text}


def _caption(caption: CaptionSource | None) -> dict[str, str]:
    """The caption that the prompt was made of, where that came from, and the text that found its classes."""
    if caption is None:
        return {}
    image = f" of image {caption.image_id}" if caption.image_id is not None else ""
    place = "the recipe" if caption.file is None else f"'{caption.file}'"
    wrote = f", written by {caption.model}" if caption.model is not None else ""
    lines = {"Caption": f"{caption.text} ({caption.id}{image}, {place}{wrote})"}
    return lines if caption.class_prompt is None else {**lines, "Class prompt": caption.class_prompt}


def _regions(canvas: Canvas | None) -> dict[str, str]:
    """The prompts of a canvas's regions and where they are."""
    if canvas is None:
        return {}
    places = (f"{each.prompt} ({each.box[0]}, {each.box[1]})" for each in canvas.regions)
    return {"Background": canvas.background, "Regions": "; ".join(places)}


def _guide(guide: Guide | None) -> dict[str, str]:
    """Where its classes were to be, and how strongly."""
    if guide is None:
        return {}
    targets = []
    for label, center, size in guide.objects:
        place = "" if center is None else f" at ({center[0]:.3g}, {center[1]:.3g})"
        targets.append(f"{label}{place}{'' if size is None else f', {size:.3g} of the image'}")
    return {"Guided": f"{'; '.join(targets)} (weight {guide.weight:g})"}


def _layout(layout: LayoutSource | None) -> dict[str, str]:
    """The mask that it was painted by, and how strictly."""
    if layout is None:
        return {}
    place = f"'{layout.field}' of image {layout.sample_id} of dataset '{layout.dataset}'"
    words = f"{layout.words} words" + (f", guided by {layout.guide:g}" if layout.guide else "")
    return {"Mask": f"{place} (until {layout.until:g} of the steps, boost {layout.boost:g}, {words})"}


def _source(origin: Provenance) -> dict[str, str]:
    """What it was painted from, and the sample that it varies where that is another one."""
    source, lines = origin.job.source, {}
    if source is not None:
        lines["Painted from"] = f"image {source.sample_id} of dataset '{source.dataset}'"
        lines["Strength"] = f"{source.strength:g}"
        if source.region is not None:
            grown = f", grown by {source.region.margin:g}" if source.region.margin else ""
            kept = ", in its outline" if source.region.shape == "keep" else ""
            lines["Replaced"] = f"{source.region.label} ({source.region.field}, {source.region.instance}){grown}{kept}"
    if origin.source_id and (source is None or origin.source_id != source.sample_id):
        lines["Variation of"] = f"image {origin.source_id}"
    return lines


def of_run(origin: Provenance) -> dict[str, str]:
    """When, where and with what it was painted and labelled: label -> text."""
    run = origin.run
    lines = {
        "Name": run.key,
        "Time": _span(run),
        "Painted": _conditions(origin.conditions, origin.device),
        "Asked for": _request(run.settings),
        "Recipe": f"fingerprint {origin.recipe.fingerprint()}",
        "Versions": ", ".join(f"{name} {version}" for name, version in run.versions.items()),
    }
    for later in origin.labelled:
        when = "that run was deleted" if later.run is None else f"since {_moment(later.run.started)}"
        refiner = None if later.run is None else later.run.settings.get("refiner")
        redrawn = f", outlines redrawn by {refiner}" if refiner else ""
        lines[f"Labels of {later.source}"] = f"{when} (run {later.run_key}){redrawn}"
    return {label: text for label, text in lines.items() if text}


def _phrases(label: str, phrases: tuple[str, ...]) -> str:
    return label if phrases == (label,) else f"{label} ({', '.join(phrases)})"


def _span(run: Record) -> str:
    begun = _moment(run.started)
    if run.ended is None:
        return f"{begun}, and not ended" if run.status == RUNNING else begun
    ended = _moment(run.ended)
    same_day = begun[:10] == ended[:10]
    stopped = "" if run.status == DONE else ", stopped before its end"
    return f"{begun.removesuffix(' UTC')} to {ended[11:] if same_day else ended}{stopped}"


def _moment(iso: str) -> str:
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S} UTC"


def _conditions(conditions: Conditions | None, device: str | None) -> str:
    if conditions is None:
        return f"on {device}" if device else ""
    plural = "s" if conditions.threads > 1 else ""
    threads = f" ({conditions.threads} thread{plural})" if conditions.device == "cpu" else ""
    together = "alone" if conditions.batch_size == 1 else f"{conditions.batch_size} at once"
    return f"on {conditions.device}{threads}, {together}"


def _request(settings: Mapping[str, Any]) -> str:
    """The run's settings besides the recipe."""
    parts = [f"the first {settings['limit']} images"] if settings.get("limit") else []
    seeds = settings.get("seeds")
    if seeds is not None:
        parts.append(f"{seeds} new seeds" if isinstance(seeds, int) else f"seeds {', '.join(map(str, seeds))}")
    for name, values in settings.get("attributes", {}).items():
        parts.append(f"{name}: {', '.join(values)}")
    return "; ".join(parts)
