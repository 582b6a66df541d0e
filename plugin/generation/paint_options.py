"""How a recipe is painted: what ``generate`` was asked besides the recipe. Changes no image but for rounding."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from diffucurate.generator.progress import Listener
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.plugin.cluster.engine import RayEngine
from diffucurate.plugin.generation.painting_session import PaintingSession, painting_session


@dataclass(frozen=True)
class PaintOptions:
    """The arguments of ``generate`` of these names."""

    count: int | None = None
    batch_size: int | None = None
    device: str | None = None
    share: bool = False
    engine: RayEngine | None = None
    progress: Listener | None = None

    def session(self, recipe: Recipe) -> AbstractContextManager[PaintingSession]:
        """``painting_session`` as it was asked for."""
        return painting_session(recipe, self.device, self.engine, self.batch_size, self.progress)
