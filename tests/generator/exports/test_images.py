"""Image files of exports: copies, upright, in formats that readers know."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from diffucurate.generator.errors import ExportError
from diffucurate.generator.exports.images import ExportRecord, ImageFolder, upright_size


def quarters() -> Image.Image:
    """48 x 32 px: red, green, blue and white quarters."""
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:16, :24], pixels[:16, 24:], pixels[16:, :24], pixels[16:] = (255, 0, 0), (0, 255, 0), (0, 0, 255), 255
    pixels[16:, :24] = (0, 0, 255)
    return Image.fromarray(pixels)


def saved(path: Path, format: str = "PNG", orientation: int = 1) -> Path:
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    quarters().save(path, format=format, exif=exif, **({"quality": 95} if format == "JPEG" else {}))
    return path


def test_names_stay_apart(tmp_path: Path) -> None:
    sources = [saved(tmp_path / name, format) for name, format in (
        ("a/x.png", "PNG"), ("b/x.png", "PNG"), ("b/X.jpg", "JPEG"), ("b/x-2.png", "PNG"))]  # fmt: skip
    images = ImageFolder(tmp_path / "out")
    added = [images.add(ExportRecord(source, [])) for source in sources]
    assert [path.name for path in added] == ["x.png", "x-2.png", "X-3.jpg", "x-2-2.png"]
    assert images.add(ExportRecord(sources[0], [], "val")).relative_to(tmp_path).as_posix() == "out/images/val/x.png"
    assert all(path.read_bytes() == source.read_bytes() for path, source in zip(added, sources, strict=True))


def test_an_exported_image_can_be_changed_without_the_original(tmp_path: Path) -> None:
    source = saved(tmp_path / "x.png")
    before = source.read_bytes()
    path = ImageFolder(tmp_path / "out").add(ExportRecord(source, []))
    with path.open("r+b") as file:
        file.write(b"resized in place")
    assert source.read_bytes() == before


def test_links_are_made_on_request_and_copies_where_they_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = saved(tmp_path / "x.png")
    assert ImageFolder(tmp_path / "a", links=True).add(ExportRecord(source, [])).samefile(source)

    def refuse(*paths: object) -> None:
        raise OSError("cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    path = ImageFolder(tmp_path / "b", links=True).add(ExportRecord(source, []))
    assert path.read_bytes() == source.read_bytes() and not path.samefile(source)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("name", "format"), [("x.jpg", "JPEG"), ("x.png", "PNG"), ("x.tif", "TIFF"), ("x.webp", "WEBP")]
)
def test_pixels_are_written_as_they_are_shown(tmp_path: Path, name: str, format: str, orientation: int) -> None:
    source = saved(tmp_path / name, format, orientation)
    path = ImageFolder(tmp_path / "out", links=True).add(ExportRecord(source, []))
    with Image.open(source) as image:
        shown = np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(int)
    assert shown.shape[:2] == ((48, 32) if orientation > 4 else (32, 48))
    assert upright_size(source) == (shown.shape[1], shown.shape[0]) == upright_size(path)
    plain = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)[
        ..., ::-1
    ]  # a reader that turns none
    turning = cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1]
    for read in (plain, turning):
        assert read.shape == shown.shape and np.abs(read.astype(int) - shown).mean() < 3


@pytest.mark.parametrize(
    ("name", "format", "written"),
    [
        ("x.gif", "GIF", "x.png"),
        ("x.jfif", "JPEG", "x.jpg"),
        ("x", "PNG", "x.png"),
        (".x.png", "PNG", "x.png"),
        ("x.JPG", "JPEG", "x.JPG"),
        ("x.jpg", "PNG", "x.jpg"),  # readers look into the file
        ("x.ppm", "PPM", "x.png"),
    ],
)
def test_every_reader_sees_every_image(tmp_path: Path, name: str, format: str, written: str) -> None:
    path = tmp_path / name
    quarters().save(path, format=format, **({"quality": 95, "subsampling": 0} if format == "JPEG" else {}))
    added = ImageFolder(tmp_path / "out").add(ExportRecord(path, []))
    assert added.name == written
    assert np.abs(cv2.imread(str(added))[..., ::-1].astype(int) - np.asarray(quarters())).mean() < 3


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("no image")
    for name, reason in (("x.png", "cannot be read"), ("y.png", "is not there")):
        with pytest.raises(ExportError, match=f"{name} {reason}; export a view without it"):
            ImageFolder(tmp_path / "out").add(ExportRecord(tmp_path / name, []))
