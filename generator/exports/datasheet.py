"""The datasheet of an export: what it holds and where that came from, as Markdown. Knows facts, not where they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from diffucurate.generator.exports.folder import Written
from diffucurate.generator.exports.markdown import escaped, table


@dataclass(frozen=True)
class ClassFigures:
    """Of the instances of one class: on how many images, their mean confidence and mean share of the image.

    The means are None where no instance has the value.
    """

    images: int
    instances: int
    confidence: float | None
    area: float | None


@dataclass(frozen=True)
class Agreement:
    """How far another source agrees: the images that were compared, their mean agreement, and per class the mean IoU.

    ``ious`` are means over a class's instances, 0 where the other source has no matching one.
    """

    other: str
    images: int
    mean: float
    ious: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PaintedImages:
    """How the images were painted: what was counted of each setting, and the prompts.

    ``models``, ``tasks`` and ``sizes`` count images, ``attributes`` images per value. ``prompts`` is the number of
    different ones, ``examples`` some of them.
    """

    images: int
    models: Mapping[str, int]
    tasks: Mapping[str, int]
    seeds: tuple[int, int, int] | None
    steps: tuple[int, int] | None
    guidance: tuple[float, float] | None
    attributes: Mapping[str, Mapping[str, int]]
    prompts: int
    examples: Sequence[str]


@dataclass(frozen=True)
class Datasheet:
    """All facts of an export but the numbers per split.

    ``source_settings`` are those of the run that labelled, ``found_by`` the instances by the sources that have them,
    where labels were fused, ``human`` those that a person drew or mended. ``sizes`` counts images by width x height.
    """

    name: str
    format: str
    source: str
    classes: Sequence[str]
    unlabelled: int
    licence: str | None
    figures: Mapping[str, ClassFigures]
    sizes: Mapping[str, int]
    agreements: Sequence[Agreement] = ()
    source_settings: Mapping[str, str] = field(default_factory=dict)
    found_by: Mapping[str, int] = field(default_factory=dict)
    human: int = 0
    painted: PaintedImages | None = None

    def render(self, written: Written, *, unreadable: int = 0, left_out: int = 0) -> str:
        """The datasheet of what was ``written``; images and instances that could not be read were left out."""
        parts = [
            f"# {escaped(self.name)}",
            f"Images and labels of the source {escaped(self.source)}, written by Diffucurate as {self.format}.",
            "## Content",
            *self._content(written, unreadable, left_out),
            "## Labels",
            *self._labels(),
            "## Agreement",
            *self._agreement(),
            "## Images",
            *self._images(),
            "## Licence",
            f"{escaped(self.licence)}." if self.licence else "Not stated.",
        ]
        return "\n\n".join(parts) + "\n"

    def _content(self, written: Written, unreadable: int, left_out: int) -> list[str]:
        splits = list(written.images)
        rows = [(split, written.images[split], written.instances[split]) for split in splits]
        total = ("all", sum(written.images.values()), sum(written.instances.values()))
        per_class = []
        for name in self.classes:
            counts = [written.classes[split][name] for split in splits]
            per_class.append((name, *counts, sum(counts)))
        parts = [
            table(("Split", "Images", "Instances"), [*rows, total]),
            table(("Class", *(f"Instances in {split}" for split in splits), "All"), per_class),
        ]
        reasons = {
            f"images that {self.source} has not labelled": self.unlabelled,
            "images that cannot be read": unreadable,
            "instances that cannot be read": left_out,
        }
        if lacking := [f"{count} {reason}" for reason, count in reasons.items() if count]:
            parts.append(f"Left out: {escaped(', '.join(lacking))}.")
        return parts

    def _labels(self) -> list[str]:
        parts = []
        if self.source_settings:
            settings = ", ".join(f"{name}: {value}" for name, value in self.source_settings.items())
            parts.append(f"Made with {escaped(settings)}.")
        if self.found_by:
            rows = sorted(self.found_by.items(), key=lambda item: (-item[1], item[0]))
            parts.append(table(("Found by", "Instances"), rows))
        if self.human:
            parts.append(f"Drawn or mended by a person: {self.human} instances.")
        per_class: list[tuple[object, ...]] = []
        for name in self.classes:
            figures = self.figures.get(name, ClassFigures(0, 0, None, None))
            means = ("" if value is None else value for value in (figures.confidence, figures.area))
            per_class.append((name, figures.images, figures.instances, *means))
        header = ("Class", "Images", "Instances", "Mean confidence", "Mean share of the image")
        return [*parts, "Of all instances that can be exported:", table(header, per_class)]

    def _agreement(self) -> list[str]:
        if not self.agreements:
            return ["The labels were not compared with those of another source."]
        parts = []
        for each in self.agreements:
            parts.append(f"With {escaped(each.other)}: {each.mean:.3f} on average of {each.images} images.")
            if each.ious:
                rows = [(name, each.ious[name]) for name in self.classes if name in each.ious]
                parts.append(table(("Class", f"Mean IoU with {each.other}"), rows))
        return parts

    def _images(self) -> list[str]:
        parts = []
        if self.sizes:
            parts.append(table(("Size in pixels", "Images"), self.sizes.items()))
        if self.painted is None:
            return [*parts, "None of the images was painted by Diffucurate."]
        painted = self.painted
        parts.append(table(("Model", "Images"), painted.models.items()))
        parts.append(table(("Task", "Images"), painted.tasks.items()))
        lines = [f"- Painted: {painted.images} images"]
        if painted.seeds is not None:
            least, greatest, count = painted.seeds
            lines.append(f"- Seeds: {count} different ones from {least} to {greatest}")
        if painted.steps is not None:
            lines.append(f"- Steps: {_span(*painted.steps)}")
        if painted.guidance is not None:
            lines.append(f"- Guidance: {_span(*painted.guidance)}")
        lines.append(f"- Prompts: {painted.prompts} different ones")
        parts.append("\n".join(lines))
        if painted.attributes:
            rows = [(name, value, n) for name, values in painted.attributes.items() for value, n in values.items()]
            parts.append(table(("Attribute", "Value", "Images"), rows))
        if painted.examples:
            parts.append("Examples of prompts:")
            parts.append("\n".join(f"- {escaped(text)}" for text in painted.examples))
        return parts


def _span(least: float, greatest: float) -> str:
    return f"{least:g}" if least == greatest else f"{least:g} to {greatest:g}"
