"""The recipe of one dataset: a strict, frozen config, read from YAML or JSON.

Whatever is wrong is said in one sentence that names field, value and remedy (``RecipeError``). Knows the
rules of recipes only: which sizes a certain model can make is checked where that model is known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from random import Random
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from diffucurate.generator.captions.config import Captions, check_captions, plain_captions, with_caption_defaults
from diffucurate.generator.errors import InvalidSetting, RecipeError
from diffucurate.generator.files.strict_yaml import read_text, read_yaml
from diffucurate.generator.recipe import checks
from diffucurate.generator.recipe.diffugen import is_config, recipe_contents
from diffucurate.generator.recipe.init_image_config import (
    DEFAULT_STRENGTH,
    InitImages,
    Objects,
    check_init_images,
    plain_strength,
    with_init_defaults,
)
from diffucurate.generator.recipe.model_options import Lora, ModelOptions, TextualInversion, check_model_options
from diffucurate.generator.text.templates import attributes_of, fixed_in
from diffucurate.generator.validation import StrictSettings

#: Images one recipe may ask for; more is a slip (a product of long lists) far more often than a wish.
MAX_JOBS = 1_000_000
MAX_SEED = 2**32 - 1
MAX_SIDE = 8192
MAX_STEPS = 1000
MAX_GUIDANCE = 100.0


class Sample(StrictSettings):
    """A part of all possible images in which each value of each attribute comes as evenly as possible."""

    prefix: ClassVar[str] = "sample"
    error: ClassVar[type[InvalidSetting]] = RecipeError

    count: Annotated[int, Field(ge=1)]
    """Images, not prompts; more than there are means all."""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0


class RandomSeeds(StrictSettings):
    """Different seeds drawn at random, the same ones whenever the recipe is read."""

    prefix: ClassVar[str] = "seeds"
    error: ClassVar[type[InvalidSetting]] = RecipeError

    count: Annotated[int, Field(ge=1, le=MAX_JOBS)]
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    """Decides which seeds are drawn."""
    lowest: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    highest: Annotated[int, Field(ge=0, le=MAX_SEED)] = MAX_SEED

    @property
    def drawn(self) -> tuple[int, ...]:
        """The seeds."""
        return tuple(Random(self.seed).sample(range(self.lowest, self.highest + 1), self.count))


Size = tuple[int, int]

#: Fields that recipes did not always have; None or False where they are left out.
_ADDED = ("source", "objects", "strength", "carry", "prompt_weights", "captions")


def _plain_sizes(value: Any) -> Any:
    if value == "source":
        return value
    if not isinstance(value, list | tuple) or not value or not isinstance(value[0], list | tuple):
        return _plain_size(value)
    sizes = [_plain_size(size) for size in value]
    checks.refuse_repeats("size", sizes)
    return sizes


def _plain_size(value: Any) -> Any:
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(_is_int(side) for side in value):
        raise RecipeError("size", value, "give width and height in pixels as two whole numbers, as in [128, 128]")
    if any(side < 8 or side % 8 or side > MAX_SIDE for side in value):
        near = [min(max(8 * round(side / 8), 8), MAX_SIDE) for side in value]
        raise RecipeError(
            "size", list(value), f"width and height must be multiples of 8 from 8 to {MAX_SIDE}; try {near}"
        )
    return tuple(value)


def _plain_seeds(value: Any) -> Any:
    if isinstance(value, RandomSeeds):
        return value
    if isinstance(value, Mapping):
        return RandomSeeds.model_validate(value)
    if _is_int(value):
        if value < 1:
            raise RecipeError("seeds", value, "give the number of seeds per prompt, at least 1, or a list of seeds")
        if value > MAX_JOBS:
            raise RecipeError("seeds", value, f"ask for at most {MAX_JOBS:,} seeds per prompt")
        return value
    if not isinstance(value, list) or not all(_is_int(seed) for seed in value):
        remedy = "give a whole number of seeds per prompt, a list of whole numbers, or {count: 3} for random ones"
        raise RecipeError("seeds", value, remedy)
    if not value:
        raise RecipeError("seeds", value, "list at least one seed, or give a number of seeds per prompt")
    for seed in value:
        if not 0 <= seed <= MAX_SEED:
            raise RecipeError("seeds", seed, f"a seed must be from 0 to {MAX_SEED}")
    checks.refuse_repeats("seeds", value)
    return value


def _strength(value: Any) -> Any:
    return None if value is None else plain_strength(value)


def _plain_sample(value: Any) -> Any:
    if value == "all" or isinstance(value, Sample):
        return value
    if not isinstance(value, Mapping):
        raise RecipeError("sample", value, "write 'all' or {count: 100, seed: 0}")
    return Sample.model_validate(value)


class Recipe(StrictSettings):
    """What a dataset should hold; every verb and every door builds this same config.

    Raises:
        RecipeError: whatever is wrong with it, also when made directly.
    """

    called: ClassVar[str] = "a recipe"
    error: ClassVar[type[InvalidSetting]] = RecipeError

    dataset: str
    """Name of the FiftyOne dataset."""
    model: Annotated[str, Field(min_length=1)] = "tiny"
    """Built-in name, hub id, local folder or single .safetensors file."""
    task: Literal["txt2img", "img2img", "inpaint"] = "txt2img"
    """From text alone, from whole pictures, or objects in pictures replaced."""
    source: InitImages | None = None
    """The pictures that img2img and inpaint start from."""
    objects: Objects | None = None
    """What inpaint replaces."""
    strength: Annotated[float | list[float] | None, BeforeValidator(_strength)] = None
    """How far from its picture an image goes, in (0, 1]; of a list each image draws one. 0.6 for img2img and 1 for
    inpaint by default."""
    carry: Annotated[str, Field(min_length=1)] | None = None
    """A label source or field of the pictures whose instances img2img keeps beside the new ones."""
    size: Annotated[Size | list[Size] | Literal["source"], BeforeValidator(_plain_sizes)] = (128, 128)
    """Width and height in pixels, each a multiple of 8; or several such pairs, at each of which prompts are painted.
    ``source``, the default where images start from pictures, is the size of each, as near as the model comes to it."""
    steps: Annotated[int, Field(ge=1, le=MAX_STEPS)] = 20
    guidance: Annotated[float, Field(ge=0, le=MAX_GUIDANCE)] = 5.0
    """Classifier-free guidance scale; 1 or less turns guidance off."""
    seeds: Annotated[int | list[int] | RandomSeeds, BeforeValidator(_plain_seeds)] = 1
    """How many seeds (0, 1, ...) per prompt, the seeds themselves, or how many to draw at random."""
    negative_prompt: str = ""
    """A template too; it may use the attributes that every template has."""
    scheduler: str | None = None
    """A sampler's name (``generator.schedulers``); the model's own by default."""
    loras: list[Lora] = Field(default_factory=list)
    tokens: list[TextualInversion] = Field(default_factory=list)
    """Words learned by textual inversion."""
    prompt_weights: bool = False
    """Whether prompts hold weights, as in ``a red car++ on a (road)1.3``; they may then be of any length too."""
    classes: dict[str, list[str]]
    """Class to label -> the phrases that mean it in a prompt. Their order gives the class ids, from 1."""
    templates: list[str]
    """May be left out for img2img: each picture's own template is filled anew then; and where captions are prompts."""
    attributes: dict[str, list[str]] = Field(default_factory=dict)
    captions: Annotated[Captions | None, BeforeValidator(plain_captions)] = None
    """Instead of templates: a file of captions, or a list of them. Read when jobs are made."""
    sample: Annotated[Literal["all"] | Sample, BeforeValidator(_plain_sample)] = "all"

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of their ids, the first of which is 1."""
        return tuple(self.classes)

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Every attribute its images have: those with lists of values, then those whose value a template fixes."""
        return tuple(dict.fromkeys([*self.attributes, *(name for text in self.templates for name in fixed_in(text))]))

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds each prompt is painted with."""
        if isinstance(self.seeds, RandomSeeds):
            return self.seeds.drawn
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else tuple(self.seeds)

    @property
    def sizes(self) -> tuple[Size, ...]:
        """The (width, height) each prompt is painted at; none where that is the size of each picture."""
        if isinstance(self.size, str):
            return ()
        return tuple(self.size) if isinstance(self.size, list) else (self.size,)

    @property
    def strengths(self) -> tuple[float, ...]:
        """What each image's strength is drawn from; none for images from text."""
        if self.strength is None:
            return (DEFAULT_STRENGTH[self.task],) if self.task in DEFAULT_STRENGTH else ()
        return tuple(self.strength) if isinstance(self.strength, list) else (self.strength,)

    @property
    def setup(self) -> ModelOptions:
        """What is changed about the model before it paints."""
        return ModelOptions(
            scheduler=self.scheduler,
            loras=tuple(self.loras),
            tokens=tuple(self.tokens),
            prompt_weights=self.prompt_weights,
        )

    @property
    def product_size(self) -> int:
        """Images before sampling, prompts that two templates share counted twice; those of one picture, if they start
        from pictures; none where captions are the prompts, which only their file can count."""
        prompts = (prod(len(self.attributes[name]) for name in attributes_of(text)) for text in self.templates)
        return sum(prompts) * self.variants

    @property
    def variants(self) -> int:
        """Images of each prompt: its seeds at every size."""
        return _count(self.seeds) * max(len(self.sizes), 1)

    def fingerprint(self) -> str:
        """16 hex digits that differ when the content does; only the order of classes counts, since ids follow it."""
        content = {**self.model_dump(mode="json"), "classes": list(self.classes.items())}
        # What is left at its default is left out, so that a fingerprint outlives the fields that are added.
        content = {name: value for name, value in content.items() if value not in (None, False) or name not in _ADDED}
        if self.source is not None:
            content["source"] = self.source.content()
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
        return with_caption_defaults(with_init_defaults(data))

    @model_validator(mode="after")
    def _check_content(self) -> Self:
        checks.check_dataset(self.dataset)
        checks.check_classes(self.classes)
        checks.check_attributes(self.attributes)
        check_captions(self)
        # Init images may have templates of their own, and captions are prompts.
        if self.templates or (self.task != "img2img" and self.captions is None):
            checks.check_templates(self.templates, self.attributes)
        checks.check_negative_prompt(self.negative_prompt, self.templates)
        _check_range(self.seeds)
        check_init_images(self)
        check_model_options(self.setup)
        _check_count(self)
        if self.templates:
            checks.check_mentions(self.classes, self.templates, self.attributes)
        return self


def _count(seeds: int | list[int] | RandomSeeds) -> int:
    return seeds if isinstance(seeds, int) else len(seeds) if isinstance(seeds, list) else seeds.count


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_range(seeds: int | list[int] | RandomSeeds) -> None:
    if isinstance(seeds, RandomSeeds) and seeds.highest - seeds.lowest + 1 < seeds.count:
        there = max(0, seeds.highest - seeds.lowest + 1)
        remedy = f"from {seeds.lowest} to {seeds.highest} there are {there} seeds; ask for fewer or widen the range"
        raise RecipeError("seeds.count", seeds.count, remedy)


def _check_count(recipe: Recipe) -> None:
    if recipe.sample == "all":
        if recipe.product_size > MAX_JOBS:
            remedy = (
                f"templates, attributes and seeds make {recipe.product_size:,} images, more than {MAX_JOBS:,}; "
                "use fewer values, or take a part with {count: 1000, seed: 0}"
            )
            raise RecipeError("sample", "all", remedy)
    elif min(recipe.sample.count, recipe.product_size) > MAX_JOBS:
        raise RecipeError("sample.count", recipe.sample.count, f"ask for at most {MAX_JOBS:,} images in one recipe")
