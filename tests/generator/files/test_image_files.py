"""Images that would fill the memory, pipes and devices are refused before a pixel is decoded."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import pytest
from PIL import Image

from diffucurate.generator.files.image_files import MAX_PIXELS_VARIABLE, opened_image
from diffucurate.generator.files.thumbnails import thumbnail
from diffucurate.plugin.store.media_files import read_image


def bomb(path: Path, side: int) -> Path:
    """A PNG of ``side`` px a side in one colour: some kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + (side + 7) // 8) * side), 9)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("side", [13_000, 30_000], ids=["Pillow warns", "Pillow refuses"])
def test_too_many_pixels_are_refused_without_decoding_them(tmp_path: Path, side: int) -> None:
    path = bomb(tmp_path / "bomb.png", side)
    assert path.stat().st_size < 150_000
    tracemalloc.start()
    for read in (read_image, thumbnail):
        with pytest.raises(OSError, match=rf"{path} has .*pixels.* the limit of 89,478,485; .*{MAX_PIXELS_VARIABLE}"):
            read(path)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_a_person_can_raise_and_lower_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bomb(tmp_path / "large.png", 14_000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    monkeypatch.setenv(MAX_PIXELS_VARIABLE, "200000000")
    with opened_image(path) as image:
        assert image.size == (14_000, 14_000)
    Image.new("RGB", (20, 20)).save(tmp_path / "small.png")
    monkeypatch.setenv(MAX_PIXELS_VARIABLE, "399")
    with pytest.raises(OSError, match="20 x 20 pixels, more pixels than the limit of 399"):
        read_image(tmp_path / "small.png")


def test_pipes_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match="is no file"):
            read_image(path)
