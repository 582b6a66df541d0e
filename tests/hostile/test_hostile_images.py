"""Broken images: each is read, or refused by an OSError of one line; nothing else leaves, and nothing takes long."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from diffucurate.generator.exports.images import upright_size
from diffucurate.plugin.store.media_files import read_image, read_maps

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")


def image_bytes(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    with io.BytesIO() as buffer:
        Image.fromarray(pixels).save(buffer, kind)
        return buffer.getvalue()


def damaged(content: bytes, rng: Random) -> bytes:
    """Cut off, with bytes changed, or with a part of it twice."""
    at, data = rng.randrange(len(content)), bytearray(content)
    match rng.randint(0, 3):
        case 0:
            return content[:at]
        case 1:
            for _ in range(rng.randint(1, 20)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            return bytes(data)
        case 2:
            data[at:at] = data[: rng.randint(1, 200)]
            return bytes(data)
        case _:
            return bytes(rng.randrange(256) for _ in range(at))


@pytest.mark.parametrize("kind", FORMATS)
def test_images(kind: str, tmp_path: Path) -> None:
    rng, content, path = Random(kind), image_bytes(kind), tmp_path / "image"
    refused = 0
    for index in range(60):
        path.write_bytes(damaged(content, rng))
        for read in (read_image, upright_size):
            try:
                read(str(path))
            except OSError as error:
                refused += 1
                assert str(error) and "\n" not in str(error), index
    assert refused > 20


def test_an_image_that_says_it_is_huge_is_refused_unread(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\x00" * 100)) + chunk(b"IEND", b"")
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    with pytest.raises(OSError, match="more pixels than the limit"):
        read_image(str(path))


def test_class_maps(tmp_path: Path) -> None:
    from diffucurate.plugin.store.media_files import write_maps

    path = write_maps(tmp_path / "maps.safetensors", {"car": np.ones((4, 4), np.float32)}, "tiny")
    content, rng = Path(path).read_bytes(), Random(1)
    refused = 0
    for index in range(120):
        Path(path).write_bytes(damaged(content, rng))
        try:
            maps = read_maps(path)
            assert all(heat.ndim == 2 for heat in maps.values())
        except OSError as error:
            refused += 1
            assert "\n" not in str(error), index
    assert refused > 40
