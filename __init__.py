"""Diffucurate: labelled image datasets from diffusion models, curated in FiftyOne.

``import diffucurate as dc`` is light: a verb imports what it needs when it is first called.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffucurate.generator.expansion.expand import CaptionExpansion, expand_captions
    from diffucurate.generator.recipe.recipe import Recipe
    from diffucurate.plugin.comparison.compare import Comparison, compare
    from diffucurate.plugin.curation.curate import curate
    from diffucurate.plugin.exporting.export import export
    from diffucurate.plugin.generation.generate import generate
    from diffucurate.plugin.generation.img2img_inpaint import img2img, inpaint
    from diffucurate.plugin.generation.regenerate import regenerate
    from diffucurate.plugin.generation.repaint import RepaintResult, repaint
    from diffucurate.plugin.labelling.label import label
    from diffucurate.plugin.provenance.provenance import Provenance, provenance
    from diffucurate.plugin.tokens.optimize import learn_token
    from diffucurate.plugin.tokens.train import train_token

__version__ = "0.1.0"

__all__ = [
    "CaptionExpansion",
    "Comparison",
    "Provenance",
    "Recipe",
    "RepaintResult",
    "compare",
    "curate",
    "expand_captions",
    "export",
    "generate",
    "img2img",
    "inpaint",
    "label",
    "learn_token",
    "provenance",
    "regenerate",
    "repaint",
    "train_token",
]

_HOMES = {
    "Comparison": "diffucurate.plugin.comparison.compare",
    "CaptionExpansion": "diffucurate.generator.expansion.expand",
    "Provenance": "diffucurate.plugin.provenance.provenance",
    "Recipe": "diffucurate.generator.recipe.recipe",
    "RepaintResult": "diffucurate.plugin.generation.repaint",
    "compare": "diffucurate.plugin.comparison.compare",
    "curate": "diffucurate.plugin.curation.curate",
    "expand_captions": "diffucurate.generator.expansion.expand",
    "export": "diffucurate.plugin.exporting.export",
    "generate": "diffucurate.plugin.generation.generate",
    "img2img": "diffucurate.plugin.generation.img2img_inpaint",
    "inpaint": "diffucurate.plugin.generation.img2img_inpaint",
    "label": "diffucurate.plugin.labelling.label",
    "learn_token": "diffucurate.plugin.tokens.optimize",
    "provenance": "diffucurate.plugin.provenance.provenance",
    "regenerate": "diffucurate.plugin.generation.regenerate",
    "repaint": "diffucurate.plugin.generation.repaint",
    "train_token": "diffucurate.plugin.tokens.train",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'diffucurate' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
