"""How many of a recipe's possible images are made: its seeds, and its sample of all prompts."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from diffucurate.generator.errors import InvalidSetting, RecipeError
from diffucurate.generator.recipe.checks import refuse_repeats
from diffucurate.generator.validation import StrictSettings

#: Images one recipe may ask for; more is a slip (a product of long lists) far more often than a wish.
MAX_JOBS = 1_000_000
MAX_SEED = 2**32 - 1


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

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.highest - self.lowest + 1 < self.count:
            there = max(0, self.highest - self.lowest + 1)
            remedy = f"from {self.lowest} to {self.highest} there are {there} seeds; ask for fewer or widen the range"
            raise self.wrong("count", remedy)
        return self


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
    refuse_repeats("seeds", value)
    return value


def _plain_sample(value: Any) -> Any:
    if value == "all" or isinstance(value, Sample):
        return value
    if not isinstance(value, Mapping):
        raise RecipeError("sample", value, "write 'all' or {count: 100, seed: 0}")
    return Sample.model_validate(value)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


#: How many seeds (0, 1, ...), the seeds themselves, or how many to draw at random.
Seeds: TypeAlias = Annotated[int | list[int] | RandomSeeds, BeforeValidator(_plain_seeds)]

SampleOrAll: TypeAlias = Annotated[Literal["all"] | Sample, BeforeValidator(_plain_sample)]


def seeds_of(seeds: int | list[int] | RandomSeeds) -> tuple[int, ...]:
    """The seeds themselves."""
    if isinstance(seeds, RandomSeeds):
        return seeds.drawn
    return tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)


def seed_count(seeds: int | list[int] | RandomSeeds) -> int:
    """How many seeds there are, without drawing any."""
    return seeds if isinstance(seeds, int) else len(seeds) if isinstance(seeds, list) else seeds.count
