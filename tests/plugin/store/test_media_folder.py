"""A dataset's own folder: made once, by this installation, for this dataset, and for no other."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo
import pytest

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.files.atomic import write_bytes
from diffucurate.plugin.store.media_folder import is_inside, media_folder, remove_unnamed


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DIFFUCURATE_MEDIA_DIR", str(tmp_path / "media"))
    return tmp_path / "media"


@pytest.fixture
def cars(root: Path) -> Iterator[fo.Dataset]:
    made = fo.Dataset("Own cars")
    yield made
    for name in [name for name in fo.list_datasets() if name.startswith("Own cars")]:
        fo.delete_dataset(name)


def test_it_is_chosen_once_and_inside(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = fo.Dataset("../../Up and away")
    try:
        assert media_folder(dataset) == root / "up-and-away" == Path(dataset.info["diffucurate"]["media_folder"])
        monkeypatch.setenv("DIFFUCURATE_MEDIA_DIR", "/elsewhere")
        dataset.name = "renamed"
        assert media_folder(dataset) == root / "up-and-away"
        shutil.rmtree(root)
        assert media_folder(dataset).is_dir()
    finally:
        dataset.delete()


def test_a_clone_and_an_import_get_their_own(cars: fo.Dataset, root: Path, tmp_path: Path) -> None:
    cars.add_sample(fo.Sample(filepath=str(media_folder(cars) / "a.png")))
    clone = cars.clone("Own cars copy")
    assert clone.info["diffucurate"]["media_folder"] == str(root / "own-cars")  # what it says of itself is data
    assert media_folder(clone) == root / "own-cars-copy"
    cars.export(str(tmp_path / "moved"), fo.types.FiftyOneDataset, export_media=False)
    cars.delete()
    moved = fo.Dataset.from_dir(str(tmp_path / "moved"), fo.types.FiftyOneDataset, name="Own cars", persistent=True)
    assert media_folder(moved) == root / "own-cars-2"  # its samples and the clone's name files in the first one


def test_a_folder_that_was_there_is_nobodys(cars: fo.Dataset, root: Path) -> None:
    mine = write_bytes(root / "own-cars" / "thesis.png", b"")
    assert media_folder(cars) == root / "own-cars-2"
    assert mine.exists()


def test_the_folder_of_a_deleted_dataset_is_used_again_unless_samples_name_its_files(
    cars: fo.Dataset, root: Path
) -> None:
    file = write_bytes(media_folder(cars) / "a.png", b"")
    clone = cars.clone("Own cars copy")
    clone.add_sample(fo.Sample(filepath=str(file)))
    for name, folder in (("Own cars", "own-cars-2"), ("Own cars", "own-cars-2")):
        fo.delete_dataset(name)
        assert media_folder(fo.Dataset(name)) == root / folder
    clone.delete()
    fo.delete_dataset("Own cars")
    assert media_folder(fo.Dataset("Own cars")) == root / "own-cars"


def test_what_a_dataset_says_of_folders_is_not_believed(cars: fo.Dataset, root: Path, tmp_path: Path) -> None:
    for said in ({"media_folder": str(tmp_path)}, {"media_folder": 3}, [], "text", None):
        cars.info["diffucurate"] = said
        cars.save()
        assert media_folder(cars) == root / "own-cars"
    assert media_folder(cars.clone("Own cars copy")) == root / "own-cars-copy"


def test_a_folder_that_cannot_be_made_is_named_and_not_remembered(
    cars: fo.Dataset, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIFFUCURATE_MEDIA_DIR", "/proc/nowhere")
    with pytest.raises(DatasetError, match=r"'/proc/nowhere' cannot be made: .*; free it, or set DIFFUCURATE"):
        media_folder(cars)
    monkeypatch.setenv("DIFFUCURATE_MEDIA_DIR", str(root))
    assert media_folder(cars) == root / "own-cars"


def _first(name: str, barrier: object, folders: object) -> None:
    dataset = fo.load_dataset(name)
    barrier.wait()
    folders.put(str(media_folder(dataset)))


def test_two_processes_agree_on_the_folder(cars: fo.Dataset, root: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, folders = context.Barrier(2), context.Queue()
    both = [context.Process(target=_first, args=(cars.name, barrier, folders)) for _ in range(2)]
    for process in both:
        process.start()
    found = {folders.get(timeout=60) for _ in both}
    for process in both:
        process.join()
    assert found == {str(media_folder(cars))}
    assert [path.name for path in root.iterdir()] == [media_folder(cars).name]


def test_only_files_inside_that_nobody_names_are_removed(cars: fo.Dataset, root: Path, tmp_path: Path) -> None:
    folder, outside = media_folder(cars), write_bytes(tmp_path / "b", b"")
    free, image, of_other = (write_bytes(folder / name, b"") for name in ("free", "image", "of_other"))
    (folder / "link").symlink_to(tmp_path)
    cars.add_sample(fo.Sample(filepath=str(image)))
    other = fo.Dataset("Own cars other")
    other.add_sample(
        fo.Sample(filepath="/x.png", found=fo.Detections(detections=[fo.Detection(mask_path=str(of_other))]))
    )
    paths = [free, image, of_other, outside, folder / ".." / ".." / "b", folder / "link" / "b", folder / "gone"]
    remove_unnamed([None, *map(str, paths)], folder)
    assert not free.exists()
    assert image.exists() and of_other.exists() and outside.exists()
    assert not is_inside(folder / "link" / "b", folder) and not is_inside(folder / "..", folder)


def test_a_folder_that_nobody_can_write_to_is_not_remembered(
    cars: fo.Dataset, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bytes(tmp_path / "file", b"")
    monkeypatch.setenv("DIFFUCURATE_MEDIA_DIR", str(tmp_path / "file" / "below"))
    with pytest.raises(DatasetError, match=r"the media folder '.*file.*' cannot be made: .*DIFFUCURATE_MEDIA_DIR"):
        media_folder(cars)
    monkeypatch.setenv("DIFFUCURATE_MEDIA_DIR", str(tmp_path / "disk"))
    assert media_folder(cars) == tmp_path / "disk" / "own-cars"
    shutil.rmtree(tmp_path / "disk")  # as where a disk was taken out
    write_bytes(tmp_path / "disk", b"")
    monkeypatch.setenv("DIFFUCURATE_MEDIA_DIR", str(root))
    assert media_folder(cars) == root / "own-cars" == media_folder(cars)
    cars.add_sample(fo.Sample(filepath=str(root / "own-cars" / "a.png")))
    shutil.rmtree(root)
    write_bytes(root, b"")
    monkeypatch.setenv("DIFFUCURATE_MEDIA_DIR", str(tmp_path / "third"))
    with pytest.raises(DatasetError, match="cannot be made"):  # where samples have files, they belong together
        media_folder(cars)
