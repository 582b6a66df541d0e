"""The mask network: from an image and a coarse class map to the chance that each pixel belongs to the class.

A map says where a class is, to within a cell of the attention's grid; the image says where things end, but not which.
What an edge is worth differs from image to image and from place to place: drawn in flat colours, all edges are those of
things, on fur or brickwork few are. A small U-Net (Ronneberger et al. 2015) of 137,000 weights weighs both. It knows no
classes and no words: what it is given is pixels, one map and the hottest of all other maps.

It was trained with exact masks, on shapes filled with photographs' textures and on rendered scenes, with maps made from
those masks (``generator.tiny.train_masks``). Labels by it are so far unsupervised as no mask of their classes was ever
seen, and no further; ``LabelSettings(edges="filter")`` does without. Loads torch when it is first used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from diffucurate.generator.labels.maps.guided_filter import GuidedFilter
from diffucurate.generator.labels.maps.heatmaps import min_max, resized
from diffucurate.generator.labels.maps.thresholds import otsu, separability
from diffucurate.generator.labels.masks.working_grid import halved
from diffucurate.generator.models.built_in import mask_network_path

#: Longest side, in pixels, of the copy of an image that the network looks at.
SIDE_PX = 128

#: Both sides of what the network is given are multiples of this.
_MULTIPLE = 16

#: Channels at a half, a quarter, an eighth and a sixteenth of the side.
_WIDTHS = (20, 32, 48, 48)

#: The map and what two guided filters make of it; the hottest other map, the map's threshold by Otsu, how coarse it is;
#: red, green, blue.
INPUTS = 9
_OTSU = 4

#: The first of the inputs, which the last layer sees too: what the network gives is a correction of them.
_HEATS = 3

#: Reach and contrast of the filters: one for texture, one for flat colours. See ``GuidedFilter``.
_FILTERS = ((0.06, 1e-4), (0.125, 1e-5))

#: Where no chance is above the second, the network has seen little of what the map says, and the map is believed the
#: more the lower it is; below the first, the map alone. Of 720 maps of photographs and renders set aside for choosing
#: three in a hundred have their highest chance below 0.95: what looks like none of the maps in training.
_DOUBT = (0.8, 1.0)

#: What the map adds to the log odds of the chances: its weight times what it is above this level. Pasted shapes and
#: renders, which the network has learned from, end where the image has an edge more often than what photographs show.
_HEAT_LEVEL = 0.45

#: The weight, the more the clearer a map parts object from background (``separability``): the least and the greatest,
#: the separability from which it grows, and how fast for each cell of the map's longest side up to so many. A map of
#: fine cells with hardly a value between them knows the outline better than any edge; one that is hot in parts only
#: does not, nor does one of coarse cells. Chosen on half of the photographs of ``benchmarks/photographs.py`` with maps
#: of sixteen kinds: their mean IoU rose by 0.003, that of nearly exact ones of 64 cells by 0.016, and none fell.
_HEAT_WEIGHTS, _CLEAR, _GROWTH, _FINE = (2.0, 32.0), 0.84, 0.4, 64

Heat = NDArray[np.float32]
Image = NDArray[np.uint8]


class MaskNetwork(nn.Module):
    """(N, 9, h, w) inputs, see ``network_inputs``, -> (N, h, w) logits of the chances.

    ``normalised`` is for training: a batch normalisation after each convolution, which ``folded`` turns into numbers
    of the convolution.
    """

    def __init__(self, normalised: bool = False) -> None:
        super().__init__()
        first, second, third, fourth = _WIDTHS

        def layer(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
            convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=not normalised)
            between = [nn.BatchNorm2d(outputs)] if normalised else []
            return nn.Sequential(convolution, *between, nn.ReLU())

        # Pixels in squares of 2 x 2 are channels of one place: a quarter of the cost of the first and last layers.
        self.down = nn.ModuleList(
            [
                layer(INPUTS * 4, first),
                nn.Sequential(layer(first, second, 2), layer(second, second)),
                nn.Sequential(layer(second, third, 2), layer(third, third)),
                nn.Sequential(layer(third, fourth, 2), layer(fourth, fourth)),
            ]
        )
        pairs = ((fourth, third), (third, second), (second, first))
        self.narrow = nn.ModuleList([nn.Conv2d(inputs, outputs, 1) for inputs, outputs in pairs])
        self.up = nn.ModuleList([layer(outputs, outputs) for _, outputs in pairs])
        self.out = nn.Conv2d(first + 4 * _HEATS, 4, 3, padding=1)

    def forward(self, inputs: Tensor) -> Tensor:
        plane = functional.pixel_unshuffle(inputs, 2)
        heats, skipped = plane[:, : 4 * _HEATS], []
        for level in self.down:
            plane = level(plane)
            skipped.append(plane)
        skipped.pop()
        for narrow, up in zip(self.narrow, self.up, strict=True):
            plane = functional.interpolate(narrow(plane), scale_factor=2.0, mode="bilinear", align_corners=False)
            plane = up(plane + skipped.pop())
        return functional.pixel_shuffle(self.out(torch.cat([plane, heats], dim=1)), 2)[:, 0]


def folded(network: MaskNetwork) -> MaskNetwork:
    """The same function, for networks in evaluation, with normalisation made part of the convolutions."""
    plain = MaskNetwork().eval()
    layers: list[Any] = [each for each in network.modules() if isinstance(each, nn.Sequential) and len(each) == 3]
    targets: list[Any] = [each for each in plain.modules() if isinstance(each, nn.Sequential) and len(each) == 2]
    targets = [each for each in targets if isinstance(each[1], nn.ReLU)]
    with torch.no_grad():
        for (convolution, norm, _), (target, _) in zip(layers, targets, strict=True):
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            target.weight.copy_(convolution.weight * scale[:, None, None, None])
            target.bias.copy_(norm.bias - norm.running_mean * scale)
        plain.narrow.load_state_dict(network.narrow.state_dict())
        plain.out.load_state_dict(network.out.state_dict())
    return plain


def network_inputs(image: Image, heats: Mapping[str, Heat], cells: Mapping[str, int]) -> dict[str, NDArray[np.float32]]:
    """What the network is given for each class, (9, h, w) float32.

    Args:
        image: (h, w, 3) uint8 RGB, already small.
        heats: class -> (h, w) map in [0, 1] of every class of the image.
        cells: class -> the longest side of its map as attention gave it.
    """
    filters = [GuidedFilter(image, reach, contrast) for reach, contrast in _FILTERS]
    colours = image.transpose(2, 0, 1).astype(np.float32) / 127.5 - 1
    inputs = {}
    for label, heat in heats.items():
        others = [other for name, other in heats.items() if name != label]
        rival = np.maximum.reduce(others) if others else np.zeros_like(heat)
        planes = [heat, *(each.refine(heat) for each in filters), rival, np.full_like(heat, otsu(heat))]
        coarseness = np.full_like(heat, np.log2(max(image.shape[:2]) / cells[label]) / 4)
        inputs[label] = np.stack([*(plane * 2 - 1 for plane in planes), coarseness, *colours]).astype(np.float32)
    return inputs


def working_copy(image: Image) -> Image:
    """The copy of an (H, W, 3) image that the network looks at."""
    scale = SIDE_PX / max(image.shape[:2])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    smaller = halved(image, size)
    return np.asarray(cv2.resize(smaller, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR))


def chances_of_pixels(image: Image, maps: Mapping[str, Heat]) -> dict[str, Heat]:
    """The chance of each pixel to belong to a class.

    Args:
        image: (H, W, 3) uint8 RGB.
        maps: class -> (h, w) raw map at attention's own resolution, of every class and of what is background.

    Returns:
        Class -> (h, w) float32 in [0, 1], of ``working_copy``'s size; 0 throughout for a map without any signal.
    """
    small = working_copy(image)
    height, width = small.shape[:2]
    heats = {label: resized(min_max(heat), (width, height)) for label, heat in maps.items()}
    wanted = [label for label, heat in heats.items() if heat.any()]
    chances = {label: np.zeros((height, width), np.float32) for label in maps}
    if not wanted:
        return chances
    cells = {label: max(heat.shape) for label, heat in maps.items()}
    each = network_inputs(small, heats, cells)
    inputs = np.stack([each[label] for label in wanted])
    weights = torch.tensor([_heat_weight(heats[label], each[label], cells[label]) for label in wanted])[:, None, None]
    margins = [(0, 0), (0, 0), (0, -height % _MULTIPLE), (0, -width % _MULTIPLE)]
    with torch.inference_mode(), _one_thread():
        padded = torch.from_numpy(np.pad(inputs, margins, mode="edge"))
        logits = _trained()(padded.contiguous(memory_format=torch.channels_last))
        pulled = logits[:, :height, :width] + weights * (torch.from_numpy(inputs[:, 0] + 1) / 2 - _HEAT_LEVEL)
        planes = torch.sigmoid(pulled).numpy()
    return chances | {label: _believed(plane, heats[label]) for label, plane in zip(wanted, planes, strict=True)}


def _heat_weight(heat: Heat, inputs: NDArray[np.float32], cells: int) -> float:
    """How much a map in [0, 1] adds to the log odds; its threshold by Otsu is one of the inputs."""
    threshold = (float(inputs[_OTSU, 0, 0]) + 1) / 2
    least, greatest = _HEAT_WEIGHTS
    growth = _GROWTH * min(cells, _FINE)
    return min(greatest, least * math.exp(growth * max(0.0, separability(heat, threshold) - _CLEAR)))


def _believed(chances: Heat, heat: Heat) -> Heat:
    """Chances, and where all of them are low the map instead, brought to the same peak."""
    peak = float(chances.max())
    share = min(1.0, max(0.0, (peak - _DOUBT[0]) / (_DOUBT[1] - _DOUBT[0])))
    return chances if share == 1 else np.asarray(share * chances + (1 - share) * peak * heat, np.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    """A block in which torch uses one thread: several would wait for each other longer than so small a network takes,
    twenty times as long where others use the processor too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@cache
def _trained() -> Any:
    """The network that ships with the package, laid out channels last, which takes three quarters of the time."""
    network = MaskNetwork().eval()
    network.load_state_dict({name: value.float() for name, value in load_file(mask_network_path()).items()})
    return network.to(memory_format=torch.channels_last)
