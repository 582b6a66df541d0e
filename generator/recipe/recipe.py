"""The recipe of one dataset: a strict, frozen config, read from YAML or JSON.

Whatever is wrong raises a ``RecipeError``: one sentence that names field, value and remedy. Knows the rules of
recipes only: which sizes a certain model can make is checked where that model is known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from diffucurate.generator.captions.config import Captions, check_captions, plain_captions, with_caption_defaults
from diffucurate.generator.errors import InvalidSetting, RecipeError
from diffucurate.generator.files.strict_yaml import read_text, read_yaml
from diffucurate.generator.recipe import checks
from diffucurate.generator.recipe.amount import MAX_JOBS, SampleOrAll, Seeds, seed_count, seeds_of
from diffucurate.generator.recipe.augment_config import (
    PARTS,
    Augmentation,
    check_augmentation,
    with_augment_defaults,
    with_example_labels,
)
from diffucurate.generator.recipe.by_model import BUILT_IN, BY_MODEL, of_built_in
from diffucurate.generator.recipe.canvas_config import CanvasConfig, check_canvas, with_canvas_defaults
from diffucurate.generator.recipe.diffugen import is_config, recipe_contents
from diffucurate.generator.recipe.guide import GuideTarget, check_guide
from diffucurate.generator.recipe.init_image_config import (
    DEFAULT_STRENGTH,
    InitImages,
    Objects,
    check_init_images,
    plain_strength,
    with_init_defaults,
)
from diffucurate.generator.recipe.layout_config import (
    LABELS,
    MASKS,
    PLACE,
    LayoutConfig,
    check_layout,
    with_layout_defaults,
)
from diffucurate.generator.recipe.model_options import (
    Lora,
    ModelOptions,
    Spacing,
    TextualInversion,
    check_model_options,
)
from diffucurate.generator.recipe.sizes import Size, Sizes
from diffucurate.generator.text.templates import attributes_of, fixed_in
from diffucurate.generator.validation import StrictSettings

MAX_STEPS = 1000
MAX_GUIDANCE = 100.0

#: How often a job may be painted again.
MAX_RETRIES = 10

Steps: TypeAlias = Annotated[int, Field(ge=1, le=MAX_STEPS)]
Guidance: TypeAlias = Annotated[float, Field(ge=0, le=MAX_GUIDANCE)]

#: Fields that recipes did not always have -> what they are where they are left out.
_ADDED: dict[str, Any] = {
    **dict.fromkeys(
        (
            "source",
            "objects",
            "strength",
            "carry",
            "augment",
            "canvas",
            "layout",
            "captions",
            "guide",
            "guide_weight",
            "adapter",
        )
    ),
    **dict.fromkeys(("karras", "spacing", "safety_checker")),
    **dict.fromkeys(("prompt_weights", "look_again"), False),
    "retries": 0,
}


def _memory(value: Any) -> Any:
    return "off" if value is False else value  # as YAML reads an unquoted off


def _number(value: Any) -> Any:
    return float(value) if type(value) is int else value


def _strength(value: Any) -> Any:
    return None if value is None else plain_strength(value)


class Recipe(StrictSettings):
    """What a dataset should hold; every verb and every door builds this same config.

    Raises:
        RecipeError: whatever is wrong with it, also when made directly.
    """

    called: ClassVar[str] = "a recipe"
    error: ClassVar[type[InvalidSetting]] = RecipeError

    dataset: str
    """Name of the FiftyOne dataset."""
    model: Annotated[str, Field(min_length=1)] = BUILT_IN
    """Built-in name, hub id, local folder or single .safetensors file."""
    task: Literal["txt2img", "img2img", "inpaint", "augment", "canvas", "mask2img"] = "txt2img"
    """From text alone, from whole init images, with objects of init images replaced, from labelled init images whose
    labels are kept, several objects from text, each in a region of its own, or from text by masks."""
    source: InitImages | None = None
    """The init images of img2img, inpaint and augment, or what has the masks of mask2img."""
    objects: Objects | None = None
    """What inpaint replaces."""
    strength: Annotated[float | list[float] | None, BeforeValidator(_strength)] = None
    """How far from its init image an image goes, in (0, 1]; of a list each image draws one. By default 0.6 for img2img,
    1 for inpaint and 0.25, 0.5, 0.75 or 1 for augment."""
    carry: Annotated[str, Field(min_length=1)] | None = None
    """A label source or field of the init images whose instances img2img keeps beside the new ones."""
    augment: Augmentation | None = None
    """Whose labels augmented images keep, and which part of them is painted."""
    canvas: CanvasConfig | None = None
    """The regions of canvases."""
    layout: LayoutConfig | None = None
    """The masks of mask2img."""
    guide: dict[str, GuideTarget] | None = None
    """Class -> where it is to be and how large, in images from text: its attention steers the noise estimate."""
    guide_weight: Annotated[Annotated[float, Field(gt=0, le=1000)] | None, BeforeValidator(_number)] = None
    """How strongly; 12 by default."""
    size: Annotated[Sizes, BeforeValidator(of_built_in), Field(validate_default=True)] = None
    """Width and height in pixels, each a multiple of 8; or several such pairs, at each of which prompts are painted.
    ``source``, the default where there is one, is that of each init image or mask, as near as the model comes to it.
    None, here and below: as suits the model (``generator.models.completed``)."""
    steps: Annotated[Steps | None, BeforeValidator(of_built_in), Field(validate_default=True)] = None
    guidance: Annotated[Guidance | None, BeforeValidator(of_built_in), Field(validate_default=True)] = None
    """Classifier-free guidance scale; 1 or less turns guidance off."""
    seeds: Seeds = 1
    """How many seeds (0, 1, ...) per prompt, the seeds themselves, or how many to draw at random."""
    negative_prompt: str = ""
    """A template too; it may use the attributes that every template has."""
    scheduler: str | None = None
    """A sampler's name (``model_options.SCHEDULERS``); the model's own by default."""
    karras: bool | None = None
    """Whether the sampler spaces noise levels as Karras et al. do; as the model has it by default."""
    spacing: Spacing | None = None
    """Which of the training's steps the sampler takes; as the model has it by default."""
    loras: list[Lora] = Field(default_factory=list)
    tokens: list[TextualInversion] = Field(default_factory=list)
    """Words learned by textual inversion."""
    prompt_weights: bool = False
    """Whether prompts hold weights, as in ``a red car++ on a (road)1.3``; they may then be of any length too."""
    adapter: Annotated[str, Field(min_length=1)] | None = None
    """The .safetensors file of an adapter of this model, which finds objects while images are painted."""
    look_again: bool = False
    """Whether labels come of one more pass at the finished image instead of those that painted it."""
    safety_checker: bool | None = None
    """Whether the model's safety checker runs, which blacks out images; as the model has it by default."""
    retries: Annotated[int, Field(ge=0, le=MAX_RETRIES)] = 0
    """How often an image that was blacked out is painted again, each time with another seed."""
    classes: dict[str, list[str]]
    """Class to label -> the phrases that mean it in a prompt. Their order gives the class ids, from 1."""
    templates: list[str]
    """May be left out for img2img, where each init image's own template is then filled anew, for augment, and where
    captions are prompts."""
    attributes: dict[str, list[str]] = Field(default_factory=dict)
    captions: Annotated[Captions | None, BeforeValidator(plain_captions)] = None
    """Instead of templates: a file of captions, or a list of them. Read when jobs are made."""
    sample: SampleOrAll = "all"
    memory: Annotated[Literal["auto", "low", "off"], BeforeValidator(_memory)] = "auto"
    """What fits the card (``generator.models.placement``): chosen, as little as can be, or all weights on it."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of their ids, the first of which is 1."""
        return tuple(self.classes)

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Every attribute its images have: those with lists of values, then those whose value a template fixes."""
        return tuple(dict.fromkeys([*self.attributes, *(name for text in self.templates for name in fixed_in(text))]))

    @property
    def listed_attributes(self) -> dict[str, list[str]]:
        """Attribute -> its values, without what each mask says itself."""
        return {name: values for name, values in self.attributes.items() if values != [PLACE]}

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds each prompt is painted with."""
        return seeds_of(self.seeds)

    @property
    def sizes(self) -> tuple[Size, ...]:
        """The (width, height) each prompt is painted at; none where that is the size of each init image or the model's
        own."""
        if self.size is None or isinstance(self.size, str):
            return ()
        return tuple(self.size) if isinstance(self.size, list) else (self.size,)

    @property
    def left_to_model(self) -> tuple[str, ...]:
        """Those of the keys ``size``, ``steps`` and ``guidance`` that it does not name, so that another model would
        have other values."""
        return tuple(name for name in BY_MODEL if getattr(self, name) is None or name not in self.model_fields_set)

    @property
    def strengths(self) -> tuple[float, ...]:
        """What each image's strength is drawn from; none for images from text."""
        if self.strength is None:
            return (DEFAULT_STRENGTH[self.task],) if self.task in DEFAULT_STRENGTH else ()
        return tuple(self.strength) if isinstance(self.strength, list) else (self.strength,)

    @property
    def painting_task(self) -> str:
        """The task of its jobs: augmented images are painted by img2img, or by inpaint where a part of them is."""
        return self.task if self.augment is None else PARTS[self.augment.part]

    @property
    def checked_templates(self) -> list[str]:
        """Its templates with attributes alone: where an init image's labels go stand all classes."""
        return self.templates if self.augment is None else with_example_labels(self.templates, self.classes)

    @property
    def model_options(self) -> ModelOptions:
        """What is changed about the model before it paints."""
        return ModelOptions(
            scheduler=self.scheduler,
            karras=self.karras,
            spacing=self.spacing,
            loras=tuple(self.loras),
            tokens=tuple(self.tokens),
            prompt_weights=self.prompt_weights,
        )

    @property
    def product_size(self) -> int:
        """Images before sampling, prompts that two templates share counted twice; those of one init image where
        there are such; none where captions are the prompts, which only their file can count."""
        texts = self.checked_templates
        prompts = (prod(len(self.attributes[name]) for name in attributes_of(text)) for text in texts)
        return sum(prompts) * self.variants

    @property
    def variants(self) -> int:
        """Images of each prompt: its seeds at every size."""
        return seed_count(self.seeds) * max(len(self.sizes), 1)

    def fingerprint(self) -> str:
        """16 hex digits that differ when the content does; only the order of classes counts, since ids follow it, and
        where it is painted does not."""
        content = {**self.model_dump(mode="json", exclude={"memory"}), "classes": list(self.classes.items())}
        # What is left at its default is left out, so that a fingerprint outlives the fields that are added.
        content = {name: value for name, value in content.items() if name not in _ADDED or value != _ADDED[name]}
        if self.source is not None:
            content["source"] = self.source.content()
        if self.objects is not None:
            content["objects"] = self.objects.content()
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @classmethod
    def load(cls, path: str | Path) -> Recipe:
        """Read a recipe file (YAML or JSON, UTF-8).

        Raises:
            RecipeError: the file cannot be read, or what it says is wrong.
        """
        return cls.parse(read_text(path))

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """Read a recipe from YAML or JSON text.

        Raises:
            RecipeError: the text is neither, or what it says is wrong.
        """
        return cls.from_mapping(read_yaml(text))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Recipe:
        """Check a mapping as YAML or JSON gives it: a recipe, or the first section of a config of DiffuGen's.

        All sections, each a recipe or several, are ``generator.recipe.files``'s to read.

        Raises:
            RecipeError: it is not a mapping, or what it says is wrong.
        """
        if not isinstance(mapping, Mapping):
            raise RecipeError("recipe", mapping, "a recipe is a mapping of keys to values, as in 'dataset: my-dataset'")
        for key in mapping:
            if not isinstance(key, str):
                raise RecipeError("recipe", key, "a key must be a text, not a number or yes/no")
        return cls.model_validate(recipe_contents(mapping)[0] if is_config(mapping) else dict(mapping))

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, data: Any) -> Any:
        checks.check_texts(data)
        data = with_augment_defaults(with_canvas_defaults(with_layout_defaults(data)))
        return with_caption_defaults(with_init_defaults(data))

    @model_validator(mode="after")
    def _check_content(self) -> Self:
        checks.check_dataset(self.dataset)
        checks.check_classes(self.classes)
        checks.check_attributes(self.attributes)
        check_captions(self)
        check_canvas(self)
        check_augmentation(self)
        check_layout(self)
        check_guide(self)
        templates = self.checked_templates
        # Init images may have templates of their own, and captions are prompts.
        if self.templates or (self.task != "img2img" and self.captions is None):
            background = [] if self.canvas is None else [self.canvas.background]
            checks.check_templates(templates, self.attributes, background)
        checks.check_negative_prompt(self.negative_prompt, self.templates)
        check_init_images(self)
        check_model_options(self.model_options)
        _check_count(self)
        if self.templates and (self.task != MASKS or LABELS not in self.attributes):
            checks.check_mentions(self.classes, templates, self.attributes)
        return self


def _check_count(recipe: Recipe) -> None:
    if recipe.sample == "all":
        if recipe.product_size > MAX_JOBS:
            remedy = (
                f"templates, attributes and seeds make {recipe.product_size:,} images, more than {MAX_JOBS:,}; "
                "use fewer values, or take a part with {count: 1000, seed: 0}"
            )
            raise RecipeError("sample", "all", remedy)
    elif (recipe.sample.count if recipe.canvas else min(recipe.sample.count, recipe.product_size)) > MAX_JOBS:
        raise RecipeError("sample.count", recipe.sample.count, f"ask for at most {MAX_JOBS:,} images in one recipe")
