"""What ``assess`` can find out: each check with the fields that it writes, in words. Light: forms ask it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.schema import MeasureField

#: What a check is about besides images: ``source``, labels; ``against``, those of a second source.
Need = Literal["source", "against", "clip_model"]


@dataclass(frozen=True)
class Check:
    """A check: its name, what it is called in forms, what it finds out in a sentence, and what has to be named for it.

    ``fields`` returns the fields that it writes, of a source and a second one where it needs them.
    """

    name: str
    title: str
    meaning: str
    needs: tuple[Need, ...]
    fields: Callable[[str, str], Mapping[str, MeasureField]]


def _image(source: str, against: str) -> dict[str, MeasureField]:
    return {
        "brightness": MeasureField("Mean grey level of the image, 0 (black) to 1 (white)"),
        "contrast": MeasureField("Standard deviation of the image's grey levels; 0 where it is of one colour"),
        "sharpness": MeasureField("Strength of fine edges by that of all; low where the image is blurred"),
    }


def _masks(source: str, against: str) -> dict[str, MeasureField]:
    def field(meaning: str, whole: bool = False) -> MeasureField:
        return MeasureField(meaning, whole, (source,))

    return {
        field_names.measure(source, "coverage"): field(f"Share of the image that objects of {source} cover"),
        field_names.measure(source, "objects"): field(f"Number of objects of {source}", whole=True),
        field_names.measure(source, "parts"): field(f"Most parts that an object of {source} is in", whole=True),
        field_names.measure(source, "compactness"): field(
            f"Compactness of the most ragged object of {source}, 0 to 1; a disc has 1"
        ),
    }


def _prompt(source: str, against: str) -> dict[str, MeasureField]:
    meaning = f"How far {source} finds what the prompt asked for, and as many, 0 to 1"
    return {field_names.measure(source, "obedience"): MeasureField(meaning, sources=(source,))}


def _flip(source: str, against: str) -> dict[str, MeasureField]:
    meaning = f"IoU of the labels of {source} with those that it gives the mirrored image, 0 to 1"
    return {field_names.measure(source, "flip_iou"): MeasureField(meaning, sources=(source,))}


def _mistakenness(source: str, against: str) -> dict[str, MeasureField]:
    both = (source, against)
    meanings = {
        "mistakenness": MeasureField(
            f"How likely an object of {source} is wrong by {against}, 0 to 1; -1 where none matches", sources=both
        ),
        "missing": MeasureField(f"Objects that {source} lacks and {against} is sure of", True, both),
        "spurious": MeasureField(f"Objects of {source} that {against} has nothing for", True, both),
    }
    return {field_names.pair_measure(name, *both): field for name, field in meanings.items()}


def _noise(source: str, against: str) -> dict[str, MeasureField]:
    both = (source, against)
    meanings = {
        "noise_iou": f"IoU per class of the labels of {source} with those of {against}, 0 to 1",
        "noise_rank": f"Share of the images of a class on which {source} and {against} agree no better, least of any "
        "class of the image",
    }
    return {field_names.pair_measure(name, *both): MeasureField(text, sources=both) for name, text in meanings.items()}


def _label_quality(source: str, against: str) -> dict[str, MeasureField]:
    meanings = {
        "quality": f"How likely the boxes and classes of {source} are right by {against}, 0 to 1 (ObjectLab)",
        "overlooked": f"Low where {against} is sure of an object that {source} lacks, 0 to 1 (ObjectLab)",
        "badloc": f"Low where a box of {source} is elsewhere by {against}, 0 to 1 (ObjectLab)",
        "swap": f"Low where {against} is sure of another class than {source}, 0 to 1 (ObjectLab)",
        "pixels": f"How sure {against} is of the least likely pixels of {source}, 0 to 1 (softmin)",
    }
    return {
        field_names.label_quality(source, kind): MeasureField(meaning, sources=(source, against))
        for kind, meaning in meanings.items()
    }


def _clip(source: str, against: str) -> dict[str, MeasureField]:
    meaning = "How sure CLIP is of the prompted class that it is least sure of, 0 to 1; 0.5 where it cannot tell"
    return {"clip_score": MeasureField(meaning)}


def unseen_name(source: str) -> str:
    """The name under which labels are stored of segmenters that learned from a source's labels of other images."""
    return f"{field_names.part(source)}_unseen"


#: In the order in which forms list them.
CHECKS: Mapping[str, Check] = {
    check.name: check
    for check in (
        Check("image", "Blank, dark or blurred", "Brightness, contrast and sharpness of each image", (), _image),
        Check("masks", "Size and fragmentation", "How much is labelled, and in how many pieces", ("source",), _masks),
        Check(
            "prompt",
            "Prompt obedience",
            "Whether a source that the image was not painted by finds what the prompt asked for",
            ("source",),
            _prompt,
        ),
        Check(
            "flip",
            "Flip consistency",
            "Whether the source labels the mirrored image alike; it is asked again for each image",
            ("source",),
            _flip,
        ),
        Check(
            "mistakenness",
            "Mistakenness",
            "Where a second source is sure of something else (FiftyOne's compute_mistakenness)",
            ("source", "against"),
            _mistakenness,
        ),
        Check(
            "noise",
            "Noise learning",
            "How far the labels are what a model predicts that was trained on other images",
            ("source", "against"),
            _noise,
        ),
        Check(
            "label_quality",
            "Label quality",
            "cleanlab's scores by a second source: objects overlooked, misplaced or of another class; pixels",
            ("source", "against"),
            _label_quality,
        ),
        Check(
            "clip",
            "CLIP score",
            "Whether a CLIP model sees the prompted classes",
            ("clip_model",),
            _clip,
        ),
    )
}

#: The checks where none is named: they look at pixels and masks alone.
USUAL = ("image", "masks")
