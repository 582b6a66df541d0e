"""Which sizes a model can make, by its configurations or its pipeline. Loads no weights and imports no torch."""

from __future__ import annotations

from math import lcm
from pathlib import Path

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.models.configs import Configs


def unit_of(configs: Configs) -> int:
    """What the sides of a model's images are multiples of, in pixels."""
    levels = configs.vae.get("block_out_channels") or configs.vae.get("dim_mult")
    factor = 2 ** (len(levels) - 1) if isinstance(levels, list | tuple) and levels else 8
    return unit_for(factor, is_transformer=bool(configs.index.get("transformer")))


def unit_for(factor: int, *, is_transformer: bool) -> int:
    """The same by how much smaller than an image its latents are."""
    # Pipelines ask for multiples of 8 whatever their autoencoder; the latter needs multiples of its own factor.
    # Transformers take 2 x 2 pixels of the latent as one token.
    return lcm(8, factor * (2 if is_transformer else 1))


def check_sides(size: tuple[int, int], unit: int) -> None:
    """Refuse a (width, height) whose sides are no multiples of ``unit``.

    Raises:
        RecipeError: with the nearest size that can be made.
    """
    if any(side <= 0 or side % unit for side in size):
        width, height = (max(unit, round(side / unit) * unit) for side in size)
        remedy = f"this model needs multiples of {unit}; the nearest size is {width}x{height}"
        raise RecipeError("size", list(size), remedy)


def decoding_memory(first_channels: int, size: tuple[int, int], bytes_each: int) -> int:
    """About how many bytes it takes to decode an image: three maps of features at full size are there at once."""
    return 3 * first_channels * size[0] * size[1] * bytes_each


def check_memory(size: tuple[int, int], needed: int) -> None:
    """Refuse a size whose one image takes more than the CPU's memory has, where the system would end the process.

    Raises:
        RecipeError: with what it takes and what is free.
    """
    free = free_on_cpu()
    if free is not None and needed > free:
        remedy = (
            f"one image takes about {needed / 2**30:.1f} GiB of memory, {free / 2**30:.1f} are free; make it smaller"
        )
        raise RecipeError("size", list(size), remedy)


def free_on_cpu() -> int | None:
    """The bytes of the computer's memory that can still be had; None where that is unknown."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
