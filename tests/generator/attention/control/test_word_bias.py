"""What is added to the scores of attention by a layout."""

from __future__ import annotations

import math

import numpy as np
import torch

from diffucurate.generator.attention.capture.tokens import PromptTokens
from diffucurate.generator.attention.control.layout import Layout
from diffucurate.generator.attention.control.word_bias import border_bias, word_bias

#: A car, a bus, nothing, anything: a cell each.
LAYOUT = Layout(np.array([[1, 2, 0, 255]], np.uint8), ("car", "bus"))

#: <start> red car bus <end>
PROMPT = PromptTokens({"car": (2,), "bus": (3,)}, (1, 2, 3), (0,))
OUT = -math.inf


def test_words_of_each_cell() -> None:
    shared = word_bias(LAYOUT, PROMPT, 5, (1, 4), 4.0, shared=True)
    four = math.log(4)
    assert torch.allclose(
        shared, torch.tensor([[0, 0, four, OUT, 0], [0, 0, OUT, four, 0], [0, 0, OUT, OUT, 0], [0, 0, 0, 0, 0]])
    )
    own = word_bias(LAYOUT, PROMPT, 5, (1, 4), 1.0, shared=False)
    assert torch.equal(
        own, torch.tensor([[0, OUT, 0, OUT, 0], [0, OUT, OUT, 0, 0], [0, 0, OUT, OUT, 0], [0, 0, 0, 0, 0]])
    )


def test_a_class_that_the_prompt_does_not_name_has_pixels_of_no_class() -> None:
    alone = PromptTokens({"car": (2,)}, (1, 2, 3), (0,))
    bias = word_bias(LAYOUT, alone, 5, (1, 4), 1.0, shared=True)
    assert torch.equal(bias[1], bias[2]) and bias[1].tolist() == [0, 0, OUT, 0, 0]


def test_no_pixel_sees_across_a_border() -> None:
    cells = border_bias(Layout(np.array([[1, 1], [2, 0]], np.uint8), ("car", "bus")), (2, 2))
    assert cells.tolist() == [[0, 0, OUT, OUT], [0, 0, OUT, OUT], [OUT, OUT, 0, OUT], [OUT, OUT, OUT, 0]]
