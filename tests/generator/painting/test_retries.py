"""Images that a safety checker blacks out: painted again with seeds that follow from the job, counted, or let pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from untrained import add_safety_checker, unsafe_score

from diffucurate.generator.errors import BlackedOutError, RecipeError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.jobs.retries import BlackedOut, retry_seed, retry_seeds
from diffucurate.generator.models.safety_checker import safety_checked
from diffucurate.generator.painting.painter import Painting, paint
from diffucurate.generator.painting.retries import paint_with_retries
from diffucurate.generator.progress import Progress


def job(seed: int) -> Job:
    content = {"task": "txt2img", "prompt": "a red car", "negative_prompt": "", "phrases": {"car": ("car",)}}
    content |= {"attributes": {}, "size": (64, 64), "steps": 1, "guidance": 1.0, "model": "tiny"}
    return Job.of(**content, seed=seed)


JOBS = [job(seed) for seed in range(4)]


@pytest.fixture
def checked(make_pipe: Any) -> tuple[Any, Job]:
    """A pipeline whose checker takes the image of one of the four jobs for unsafe, and that job."""
    pipe = add_safety_checker(make_pipe(), threshold=2)  # safe, whatever it is
    scores = [unsafe_score(pipe, painting.image) for painting in paint(JOBS, pipe=pipe, batch_size=4)]
    first, second = sorted(scores)[:-3:-1]
    assert first - second > 1e-3
    pipe.safety_checker.concept_embeds_weights.data.fill_((first + second) / 2)
    return pipe, JOBS[scores.index(first)]


def painted(pipe: Any, retries: int) -> tuple[list[Painting], BlackedOut, list[tuple[Job, str]], list[Progress]]:
    count, failed, reports = BlackedOut(), [], []
    paintings = paint_with_retries(
        JOBS,
        retries=retries,
        count=count,
        pipe=pipe,
        batch_size=4,
        on_failure=lambda job, error: failed.append((job, str(error))),
        on_batch=reports.append,
    )
    return list(paintings), count, failed, reports


def test_a_job_is_painted_again_with_a_seed_of_its_own(checked: tuple[Any, Job]) -> None:
    pipe, worst = checked
    paintings, count, failed, reports = painted(pipe, 3)
    others = [each for each in JOBS if each != worst]
    assert [painting.job for painting in paintings[:3]] == others and failed == []
    again = paintings[3].job
    attempt = retry_seeds(again.job_id).index(again.seed) + 1
    assert again == replace(worst, seed=retry_seed(worst.job_id, attempt))
    assert count == BlackedOut(1, 1)
    assert str(count) == "safety checker: 1 image blacked out, 1 of them painted with another seed"
    assert (reports[-1].done, reports[-1].total) == (4 + attempt, 4 + attempt)
    assert "safety checker: 1 blacked out; painting again with other seeds" in [report.note for report in reports]
    alone = next(iter(paint([again], pipe=pipe)))
    assert np.abs(alone.image.astype(int) - paintings[3].image).max() <= 1  # rounding depends on the batch


def test_without_retries_it_is_left_out(checked: tuple[Any, Job]) -> None:
    pipe, worst = checked
    paintings, count, ((refused, reason),), _ = painted(pipe, 0)
    assert len(paintings) == 3 and refused == worst and "safety checker blacked the image out" in reason
    assert str(count) == "safety checker: 1 image blacked out, 1 left out"


def test_what_is_always_blacked_out_is_left_out_in_the_end(checked: tuple[Any, Job]) -> None:
    pipe, _ = checked
    pipe.safety_checker.concept_embeds_weights.data.fill_(-2)
    paintings, count, failed, _ = painted(pipe, 2)
    assert paintings == [] and count == BlackedOut(4, 0)
    assert [refused.job_id for refused, _ in failed] == [each.job_id for each in JOBS]
    assert [refused.seed for refused, _ in failed] == [retry_seed(each.job_id, 2) for each in JOBS]


def test_the_checker_can_be_left_out_and_is_there_after(checked: tuple[Any, Job]) -> None:
    pipe, _ = checked
    checker, config = pipe.safety_checker, dict(pipe.config)
    with safety_checked(pipe, None), pytest.raises(BlackedOutError):
        list(paint(JOBS, pipe=pipe))
    with safety_checked(pipe, False):
        assert len(list(paint(JOBS, pipe=pipe))) == 4
    assert pipe.safety_checker is checker and dict(pipe.config) == config
    with safety_checked(pipe, True), pytest.raises(BlackedOutError):
        list(paint(JOBS, pipe=pipe))


def test_a_checker_that_is_wanted_and_not_there(pipe: Any) -> None:
    with safety_checked(pipe, False):
        assert pipe.safety_checker is None
    with pytest.raises(RecipeError, match="safety_checker: True - this model has none"), safety_checked(pipe, True):
        pass


def test_seeds_of_retries_never_change() -> None:
    assert (retry_seed("588d8c95355929e4", 1), retry_seed("588d8c95355929e4", 2)) == (3113494428, 607243681)
    assert len(set(retry_seeds("588d8c95355929e4"))) == 10
