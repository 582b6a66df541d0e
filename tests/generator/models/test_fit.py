"""What gives way when memory runs out, on a simulated card that counts what torch really takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from simulated_card import card_with, counting

from diffucurate.generator.errors import ModelError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.models import placement
from diffucurate.generator.models.placement import Placement, placed, weights
from diffucurate.generator.painting.painter import Painting, paint


def jobs(count: int) -> list[Job]:
    return [
        Job.of(
            task="txt2img",
            prompt="a red car",
            negative_prompt="",
            phrases={"car": ("car",)},
            attributes={},
            seed=seed,
            size=(64, 64),
            steps=1,
            guidance=1.0,
            model="tiny",
        )
        for seed in range(count)
    ]


def run(pipe: Any, count: int, **options: Any) -> tuple[list[Painting], list[str]]:
    notes: list[str] = []
    paintings = list(paint(jobs(count), pipe=pipe, on_batch=lambda report: notes.append(report.note), **options))
    return paintings, [note for note in notes if note]


def batches(paintings: list[Painting]) -> list[int]:
    return [painting.conditions.batch_size for painting in paintings]


@pytest.fixture(scope="module")
def need(make_pipe: Callable[..., Any]) -> Callable[..., int]:
    """The most bytes that so many images at once take, decoded together or one by one."""

    def measure(count: int, *, sliced: bool = False) -> int:
        pipe = make_pipe()
        if sliced:
            pipe.vae.enable_slicing()
        with card_with(2**40, pipe, put=False) as card, counting(card), card.measured() as most:
            run(pipe, count, batch_size=count)
        assert most.bytes is not None
        return most.bytes

    return measure


def test_as_many_at_once_as_were_measured_to_fit(make_pipe: Callable[..., Any], need: Callable[..., int]) -> None:
    pipe = make_pipe()
    eight = need(8)
    with card_with(sum(weights(pipe).values()) + 5 * eight // 4, pipe) as card, counting(card):
        paintings, notes = run(pipe, 9)
        state = placed(pipe)
        # A tenth of the memory is left to others: 0.9 of ten images.
        assert (batches(paintings), notes) == ([8] * 8 + [1], [])
        assert state is not None and state.batches == {("paint", 64, 64): 9}
        # The next images of that size begin with what was found, and what is asked for is kept.
        assert batches(run(pipe, 9)[0]) == [9] * 9
        assert batches(run(pipe, 3, batch_size=2)[0]) == [2, 2, 1]


def test_a_decoder_that_needs_too_much_works_on_one_image_after_the_other(
    make_pipe: Callable[..., Any], need: Callable[..., int]
) -> None:
    whole, sliced = need(4), need(4, sliced=True)
    assert sliced < 0.8 * whole
    pipe = make_pipe()
    with card_with(sum(weights(pipe).values()) + (whole + sliced) // 2, pipe) as card, counting(card):
        paintings, notes = run(pipe, 4, batch_size=4)
        assert notes == ["out of memory with 4 images at once; decoding them one by one"]
        state = placed(pipe)
        assert batches(paintings) == [4] * 4 and state is not None and state.placement == Placement(sliced=True)
        assert run(pipe, 4, batch_size=4)[1] == []  # remembered
    other = make_pipe()
    with card_with((whole + sliced) // 2, other, put=False) as card, counting(card):
        assert run(other, 4, batch_size=4)[1] == notes
    assert not other.vae.use_slicing and placed(other) is None  # somebody else's pipeline is as it was


def test_for_a_single_image_models_take_turns(make_pipe: Callable[..., Any], need: Callable[..., int]) -> None:
    pipe = make_pipe()
    sizes = weights(pipe).values()
    assert sum(sizes) - max(sizes) > 2**17
    with card_with(max(sizes) + need(1) + 2**16, pipe) as card, counting(card):
        paintings, notes = run(pipe, 1)
        assert notes == ["out of memory with 1 image at once; its models take turns on the card"]
        state = placed(pipe)
        assert len(paintings) == 1 and state is not None and state.placement == Placement("models")


def test_what_no_measure_makes_room_for_is_one_sentence(
    make_pipe: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = make_pipe()
    monkeypatch.setattr(placement, "_OFFLOADS", ("none", "models"))
    with (
        card_with(sum(weights(pipe).values()) + 1000, pipe) as card,
        counting(card),
        pytest.raises(ModelError, match="one image of 64 x 64 px does not fit the memory of cpu; use a smaller"),
    ):
        run(pipe, 2)
