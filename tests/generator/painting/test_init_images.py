"""Init images resized, regions grown, and what stays of an init image where an object is replaced."""

from __future__ import annotations

import numpy as np
import pytest

from diffucurate.generator.errors import ImageError
from diffucurate.generator.painting.init_images import SEAM, InitPixels, covered, digest, grown, within


def mask_of(shape: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(shape, np.bool_)
    mask[rows, columns] = True
    return mask


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((32, 48), np.bool_), "the mask is 48 x 32 px, the image 64 x 64 px"),
        (np.zeros((64, 64), np.bool_), "the mask is empty"),
    ],
)
def test_masks_that_cannot_be_used(mask: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        InitPixels(noise((64, 64, 3)), mask)


def test_image_and_mask_are_fitted_alike() -> None:
    init_image = InitPixels(noise((60, 90, 3)), mask_of((60, 90), np.s_[20:40], np.s_[30:60]))
    fitted = init_image.fitted((48, 32))
    assert fitted.image.shape == (32, 48, 3) and init_image.fitted((90, 60)) is init_image
    assert np.array_equal(fitted.mask, mask_of((32, 48), np.s_[11:21], np.s_[16:32]))
    dot = InitPixels(noise((60, 90, 3)), mask_of((60, 90), np.s_[5:6], np.s_[7:8]))
    assert 1 <= dot.fitted((48, 32)).mask.sum() <= 2  # too small for half of any pixel, it still counts


def test_a_mask_grows_by_a_share_of_its_own_size() -> None:
    mask = mask_of((64, 64), np.s_[20:40], np.s_[20:40])
    assert grown(mask, 0) is mask
    wide = grown(mask, 0.25)
    assert wide[15:45, 30].all() and not wide[14, 30] and not wide[15, 15]  # 5 px, with round corners


def test_pixels_beyond_the_seam_are_the_init_images_own() -> None:
    init_image = InitPixels(noise((64, 64, 3)), mask_of((64, 64), np.s_[20:40], np.s_[20:40]))
    painted = noise((64, 64, 3), 1)
    kept = init_image.kept_in(painted)
    assert np.array_equal(kept[init_image.mask], painted[init_image.mask])
    beyond = ~grown(init_image.mask, SEAM / 20)
    assert np.array_equal(kept[beyond], init_image.image[beyond])
    assert InitPixels(init_image.image).kept_in(painted) is painted


def test_a_digest_is_that_of_shape_and_content() -> None:
    pixels = noise((8, 6, 3))
    others = [pixels.reshape(6, 8, 3), pixels.astype(np.bool_), np.flipud(pixels), noise((8, 6, 3), 1)]
    assert digest(pixels) == digest(np.asfortranarray(pixels)) and len({digest(pixels), *map(digest, others)}) == 5


def test_a_map_ends_with_the_region() -> None:
    heat = np.linspace(1, 2, 64, dtype=np.float32).reshape(8, 8)
    region = mask_of((64, 64), np.s_[16:32], np.s_[16:40])
    cut, inside = within(heat, region), covered(region, (8, 8))
    assert cut[~inside].max() == 0 and cut[inside].min() == 0
    assert np.allclose(cut[inside], heat[inside] - heat[2, 2])
