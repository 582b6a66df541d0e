"""The sections of a report on images: examples, diversity, fidelity. They read image files."""

from __future__ import annotations

import base64
import io

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from diffucurate.generator.labels.drawing import Layer, overlaid
from diffucurate.generator.reporting.page import Section, images, paragraph, table
from diffucurate.generator.reporting.set_measures import frechet_distance, kernel_distance, vendi_score
from diffucurate.plugin.appearance.palette import family_of, shades
from diffucurate.plugin.reporting.scope import Scope
from diffucurate.plugin.reporting.vectors import ImageSet, evenly_spread
from diffucurate.plugin.statistics.aggregate import rows
from diffucurate.plugin.statistics.coverage import attributes_in
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import classes_in
from diffucurate.plugin.store.instances import UnreadableInstanceError, read_mask
from diffucurate.plugin.store.media_files import read_image
from diffucurate.plugin.store.samples import prompt_of

#: Images shown, their greatest width and height in pixels, and the width of outlines.
_EXAMPLES, _SIDE, _OUTLINE_PX = 12, 256, 2

#: Opacity of colours inside of outlines.
_OPACITY = 0.2


def examples(scope: Scope) -> Section:
    """Some images, evenly spread, with the outlines of their instances."""
    title = "Examples"
    shown = evenly_spread(scope.samples.values("id"), _EXAMPLES)
    wanted = [name for name in (scope.field, field_names.PROMPT) if name and scope.samples.has_sample_field(name)]
    known = [] if scope.field is None else classes_in(scope.dataset, scope.field)
    palette = shades(family_of(scope.source or ""), len(known))
    colours = {name: ImageColor.getrgb(colour)[:3] for name, colour in zip(known, palette, strict=True)}
    pairs = []
    for sample in scope.samples.select(shown, ordered=True).select_fields(wanted):
        try:
            pixels = read_image(sample.filepath)
        except OSError:
            continue
        detections = None if scope.field is None else sample[scope.field]
        labels = sorted({str(each.label) for each in detections.detections or ()} if detections is not None else ())
        caption = "; ".join(text for text in (prompt_of(sample), ", ".join(labels)) if text)
        pairs.append((_drawn(pixels, detections, colours), caption))
    if not pairs:
        return Section(title, why="None of the image files can be read.")
    if scope.source is None:
        return Section(title, [images(pairs)])
    return Section(title, [paragraph(f"Outlines are labels of '{scope.source}'."), images(pairs)])


def _drawn(
    pixels: NDArray[np.uint8], detections: fo.Detections | None, colours: dict[str, tuple[int, int, int]]
) -> str:
    """An image with its instances as a data URI."""
    image = Image.fromarray(pixels)
    scale = _SIDE / max(image.size)
    image = image.resize([max(1, round(side * scale)) for side in image.size], Image.Resampling.BILINEAR)
    layers = []
    for detection in (detections.detections or ()) if detections is not None else ():
        try:
            mask = read_mask(detection, (image.height, image.width), box_suffices=True)
        except UnreadableInstanceError:
            continue
        layers.append(Layer(mask, colours.get(detection.label, (128, 128, 128)), _OPACITY))
    content = io.BytesIO()
    Image.fromarray(overlaid(np.asarray(image), layers, _OUTLINE_PX)).save(content, format="PNG", optimize=False)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


def diversity(scope: Scope, read: ImageSet) -> Section:
    """How varied images and prompts are."""
    title = "Diversity"
    if len(read.vectors) < 2:
        return Section(title, why="There are fewer than two images with features.")
    score = vendi_score(read.vectors)
    text = (
        f"The Vendi score is {score:.2f}: so many wholly different images would be as varied as these "
        f"{len(read.vectors):,}, by {read.features} ({read.sampled} were measured)."
    )
    parts = [paragraph(text)]
    if scope.dataset.has_sample_field(field_names.PROMPT):
        groups = rows(scope.samples, [{"$group": {"_id": f"${field_names.PROMPT}", "count": {"$sum": 1}}}])
        named = [group["count"] for group in groups if group["_id"]]
        parts.append(paragraph(f"{len(named):,} different prompts for {sum(named):,} images."))
    if names := attributes_in(scope.dataset):
        parts.append(paragraph(f"Attributes that vary: {', '.join(names)}."))
    return Section(title, parts, figures=(("vendi_score", score), ("vendi_share", score / len(read.vectors))))


def fidelity(read: ImageSet, reference: ImageSet | None, name: str | None) -> Section:
    """Contrast and compressibility and, against a reference, the distances of the two sets."""
    title = "Fidelity"
    if not len(read.contrasts):
        return Section(title, why="None of the image files can be read.")
    lines = [("these images", read.sampled, *_spread(read.contrasts), *_spread(read.ratios))]
    figures = [("glcm_contrast", float(read.contrasts.mean())), ("compression_ratio", float(read.ratios.mean()))]
    if reference is not None and len(reference.contrasts):
        lines.append(
            (name or "reference", reference.sampled, *_spread(reference.contrasts), *_spread(reference.ratios))
        )
    header = ("Images", "Measured", "GLCM contrast", "its spread", "Compression ratio", "its spread")
    parts = [
        paragraph(
            "GLCM contrast: mean squared difference of neighbouring greys. Compression ratio: plain bytes per byte of "
            "a PNG. Noise has a high contrast and a ratio near 1; flat images have the opposite."
        ),
        table(header, lines),
    ]
    why = ""
    if reference is None:
        why = "No reference was given, so no distance to real images (FID, KID) is measured."
    else:
        try:
            distances = (
                frechet_distance(read.vectors, reference.vectors),
                kernel_distance(read.vectors, reference.vectors),
            )
        except ValueError as error:
            why = f"The distance to the reference (FID, KID) cannot be measured: {error}."
        else:
            count = min(len(read.vectors), len(reference.vectors))
            text = (
                f"Fréchet distance {distances[0]:.4f} and kernel distance {distances[1]:.5f} to {name}, by "
                f"{read.features}. On features of InceptionV3 these are FID and KID; on others they compare only "
                "with distances by the same features."
            )
            parts.append(paragraph(text))
            if count <= read.vectors.shape[1]:
                parts.append(
                    paragraph(
                        f"There are {count:,} vectors of {read.vectors.shape[1]:,} features: too few for the Fréchet "
                        "distance to mean much."
                    )
                )
            figures += [("frechet_distance", distances[0]), ("kernel_distance", distances[1])]
    return Section(title, parts, why, tuple(figures))


def _spread(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation."""
    return float(values.mean()), float(values.std())
