"""How labels are made, per source: strict configs, with the titles and descriptions that forms show.

Light on purpose: forms and the command line read fields, ranges and words from here without loading what makes
labels. Knows nothing of how the settings are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from diffucurate.generator.validation import StrictSettings


class SourceSettings(StrictSettings):
    """The base of every label source's settings: each is a number with a range, a text, a choice or a switch.

    Those with a description can be set on the command line; those with a title too are asked for in forms.
    """

    prefix: ClassVar[str] = "settings"


class LabelSettings(SourceSettings):
    """How heatmaps become labels. All lengths and areas are relative, so they hold at any image size.

    A setting of the guided filter (``OF_THE_FILTER``) that is given while ``edges`` is not asks for the filter, and an
    ``edge_reach`` of 0 for neither: settings that were kept before there was a network mean what they meant.

    Raises:
        InvalidSetting: a value outside its range, or one of the filter together with the network.
    """

    #: The settings that say how maps are cut which the mask network did not make.
    OF_THE_FILTER: ClassVar[tuple[str, ...]] = ("gamma", "cut", "edge_reach", "edge_contrast", "surround")

    #: What carries a coarse map to the image's outlines. "network": a small network that weighs both and was trained
    #: with masks, though of no class (``maps.mask_network``). "filter": the guided filter, trained with nothing. "off":
    #: the map alone. On photographs with maps made from exact masks the mean IoU is 0.79 by the network, 0.69 by the
    #: maps alone and 0.64 by the filter, and 0.71 for a cut at 0.4.
    edges: Literal["network", "filter", "off"] = Field(
        default="network",
        title="Outlines",
        description="What carries a coarse map to the image's outlines: a small network that was trained for that, a "
        "filter that follows its edges, or neither.",
    )
    #: The power that a map in [0, 1] is raised to before it is cut. Attention names a part of an object, its cab or
    #: its head, far more than the rest of it; a square root brings the rest nearer to the part and away from the
    #: background. Only of maps that follow the image's edges. On rendered scenes set aside for choosing, mIoU rose from
    #: 0.87 to 0.90. 1: as it is.
    gamma: float = Field(default=0.5, ge=0.1, le=2)
    #: How the threshold of a class's map is found. "otsu": Otsu's threshold, at least ``floor``. "steepest": within 0.2
    #: of ``floor``, where the map falls fastest along the outline; no worse (mIoU 0.898 against 0.899 on scenes set
    #: aside for choosing), but it may leave out the fainter of two objects. "agreement": there too, where the image's
    #: edges change the mask least (DiffuMask's idea); needs the image. "fixed": ``floor``. "learned": where learned
    #: tokens carry a threshold, that, moved by as much as ``floor`` is away from its default; elsewhere "otsu".
    cut: Literal["steepest", "otsu", "fixed", "agreement", "learned"] = Field(
        default="otsu",
        description="How the threshold is found: otsu, steepest, agreement, fixed, or learned, which learned tokens "
        "bring along.",
    )
    #: Least value of such a map that can belong to an object; Otsu's threshold counts where it is higher. Chosen
    #: with the others (from 0.7 to 0.8 within 0.01).
    floor: float = Field(
        default=0.75,
        ge=0,
        le=1,
        title="Threshold",
        description="How much heat a pixel needs, compared with the hottest one of its class. "
        "Higher keeps only the core of each object, lower takes in its surroundings.",
    )
    #: How far from a pixel the image's edges count for its heat, as a share of the square root of the image's area.
    #: 0: outlines stay as coarse as the maps.
    edge_reach: float = Field(
        default=0.125,
        ge=0,
        le=0.5,
        description="How far away an edge of the image can pull an object's outline towards it, as a share of the "
        "image's side. 0 leaves outlines as blurred as the heatmaps are.",
    )
    #: Colours within reach that vary less than this (variance, of colours in [0, 1]) hold no edge.
    edge_contrast: float = Field(default=1e-5, ge=1e-6, le=1)
    #: Otsu's threshold is taken again around each object: reach beyond it, in square roots of its area. 0: not.
    surround: float = Field(default=0.65, ge=0, le=2)
    #: Widest neck at which touching objects of a class are told apart, as a share of the narrower one's width. 0: not.
    #: Chosen with ``notch`` on rendered scenes set aside for it: 8 of 29 touching pairs are told apart; with 0.9 they
    #: are 9, and more objects are cut in two.
    split: float = Field(default=0.7, ge=0, le=1)
    #: By how much of its area a mask must get more convex for being cut in two at a notch, where objects of a class
    #: overlap; the heat must have a valley there too. Only of maps that follow the image's edges. 1: none is cut.
    notch: float = Field(default=0.05, ge=0, le=1)
    #: Pixels outside of all objects whose heat is above ``floor`` less this are marked as unknown (255) in the semantic
    #: mask, not as background (Dataset Diffusion, Nguyen et al. 2023, with 0.1). 0: none.
    ignore_band: float = Field(default=0.0, ge=0, le=1)
    #: Radius of the disc that must fit into an object, in square roots of its area. 0: no opening.
    opening: float = Field(default=0.05, ge=0, le=0.5)
    #: Radius of the disc that must fit into an object's gaps, in square roots of its area. 0: no closing.
    closing: float = Field(default=0.05, ge=0, le=0.5)
    #: Largest hole that is filled, as a share of the object's area.
    max_hole: float = Field(default=0.05, ge=0, le=1)
    #: Smallest object, as a share of the image's area.
    min_area: float = Field(
        default=0.002,
        ge=0,
        le=1,
        title="Smallest object",
        description="Share of the image that an object must cover: 0.01 is a hundredth of the image.",
    )
    #: Smallest object, as a share of the area of its class's largest one in the image. On photographs set aside for
    #: choosing mean IoU is 0.005 higher than with 0.15, and AP50 0.01; with 0.02 AP50 falls again on fine maps.
    min_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        title="Smallest part",
        description="How large an object must be compared with the largest one of its class in the image.",
    )
    #: Of 20,000 objects found in photographs, renders and pasted shapes with all kinds of maps 1,209 were below it, and
    #: one of them was right; most were scraps of the map of a class that the image does not show.
    min_confidence: float = Field(
        default=0.05, ge=0, le=1, title="Least confidence", description="Objects that are less certain are left out."
    )
    #: Only where the image is given, since its colours are the first hint.
    counted: bool = Field(
        default=True,
        title="Believe the prompt's count",
        description="Where the prompt says 'two cars' and one is found, slight hints are enough to cut that in two. "
        "Turn it off where images hold fewer than their prompts say.",
    )
    #: Least IoU with attention's mask that a refiner's mask needs to take its place. Chosen on rendered scenes set
    #: aside for it, with made-up refiners: 0.55 takes 87 of 100 exact masks and 4 of 100 that are twice as large.
    #: Above one half, no two objects that are apart can take the same mask.
    min_agreement: float = Field(
        default=0.55,
        ge=0,
        le=1,
        description="Least IoU with attention's mask that a refiner's mask needs to take its place.",
    )

    @model_validator(mode="before")
    @classmethod
    def _choose_edges(cls, values: Any) -> Any:
        if (
            not isinstance(values, Mapping)
            or "edges" in values
            or not any(name in values for name in cls.OF_THE_FILTER)
        ):
            return values
        return {**values, "edges": "off" if values.get("edge_reach") == 0 else "filter"}

    @model_validator(mode="after")
    def _check_edges(self) -> Self:
        for name in self.OF_THE_FILTER if self.edges == "network" else ():
            if getattr(self, name) != type(self).model_fields[name].default:
                raise self.wrong(name, "the mask network has no use for it; leave it out, or use edges 'filter'")
        return self


class _ScoredSettings(SourceSettings):
    """Which objects that a trained model finds become labels; the base of such sources' settings."""

    #: Objects of lower confidence are left out.
    min_confidence: float = Field(
        default=0.25, ge=0, le=1, title="Least confidence", description="Objects that are less certain are left out."
    )


class _DetectionSettings(_ScoredSettings):
    """The same for models that find an object more than once."""

    #: Of two objects of a class that overlap by more (IoU), the less confident is left out.
    max_overlap: float = Field(
        default=0.7,
        ge=0,
        le=1,
        title="Largest overlap",
        description="Where two objects of a class overlap by more than this share, only the more certain one is kept.",
    )


class YoloSettings(_DetectionSettings):
    """Which of YOLOv8's detections become labels; two overlap as much as their boxes do."""


class AdapterLabelSettings(_DetectionSettings):
    """Which of an adapter's objects become labels; two overlap as much as their boxes do."""

    #: On 40 renders set aside for choosing, an adapter of 50 images has a precision of 0.89 and a recall of 0.84 by
    #: this, of 0.30 and 0.91 by 0.25.
    min_confidence: float = Field(
        default=0.5, ge=0, le=1, title="Least confidence", description="Objects that are less certain are left out."
    )


class ZooSettings(_ScoredSettings):
    """Which objects of a model of FiftyOne's zoo become labels."""


class Mask2FormerSettings(_DetectionSettings):
    """Which of a segmenter's objects become labels."""

    #: As transformers' own post-processing has it.
    min_confidence: float = Field(
        default=0.5, ge=0, le=1, title="Least confidence", description="Objects that are less certain are left out."
    )
    #: What the model was trained for, which the files of most do not say. "auto": semantic where its name has that
    #: word, it is a SegFormer or looks at parts of an image one after another, else instance.
    segmentation: Literal["auto", "instance", "panoptic", "semantic"] = Field(
        default="auto",
        title="Made for",
        description="Instance or panoptic: each of the model's masks is an object. Semantic: each connected part of a "
        "class is. By default what the model's name says, else instance.",
    )
    #: Smallest object, as a share of the image's area: 16 x 16 pixels of 512 x 512.
    min_area: float = Field(
        default=0.001,
        ge=0,
        le=1,
        title="Smallest object",
        description="Share of the image that an object must cover: 0.01 is a hundredth of the image.",
    )


class GroundingSettings(_DetectionSettings):
    """Which boxes that a detector finds by phrases become labels; two objects overlap as much as their boxes do."""


class Sam3Settings(_DetectionSettings):
    """Which objects that SAM 3 finds become labels; two overlap as much as their masks do."""

    #: As transformers' own post-processing has it.
    min_confidence: float = Field(
        default=0.3, ge=0, le=1, title="Least confidence", description="Objects that are less certain are left out."
    )


DEFAULT_SETTINGS = LabelSettings()
