"""How long painting will take, from the runs that this machine has finished before.

Asks the database for the runs of all datasets at once, which takes milliseconds; nothing is loaded. It knows
what was painted and how long that took, not what else the machine was doing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from humanize import naturaldelta

from diffucurate.generator.recipe.by_model import BUILT_IN
from diffucurate.plugin.fiftyone_private import database
from diffucurate.plugin.store import runs

if TYPE_CHECKING:
    from diffucurate.generator.recipe.recipe import Recipe

#: The latest runs that are looked at for one of the same model.
_RUNS = 50

#: Seconds per image of the built-in model at 128 x 128 px, 20 steps and guidance, on two cores of a plain CPU.
_BUILT_IN_SECONDS = 0.5
_BUILT_IN_WORK = 128 * 128 * 20 * 2


class Pace(NamedTuple):
    """The expected time per image.

    ``seconds`` are for one image, ``device`` the one it was measured on ("cpu", "cuda:0", ...; None where it was not
    measured), and ``basis`` says how it is known: "measured" with these very settings, "scaled" from other settings of
    the same model, or "assumed" where no run was ever finished.
    """

    seconds: float
    device: str | None
    basis: str


def pace(recipe: Recipe, device: str | None = None) -> Pace | None:
    """The expected time per image of a recipe, by the latest finished run of its model; None where nothing is known.

    A run with the same size, steps and guidance counts first; another is scaled by its pixels and steps. Nothing is
    known of images that have the sizes of their init images, or of values that are left to the model.

    Args:
        recipe: what is to be painted.
        device: only runs on this device count; any by default.
    """
    if not recipe.sizes or recipe.steps is None or recipe.guidance is None:
        return None
    share = sum(recipe.strengths) / len(recipe.strengths) if recipe.strengths else 1.0  # of the steps
    work, scaled = share * _work(recipe.sizes, recipe.steps, recipe.guidance) * _overlap(recipe), None
    for config in _finished(recipe.model):
        facts, earlier = config["facts"], config["settings"]["recipe"]
        if device is not None and not str(facts["device"]).startswith(device):
            continue
        seconds = facts["seconds"] / facts["added"]
        measured = _work(earlier["size"], earlier["steps"], earlier["guidance"])
        if measured == work:
            return Pace(seconds, facts["device"], "measured")
        scaled = scaled or Pace(seconds * work / measured, facts["device"], "scaled")
    if scaled is None and recipe.model == BUILT_IN and device in (None, "cpu"):
        return Pace(_BUILT_IN_SECONDS * work / _BUILT_IN_WORK, None, "assumed")
    return scaled


def _overlap(recipe: Recipe) -> float:
    """How many pixels are painted of each pixel: those of a canvas by several regions, and by the background."""
    if recipe.canvas is None or recipe.canvas.region is None:
        return 1.0
    from diffucurate.generator.labels.maps.canvas_maps import tiles

    region, (width, height) = recipe.canvas.region, recipe.sizes[0]
    rows = len(tiles((width, height), region, 8)) + sum(recipe.canvas.regions) / 2
    return rows * region[0] * region[1] / (width * height)


def _work(size: Any, steps: int, guidance: float) -> float:
    """The average work of an image, in pixels times passes of the network: guidance above 1 takes two per step.

    ``size`` is one (width, height) or several.
    """
    sizes = [size] if isinstance(size[0], int) else size
    pixels = sum(width * height for width, height in sizes) / len(sizes)
    return float(pixels * steps * (2 if guidance > 1 else 1))


def _finished(model: str) -> list[dict[str, Any]]:
    """The configs of the latest runs that painted something with a model, the latest first."""
    query = {
        "config.method": runs.method("generate"),
        "config.settings.recipe.model": model,
        "config.settings.recipe.task": "txt2img",  # other tasks' images may have the sizes of their init images
        "config.facts.seconds": {"$gt": 0},
        "config.facts.added": {"$gt": 0},
    }
    # One query for all datasets; FiftyOne's own calls would load each of them first.
    configs = database().runs.find(query, {"config.facts": 1, "config.settings.recipe": 1})
    return [run["config"] for run in configs.sort("timestamp", -1).limit(_RUNS)]


def in_words(images: int, pace: Pace | None) -> str:
    """How long so many images take, as a sentence for people."""
    if pace is None:
        return "How long this takes is known after a first run of this model."
    each = f"{pace.seconds:.2g} s" if pace.seconds < 10 else f"{pace.seconds:.0f} s"
    processor = "CPU" if pace.device == "cpu" else "GPU"
    reason = {
        "measured": f"on this machine's {processor}, {each} each as measured in the last run",
        "scaled": f"on this machine's {processor}, {each} each, scaled from a run with other settings",
        "assumed": f"at {each} each, a guess until the first run is measured",
    }[pace.basis]
    return f"About {naturaldelta(max(1, images * pace.seconds))} {reason}."
