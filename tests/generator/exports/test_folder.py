"""Target folders and image files, which all formats share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from diffucurate.generator.errors import ExportError
from diffucurate.generator.exports.folder import ExportRecord, ImageFolder, replacing_folder


def test_a_target_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out"
    with replacing_folder(target, overwrite=False) as fresh:
        (fresh / "first").touch()
    with pytest.raises(ExportError, match="not empty"), replacing_folder(target, overwrite=False):
        pass
    with pytest.raises(RuntimeError), replacing_folder(target, overwrite=True) as fresh:
        (fresh / "second").touch()
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["first"]
    with replacing_folder(target, overwrite=True) as fresh:
        (fresh / "second").touch()
    assert [path.name for path in target.iterdir()] == ["second"]
    assert [path.name for path in target.parent.iterdir()] == ["out"]
    assert target.stat().st_mode & 0o777 == target.parent.stat().st_mode & 0o777


def test_targets_that_are_no_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for target, message in ((tmp_path / "file", "is a file"), (tmp_path / "file" / "out", "cannot be written")):
        with pytest.raises(ExportError, match=message), replacing_folder(target, overwrite=True):
            pass


def test_images_are_linked_and_names_stay_apart(tmp_path: Path) -> None:
    sources = [tmp_path / name for name in ("a/x.png", "b/x.png", "b/X.jpg", "b/x-2.png")]
    for source in sources:
        source.parent.mkdir(exist_ok=True)
        source.write_text(str(source))
    images = ImageFolder(tmp_path / "out")
    added = [images.add(ExportRecord(source, [])) for source in sources]
    assert [path.name for path in added] == ["x.png", "x-2.png", "X-3.jpg", "x-2-2.png"]
    assert images.add(ExportRecord(sources[0], [], "val")).relative_to(tmp_path).as_posix() == "out/images/val/x.png"
    assert all(os.path.samefile(path, source) for path, source in zip(added, sources, strict=True))


def test_images_are_copied_where_links_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: object) -> None:
        raise OSError("cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "x.png").write_text("pixels")
    path = ImageFolder(tmp_path / "out").add(ExportRecord(tmp_path / "x.png", []))
    assert path.read_text() == "pixels" and not path.samefile(tmp_path / "x.png")
