"""Target folders, which all formats share: replaced whole or not at all, and only what an export wrote."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from diffucurate.generator.errors import ExportError
from diffucurate.generator.exports.folder import check_target, recover, replacing_folder
from diffucurate.generator.exports.manifest import MANIFEST


def test_a_target_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out"
    with replacing_folder(target, "yolo", overwrite=False) as fresh:
        (fresh / "first").touch()
    with pytest.raises(ExportError, match="not empty"), replacing_folder(target, "yolo", overwrite=False):
        pass
    with pytest.raises(RuntimeError), replacing_folder(target, "yolo", overwrite=True) as fresh:
        (fresh / "second").touch()
        raise RuntimeError
    assert {path.name for path in target.iterdir()} == {MANIFEST, "first"}
    with replacing_folder(target, "yolo", overwrite=True) as fresh:
        (fresh / "second").touch()
    assert {path.name for path in target.iterdir()} == {MANIFEST, "second"}
    assert [path.name for path in target.parent.iterdir()] == ["out"]
    assert target.stat().st_mode & 0o777 == target.parent.stat().st_mode & 0o777


def test_targets_that_are_no_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for target, message in ((tmp_path / "file", "is a file"), (tmp_path / "file" / "out", "cannot be written")):
        with pytest.raises(ExportError, match=message), replacing_folder(target, "yolo", overwrite=True):
            pass


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def an_export(target: Path, text: str = "0 0.1 0.1") -> Path:
    with replacing_folder(target, "yolo", overwrite=True) as fresh:
        (fresh / "labels" / "train").mkdir(parents=True)
        (fresh / "labels" / "train" / "a.txt").write_text(text)
        (fresh / "data.yaml").write_text("names: {}")
    return target


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("notes.txt", b"mine", "is no part of the export"),
        ("labels/train/b.txt", b"0 1 1", "is no part of the export"),
        ("labels/train/a.txt", b"0 0.2 0.2 0.3 0.3", "was changed since it was exported"),
        ("labels/thesis.cache", b"mine", "is no part of the export"),
        ("labels/train.cache", b"mine", "is no part of the export"),  # not what Ultralytics writes
        ("train.cache", b"\x93NUMPY", "is no part of the export"),
    ],
)
def test_what_somebody_put_into_an_export_or_changed_there_stays(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    target = an_export(tmp_path / "out")
    (target / name).write_bytes(content)
    before = files_below(tmp_path)
    with pytest.raises(ExportError, match=f"'{name}', which {reason}"):
        an_export(target)
    assert files_below(tmp_path) == before


def test_a_change_of_the_same_length_is_seen(tmp_path: Path) -> None:
    target = an_export(tmp_path / "out")
    label = target / "labels" / "train" / "a.txt"
    label.write_text("0 0.9 0.9")
    later = label.stat().st_mtime + 60
    os.utime(label, (later, later))
    with pytest.raises(ExportError, match="was changed since"):
        an_export(target)
    assert label.read_text() == "0 0.9 0.9"


@pytest.mark.parametrize("layout", [("images/a.png", "labels/a.txt", "data.yaml"), ("a.cache",), ("images/a.png",)])
def test_a_folder_made_by_hand_is_never_replaced_whatever_its_layout(tmp_path: Path, layout: tuple[str, ...]) -> None:
    for name in layout:
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text("years of work")
    before = files_below(tmp_path)
    with pytest.raises(ExportError, match="which is not part of a yolo export"):
        an_export(tmp_path / "out")
    assert files_below(tmp_path) == before


def test_links_in_an_export_and_what_they_lead_to_stay(tmp_path: Path) -> None:
    target = an_export(tmp_path / "out")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("mine")
    (target / "photos").symlink_to(tmp_path / "photos")
    with pytest.raises(ExportError, match="'photos', which is no part"):
        an_export(target)
    assert (tmp_path / "photos" / "a.jpg").read_text() == "mine"


def test_caches_of_ultralytics_go_with_the_labels_that_they_are_of(tmp_path: Path) -> None:
    target = an_export(tmp_path / "out")
    (target / "labels" / "train.cache").write_bytes(b"\x93NUMPY and more")
    an_export(target, "1 0.5 0.5")
    assert sorted(files_below(target)) == [MANIFEST, "data.yaml", "labels/train/a.txt"]
    assert (target / "labels" / "train" / "a.txt").read_text() == "1 0.5 0.5"


def test_a_file_that_comes_while_the_export_is_written_stays(tmp_path: Path) -> None:
    target = an_export(tmp_path / "out")
    with pytest.raises(ExportError, match=r"'late\.txt', which is no part"):  # noqa: SIM117  (the block is the writing)
        with replacing_folder(target, "yolo", overwrite=True):
            (target / "late.txt").write_text("mine")
    assert (target / "late.txt").read_text() == "mine" and (target / "data.yaml").is_file()


def test_a_target_behind_a_link_is_replaced_where_it_lies(tmp_path: Path) -> None:
    real = an_export(tmp_path / "disk" / "out")
    (tmp_path / "out").symlink_to(real)
    an_export(tmp_path / "out", "1 0.5 0.5")
    assert (tmp_path / "out").is_symlink() and (real / "labels" / "train" / "a.txt").read_text() == "1 0.5 0.5"


_KILLED = """
import os, signal, sys
from pathlib import Path
from diffucurate.generator.exports.folder import replacing_folder

renames, rename = 0, Path.rename

def rename_then_die(self, target):
    global renames
    renames += 1
    if renames > int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)

Path.rename = rename_then_die
with replacing_folder(Path(sys.argv[1]), "yolo", overwrite=True) as fresh:
    (fresh / "data.yaml").write_text("names: {0: later}")
"""


@pytest.mark.parametrize("renames", [0, 1])
def test_a_killed_export_loses_nothing_and_leaves_nothing(tmp_path: Path, renames: int) -> None:
    target = an_export(tmp_path / "out")
    before = files_below(target)
    done = subprocess.run([sys.executable, "-c", _KILLED, str(target), str(renames)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert target.exists() is (renames == 0) and len(list(tmp_path.iterdir())) > 1
    recover(target)
    assert files_below(target) == before and [path.name for path in tmp_path.iterdir()] == ["out"]
    an_export(target, "1 0.5 0.5")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_another_export_is_still_writing_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with replacing_folder(target, "yolo", overwrite=False) as fresh:
        (fresh / "data.yaml").write_text("names: {}")
        assert recover(target) == 0 and (fresh / "data.yaml").is_file()
    hidden = tmp_path / ".out-new-mine"
    hidden.mkdir()
    (hidden / "notes.txt").touch()
    assert recover(target) == 0 and (hidden / "notes.txt").is_file()  # no export of ours


def test_a_list_from_elsewhere_reaches_no_file_outside(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    target = an_export(tmp_path / "out")
    content = json.loads((target / MANIFEST).read_text())
    status = (tmp_path / "thesis.tex").stat()
    content["files"]["../thesis.tex"] = [status.st_size, status.st_mtime]
    (target / MANIFEST).write_text(json.dumps(content))
    an_export(target)
    assert (tmp_path / "thesis.tex").read_text() == "mine"
    for broken in ("", "[]", "{}", '{"diffucurate": 1, "format": "yolo", "complete": true, "files": 3}', "[" * 99999):
        (target / MANIFEST).write_text(broken)
        with pytest.raises(ExportError, match="not part of a yolo export"):
            check_target(target, "yolo", overwrite=True)
