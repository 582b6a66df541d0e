"""The mask network: what it is given, what it gives, and that it does not hurt where an image has texture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.labels.from_heatmaps import compete, labels_from_heatmaps, normalised_heatmaps
from diffucurate.generator.labels.maps.mask_network import (
    SIDE_PX,
    MaskNetwork,
    chances_of_pixels,
    folded,
    network_inputs,
)
from diffucurate.generator.labels.settings import LabelSettings

SIZES = [(128, 128), (96, 160), (37, 200), (600, 400), (64, 64)]


def scene(shape: tuple[int, int], seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A disc of one texture on another: stripes inside and out, of other colours and directions."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    mask = np.hypot(y - 0.5 * shape[0], x - 0.45 * shape[1]) < 0.3 * min(shape)
    waves = np.where(mask, np.sin(x / 3.0), np.sin(y / 4.0))[..., None]
    colours = np.where(mask[..., None], (150, 110, 80), (90, 120, 140))
    return np.clip(colours + 25 * waves + rng.normal(0, 8, (*shape, 3)), 0, 255).astype(np.uint8), mask


def coarse(mask: NDArray[np.bool_], cells: int = 16) -> NDArray[np.float32]:
    size = (
        max(2, round(cells * mask.shape[1] / max(mask.shape))),
        max(2, round(cells * mask.shape[0] / max(mask.shape))),
    )
    return cv2.GaussianBlur(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA), (0, 0), 0.8)


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("shape", SIZES)
def test_chances_are_of_the_working_copy_s_size(shape: tuple[int, int]) -> None:
    image, mask = scene(shape)
    (chances,) = chances_of_pixels(image, {"disc": coarse(mask)}).values()
    assert max(chances.shape) == SIDE_PX and chances.dtype == np.float32
    assert chances.shape[0] * shape[1] == pytest.approx(chances.shape[1] * shape[0], rel=0.03)
    assert 0 <= chances.min() < 0.1 and 0.9 < chances.max() <= 1


@pytest.mark.parametrize("shape", SIZES[:2])
def test_outlines_follow_texture(shape: tuple[int, int]) -> None:
    image, mask = scene(shape)
    by_us = labels_from_heatmaps({"disc": coarse(mask)}, shape, ["disc"], image=image).semantic == 1
    by_cut = normalised_heatmaps({"disc": coarse(mask)}, shape)["disc"] > 0.4
    assert iou(by_us, mask) > max(0.92, iou(by_cut, mask))


def test_a_map_without_signal_gives_no_chance() -> None:
    image, mask = scene((128, 128))
    chances = chances_of_pixels(image, {"disc": coarse(mask), "flat": np.full((16, 16), 0.3, np.float32)})
    assert not chances["flat"].any() and chances["disc"].max() > 0.9
    assert not chances_of_pixels(image, {"flat": np.ones((4, 4), np.float32)})["flat"].any()


def test_the_unit_of_a_map_does_not_matter() -> None:
    image, mask = scene((128, 128))
    one, other = (chances_of_pixels(image, {"disc": factor * coarse(mask)})["disc"] for factor in (1.0, 1e-3))
    assert np.allclose(one, other, atol=1e-3)


def test_inputs_hold_the_map_the_rival_and_the_colours() -> None:
    image, mask = scene((128, 128))
    heat = cv2.resize(coarse(mask), (128, 128))
    inputs = network_inputs(image, {"disc": heat, "other": 1 - heat}, {"disc": 16, "other": 16})
    assert inputs["disc"].shape == (9, 128, 128)
    assert np.allclose(inputs["disc"][0], 2 * heat - 1) and np.allclose(inputs["disc"][3], 1 - 2 * heat, atol=1e-5)
    assert np.allclose(inputs["disc"][5], 3 / 4)  # log2(128 / 16) / 4
    assert np.allclose((inputs["disc"][6:].transpose(1, 2, 0) + 1) * 127.5, image, atol=1e-3)


def test_folding_changes_nothing() -> None:
    torch.manual_seed(0)
    network = MaskNetwork(normalised=True)
    inputs = torch.randn(4, 9, 32, 32)
    for _ in range(3):  # so that the norms have seen something
        network(inputs + 0.3)
    network.eval()
    with torch.no_grad():
        assert torch.allclose(network(inputs), folded(network)(inputs), atol=1e-4)


def test_settings_of_the_filter_ask_for_the_filter() -> None:
    assert LabelSettings().edges == "network"
    assert LabelSettings(floor=0.6, min_area=0.01).edges == "network"
    assert LabelSettings(gamma=1.0).edges == LabelSettings(cut="steepest").edges == "filter"
    assert (
        LabelSettings(edge_reach=0.0).edges == "off" and LabelSettings(edge_reach=0.0, edges="filter").edges == "filter"
    )


@pytest.mark.parametrize(
    ("name", "value"), [("gamma", 1.0), ("cut", "steepest"), ("edge_reach", 0.06), ("surround", 0.0)]
)
def test_a_setting_of_the_filter_beside_the_network_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidSetting, match=f"settings.{name}: .*the mask network has no use for it"):
        LabelSettings.model_validate({"edges": "network", name: value})
    assert LabelSettings(**LabelSettings().model_dump()).edges == "network"


def test_a_higher_threshold_gives_a_smaller_mask() -> None:
    image, mask = scene((128, 128))
    areas = [
        int(
            (
                labels_from_heatmaps({"disc": coarse(mask)}, (128, 128), ["disc"], LabelSettings(floor=floor), image)
            ).semantic.sum()
        )
        for floor in (0.6, 0.75, 0.9)
    ]
    assert areas[0] > areas[1] > areas[2] > 0


@pytest.mark.parametrize("grey", [0, 90, 255])
def test_where_the_image_shows_nothing_the_map_alone_decides(grey: int) -> None:
    image = np.full((128, 128, 3), grey, np.uint8)
    heat = np.zeros((16, 16), np.float32)
    heat[4:12, 4:12] = 1
    truth = np.zeros((128, 128), bool)
    truth[32:96, 32:96] = True
    labels = labels_from_heatmaps({"square": heat}, (128, 128), ["square"], image=image)
    (instance,) = labels.instances
    assert (instance.mask & truth).sum() / (instance.mask | truth).sum() > 0.7


def test_a_smaller_class_stands_in_front_of_a_larger_one_that_is_hardly_more_likely() -> None:
    table, bowl = np.zeros((40, 40), np.float32), np.zeros((40, 40), np.float32)
    table[10:, :] = 0.95
    bowl[20:30, 15:25] = 0.9
    chances = {"table": table, "bowl": bowl}
    cuts = {label: heat > 0.5 for label, heat in chances.items()}
    owned = compete(chances, cuts, (40, 40), in_front=0.2)
    assert np.array_equal(owned["bowl"], cuts["bowl"])
    assert np.array_equal(owned["table"], cuts["table"] & ~cuts["bowl"])
    by_chance_alone = compete(chances, cuts, (40, 40), in_front=0.0)
    assert not by_chance_alone["bowl"].any()
