"""Jobs whose images a safety checker blacked out: the seeds with which they are painted again, and their number."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from diffucurate.generator.recipe.recipe import MAX_RETRIES
from diffucurate.generator.text.counted import counted


def retry_seed(job_id: str, attempt: int) -> int:
    """The seed of a job's ``attempt``, 1 for the first after the job's own seed: always the same one."""
    return int.from_bytes(hashlib.sha256(f"{job_id}:{attempt}".encode()).digest()[:4], "big")


def retry_seeds(job_id: str) -> tuple[int, ...]:
    """All seeds with which a job may have been painted instead of its own."""
    return tuple(retry_seed(job_id, attempt) for attempt in range(1, MAX_RETRIES + 1))


@dataclass
class BlackedOut:
    """How many jobs had an image that was blacked out, and how many of these were ``painted_again``."""

    images: int = 0
    painted_again: int = 0

    def __str__(self) -> str:
        left_out = self.images - self.painted_again
        parts = [f"{counted(self.images, 'image')} blacked out"]
        parts += [f"{self.painted_again:,} of them painted with another seed"] if self.painted_again else []
        parts += [f"{left_out:,} left out"] if left_out else []
        return f"safety checker: {', '.join(parts)}"
