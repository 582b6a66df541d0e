from __future__ import annotations

from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from diffucurate.plugin.media import (
    media_folder,
    read_image,
    read_maps,
    remove_files,
    write_maps,
    write_png,
    write_whole,
)


def test_file_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    path = write_whole(tmp_path / "a" / "b.bin", b"old")

    def full_disk(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:1])
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_png_returns_every_pixel(tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    read = read_image(write_png(tmp_path / "a.png", pixels))
    assert np.array_equal(read, pixels if len(shape) == 3 else np.repeat(pixels[..., None], 3, axis=2))


def test_broken_and_missing_images_are_os_errors(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    whole = write_png(tmp_path / "whole.png", np.zeros((64, 64, 3), np.uint8)).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[:-20])
    for name in ("broken.png", "cut.png", "missing.png"):
        with pytest.raises(OSError):
            read_image(tmp_path / name)


def test_maps_come_back_with_the_precision_of_float16(tmp_path):
    maps = {"car": np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4), "traffic light": np.zeros((2, 2), np.float32)}
    read = read_maps(write_maps(tmp_path / "a.safetensors", maps))
    assert list(read) == list(maps)
    assert all(np.array_equal(read[name], maps[name].astype(np.float16).astype(np.float32)) for name in maps)
    assert read_maps(write_maps(tmp_path / "none.safetensors", {})) == {}


def test_media_folder_is_chosen_once_and_inside(tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFUCURATE_MEDIA_DIR", str(tmp_path))
    dataset = fo.Dataset("../../Up and away")
    try:
        assert media_folder(dataset) == tmp_path / "up-and-away"
        monkeypatch.setenv("DIFFUCURATE_MEDIA_DIR", "/elsewhere")
        dataset.name = "renamed"
        assert media_folder(dataset) == tmp_path / "up-and-away"
    finally:
        dataset.delete()


def test_only_files_inside_the_folder_are_removed(tmp_path):
    inside, outside = write_whole(tmp_path / "media" / "a", b""), write_whole(tmp_path / "b", b"")
    remove_files(
        [str(inside), str(outside), str(tmp_path / "media" / ".." / "b"), str(tmp_path / "media" / "gone")],
        tmp_path / "media",
    )
    assert not inside.exists() and outside.exists()
