"""What killed runs leave is removed by the next one, and counted by the doctor; nothing of a run that lives is."""

from __future__ import annotations

import inspect
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from killed import killed_while_writing

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.plugin.cli.leftovers import leftover_check, leftovers
from diffucurate.plugin.cli.running import run
from diffucurate.plugin.environment import doctor
from diffucurate.plugin.labelling.label import label
from diffucurate.plugin.store.media_files import write_png
from diffucurate.plugin.store.media_folder import media_folder
from diffucurate.plugin.store.run_files import YOUNG_SECONDS, clear_dead_runs, marked_run, stray_files
from diffucurate.plugin.store.runs import new_key


class LeftHalf:
    name = "truth"

    def label(self, images):
        found = []
        for image in images:
            mask = np.zeros(image.shape[:2], np.bool_)
            mask[:, :4] = True
            found.append(Labels.from_instances([Instance("car", mask, 0.5)], ("car",), mask.shape))
        return found


#: The same for a process of its own.
_SOURCE = f"""
import numpy as np
from diffucurate.generator.labels.model import Instance, Labels

{inspect.getsource(LeftHalf)}
"""


@pytest.fixture
def photographs(tmp_path: Path) -> Iterator[fo.Dataset]:
    dataset = fo.Dataset(persistent=True)  # another process reads it
    for index in range(4):
        path = write_png(tmp_path / f"{index}.png", np.full((8, 8, 3), index, np.uint8))
        dataset.add_sample(fo.Sample(filepath=str(path)))
    yield dataset
    dataset.delete()


def written(dataset: fo.Dataset) -> set[str]:
    """Files of samples, and what is left of such."""
    folder = media_folder(dataset)
    return {str(path) for path in folder.rglob("*") if path.is_file() and (folder / "running") not in path.parents}


def named(dataset: fo.Dataset) -> set[str]:
    return set(dataset.values("truth_mask.mask_path"))


def old(*paths: Path | str) -> None:
    moment = time.time() - 2 * YOUNG_SECONDS
    for path in paths:
        os.utime(path, (moment, moment))


@pytest.mark.parametrize("young", [True, False])
def test_the_next_run_clears_what_a_killed_one_left(photographs: fo.Dataset, young: bool) -> None:
    """Killed while its third mask was half written: two samples have new masks, whose old ones nobody names."""
    label(photographs, source=LeftHalf())
    first = named(photographs)
    if not young:
        old(*first)
    code = _SOURCE + "import diffucurate, fiftyone as fo\n"
    code += "diffucurate.label(fo.load_dataset(sys.argv[2]), source=LeftHalf())"
    killed_while_writing(3, code, photographs.name)
    photographs.reload()
    left = written(photographs) - named(photographs)
    assert len(left) == 3 and len(left & first) == 2 and sum(path.endswith(".part") for path in left) == 1
    label(photographs, source=LeftHalf())
    assert written(photographs) == named(photographs) and len(named(photographs)) == 4
    assert list((media_folder(photographs) / "running").iterdir()) == []


def test_files_of_a_run_that_lives_and_files_of_others_stay(photographs: fo.Dataset, tmp_path: Path) -> None:
    folder, dead, alive = media_folder(photographs), new_key("label"), new_key("label")
    pixels = np.zeros((8, 8), np.uint8)
    with marked_run(folder, alive):
        mine = write_png(folder / "truth_mask" / f"a-{alive}.png", pixels)
        theirs = write_png(folder / "truth_mask" / f"a-{dead}.png", pixels)
        shared = write_png(folder / "truth_mask" / f"b-{dead}.png", pixels)
        notes = write_png(folder / "truth_mask" / "notes.png", pixels)
        image = write_png(folder / "images" / f"c-{new_key('generate')}.png", pixels)
        old(notes, image)
        other = fo.Dataset()
        other.add_sample(fo.Sample(filepath=str(shared)))
        (folder / "running" / dead).mkdir()
        clear_dead_runs(folder)
        assert not theirs.exists()
        assert all(path.exists() for path in (mine, shared, notes, image))
        assert [path.name for path in (folder / "running").iterdir()] == [alive]
        other.delete()
    assert list((folder / "running").iterdir()) == []


def test_the_doctor_counts_what_nobody_names_and_clears_it_on_request(
    photographs: fo.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    label(photographs, source=LeftHalf())
    dataset_files, folder = named(photographs), media_folder(photographs)
    target = tmp_path / "out" / "yolo"
    photographs.set_values("truth_instances.detections.confidence", [[0.5]] * 4)
    from diffucurate.plugin.exporting.export import export

    export(photographs, target, format="yolo", source="truth")
    whole = {path for path in target.rglob("*") if path.is_file()}
    unfinished = target.parent / ".yolo-new-abc"
    unfinished.mkdir()
    (unfinished / ".diffucurate-export.json").write_text(
        json.dumps({"diffucurate": 1, "format": "yolo", "complete": False, "files": {}})
    )
    by_hand = target.parent / ".yolo-new-mine"
    by_hand.mkdir()
    stray = write_png(folder / "truth_mask" / f"x-{new_key('label')}.png", np.zeros((8, 8), np.uint8))
    half = folder / "images" / f"x-{new_key('generate')}.png.part"
    half.parent.mkdir()
    half.write_bytes(b"half")
    young = write_png(folder / "truth_mask" / f"y-{new_key('label')}.png", np.zeros((8, 8), np.uint8))
    old(stray, half, *dataset_files)
    assert set(stray_files(folder)) == {stray, half}
    found = leftovers()
    assert {stray, half} <= set(found.files) and found.beside == [unfinished] and found.targets == [target]
    warning = leftover_check(clear=False)
    assert warning.state == "warn" and "1 folders of killed exports" in warning.detail and stray.exists()
    monkeypatch.setattr(doctor, "checks", lambda: iter([doctor.Check("database", "ok", "fine")]))
    assert run(["doctor"]) == 0
    assert "-> diffucurate doctor --clear" in capfd.readouterr().out
    assert run(["doctor", "--clear"]) == 0
    assert "cleared" in capfd.readouterr().out
    assert not stray.exists() and not half.exists() and not unfinished.exists()
    assert young.exists() and by_hand.exists() and all(Path(path).exists() for path in dataset_files)
    assert {path for path in target.rglob("*") if path.is_file()} == whole
    assert leftover_check(clear=False).state == "ok"


def test_a_disk_that_cannot_be_written_is_one_sentence(
    photographs: fo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffucurate.plugin.store import media_files

    def full(path: Path, content: bytes) -> Path:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(media_files, "write_bytes", full)
    with pytest.raises(DatasetError, match=r"truth_mask/.*\.png' cannot be written: No space left on device"):
        label(photographs, source=LeftHalf())
    monkeypatch.undo()
    label(photographs, source=LeftHalf())
    assert written(photographs) == named(photographs)
