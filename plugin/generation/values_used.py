"""What is said of a recipe's values before anything is painted: those that its model decided, those without effect."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from diffucurate.generator.models.completed import remarks, values_used
from diffucurate.generator.progress import Listener, announce

if TYPE_CHECKING:
    from diffucurate.generator.recipe.recipe import Recipe

logger = logging.getLogger(__name__)


def announce_values(recipe: Recipe, complete: Recipe, total: int, progress: Listener | None) -> None:
    """Announce them, or log them where nobody listens.

    Args:
        recipe: as it was written.
        complete: as its model completed it.
        total: images that are to be painted.
        progress: called with each sentence as a note.
    """
    if sentence := values_used(recipe, complete):
        logger.info("%s: %s", recipe.model, sentence)
        announce(progress, sentence, total)
    for sentence in remarks(recipe, complete):
        if progress is None:
            logger.warning("%s", sentence)
        announce(progress, sentence, total)
