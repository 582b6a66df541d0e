from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffucurate.generator.errors import DatasetError
from diffucurate.plugin.store.media_files import (
    read_image,
    read_maps,
    read_stored_maps,
    write_maps,
    write_png,
)


@pytest.mark.parametrize(
    "write",
    [
        lambda path, value: write_png(path, np.full((5, 7), value, np.uint8)),
        lambda path, value: write_maps(path, {"car": np.full((5, 7), value, np.float32)}),
    ],
    ids=["png", "maps"],
)
def test_file_is_there_whole_or_not_at_all(tmp_path, monkeypatch, write):
    path = write(tmp_path / "a" / "b.bin", 1)
    before = path.read_bytes()

    def full_disk(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:1])
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises((OSError, DatasetError), match="No space"):
        write(path, 2)
    assert path.read_bytes() == before


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_png_returns_every_pixel(tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    read = read_image(write_png(tmp_path / "a.png", pixels))
    assert np.array_equal(read, pixels if len(shape) == 3 else np.repeat(pixels[..., None], 3, axis=2))


def test_broken_and_missing_images_are_os_errors(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    whole = write_png(tmp_path / "whole.png", np.zeros((64, 64, 3), np.uint8)).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    for name in ("broken.png", "cut.png", "missing.png"):
        with pytest.raises(OSError):
            read_image(tmp_path / name)


def test_maps_come_back_with_the_precision_of_float16(tmp_path):
    maps = {"car": np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4), "traffic light": np.zeros((2, 2), np.float32)}
    read = read_maps(write_maps(tmp_path / "a.safetensors", maps))
    assert list(read) == list(maps)
    assert all(np.array_equal(read[name], maps[name].astype(np.float16).astype(np.float32)) for name in maps)
    assert read_maps(write_maps(tmp_path / "none.safetensors", {})) == {}
    assert read_stored_maps(tmp_path / "a.safetensors").model is None
    assert read_stored_maps(write_maps(tmp_path / "b.safetensors", maps, "owner/name")).model == "owner/name"


def _safetensors(**tensors: np.ndarray) -> bytes:
    from safetensors.numpy import save

    return save(tensors)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 8,
        b"no maps at all",
        _safetensors(car=np.ones((4, 4), np.float16))[:-3],
        _safetensors(car=np.ones((4, 4), np.float16))[:20],
        (2**40).to_bytes(8, "little") + b"{}",
        _safetensors(car=np.ones((4, 4), np.int64)),
        _safetensors(car=np.ones((4, 4), np.bool_)),
        _safetensors(car=np.ones(4, np.float16)),
        _safetensors(car=np.ones((0, 4), np.float16)),
        _safetensors(car=np.full((4, 4), np.nan, np.float16)),
        _safetensors(car=np.full((4, 4), -1, np.float16)),
        b'\x45\x00\x00\x00\x00\x00\x00\x00{"car":{"dtype":"BF16","shape":[2,2],"data_offsets":[0,8]}}' + b" " * 100,
    ],
    ids=lambda content: f"{len(content)} bytes",
)
def test_files_that_hold_no_maps_are_os_errors(tmp_path, content):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(OSError, match="holds no class maps"):
        read_maps(path)
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(OSError, match=r"folder\.safetensors"):
        read_maps(tmp_path / "folder.safetensors")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("turned.jpg", (60, 40)),  # height and width as it is shown
        ("deep.png", (40, 60)),
        ("deep.tif", (40, 60)),
        ("float.tif", (40, 60)),
        ("clear.png", (40, 60)),
        ("clear_gray.png", (40, 60)),
        ("palette.png", (40, 60)),
        ("cmyk.jpg", (40, 60)),
        ("bits.png", (40, 60)),
    ],
)
def test_photographs_are_read_as_a_browser_shows_them(tmp_path, name, expected):
    path = tmp_path / name
    ramp = np.repeat(np.linspace(0, 1, 60)[None], 40, axis=0)  # dark on the left
    eight, deep = np.uint8(ramp * 255), np.uint16(ramp * 65535)
    alpha = np.zeros((40, 60), np.uint8)
    alpha[:20] = 255
    exif = Image.Exif()
    exif[0x112] = 6  # shown turned clockwise: dark at the top
    save = {
        "turned.jpg": lambda: Image.fromarray(np.dstack([eight] * 3)).save(path, exif=exif, quality=95),
        "deep.png": lambda: Image.fromarray(deep).save(path),
        "deep.tif": lambda: Image.fromarray(deep).save(path),
        "float.tif": lambda: Image.fromarray(np.float32(ramp)).save(path),
        "clear.png": lambda: Image.fromarray(np.dstack([eight, eight, eight, alpha])).save(path),
        "clear_gray.png": lambda: Image.fromarray(np.dstack([eight, alpha])).save(path),
        "palette.png": lambda: Image.fromarray(eight).convert("P").save(path),
        "cmyk.jpg": lambda: Image.fromarray(np.dstack([eight] * 3)).convert("CMYK").save(path, quality=95),
        "bits.png": lambda: Image.fromarray(eight > 127).save(path),
    }
    save[name]()
    pixels = read_image(path)
    assert pixels.shape == (*expected, 3) and pixels.dtype == np.uint8
    shown = pixels.transpose(1, 0, 2) if name == "turned.jpg" else pixels
    wanted = np.where(eight > 127, 255, 0) if name == "bits.png" else eight
    assert np.abs(shown[:20].astype(int) - wanted[:20, :, None]).max() <= 6
    if name.startswith("clear"):
        assert (pixels[20:] == 255).all()
