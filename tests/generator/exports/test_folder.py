"""Splits, target folders and image files, which all formats share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from diffucurate.generator.errors import ExportError
from diffucurate.generator.exports.folder import ExportRecord, ImageFolder, assign_splits, replacing

IDS = [f"{index:016x}" for index in range(103)]


@pytest.mark.parametrize(
    ("fractions", "sizes"),
    [
        ({"train": 0.8, "val": 0.2}, [82, 21]),
        ({"train": 1.0}, [103]),
        ({"train": 1 / 3, "val": 1 / 3, "test": 1 / 3}, [35, 34, 34]),
        ({"train": 0.999, "val": 0.001}, [103, 0]),
    ],
)
def test_splits_have_exact_sizes(fractions: dict[str, float], sizes: list[int]) -> None:
    splits = assign_splits(IDS, fractions)
    assert [list(splits.values()).count(name) for name in fractions] == sizes
    assert set(splits) == set(IDS)


def test_splits_depend_on_ids_only() -> None:
    fractions = {"train": 0.7, "val": 0.3}
    assert assign_splits(reversed(IDS), fractions) == assign_splits(IDS, fractions)
    assert len({assign_splits(IDS, fractions)[value] for value in IDS[:20]}) == 2, "not simply the first ones"


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ({}, "above 0"),
        ({"train": 0.8}, "sum of 1"),
        ({"train": 1.2, "val": -0.2}, "above 0"),
        ({"../train": 1.0}, "plain name"),
        ({"": 1.0}, "plain name"),
    ],
)
def test_bad_splits_are_refused(fractions: dict[str, float], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        assign_splits(IDS, fractions)


def test_a_target_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out"
    with replacing(target, overwrite=False) as fresh:
        (fresh / "first").touch()
    with pytest.raises(ExportError, match="not empty"), replacing(target, overwrite=False):
        pass
    with pytest.raises(RuntimeError), replacing(target, overwrite=True) as fresh:
        (fresh / "second").touch()
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["first"]
    with replacing(target, overwrite=True) as fresh:
        (fresh / "second").touch()
    assert [path.name for path in target.iterdir()] == ["second"]
    assert [path.name for path in target.parent.iterdir()] == ["out"]
    assert target.stat().st_mode & 0o777 == target.parent.stat().st_mode & 0o777


def test_targets_that_are_no_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for target, message in ((tmp_path / "file", "is a file"), (tmp_path / "file" / "out", "cannot be written")):
        with pytest.raises(ExportError, match=message), replacing(target, overwrite=True):
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
