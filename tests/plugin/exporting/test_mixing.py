"""Images that an export replaces by augmented variants."""

from __future__ import annotations

from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

import diffucurate as dc
from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.plugin.exporting.mixing import mixed, variants_in


@pytest.fixture
def family(dataset: fo.Dataset, tmp_path: Path) -> fo.Dataset:
    """Twenty images of one object, the first fifteen with two variants each."""

    def sample(name: str, **more: object) -> fo.Sample:
        path = tmp_path / f"{name}.png"
        Image.fromarray(np.full((8, 8, 3), 9, np.uint8)).save(path)
        box = fo.Detection(label="car", bounding_box=[0, 0, 0.5, 0.5], mask=np.ones((4, 4), bool))
        return fo.Sample(str(path), truth=fo.Detections(detections=[box]), **more)

    parents = dataset.add_samples([sample(f"real{number}") for number in range(20)])
    for number, parent in enumerate(parents[:15]):
        dataset.add_samples(
            [sample(f"variant{number}-{turn}", source_id=parent, tags=["augmented"]) for turn in (0, 1)]
        )
    return dataset


def names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.rglob("*.png"))


def test_all_none_and_some_are_replaced(family: fo.Dataset, tmp_path: Path) -> None:
    for probability, variants in ((0.0, 0), (1.0, 15)):
        out = tmp_path / f"out{probability}"
        summary = dc.export(family, out, format="yolo", source="truth", augmented=probability)
        assert sum(name.startswith("variant") for name in names(out)) == variants and len(names(out)) == 20
        assert f"{variants} of 20 images are augmented variants in place of their own" in summary.notes
    some = [names_of(family, tmp_path / f"some{seed}", seed) for seed in (0, 0, 1)]
    assert some[0] == some[1] != some[2]


def names_of(family: fo.Dataset, out: Path, seed: int) -> list[str]:
    dc.export(family, out, format="yolo", source="truth", augmented=0.5, seed=seed, overwrite=True)
    return names(out)


def test_only_training_images_are_replaced(family: fo.Dataset, tmp_path: Path) -> None:
    dc.export(family, tmp_path / "o", format="yolo", source="truth", augmented=1, splits={"train": 0.5, "val": 0.5})
    assert len(names(tmp_path / "o" / "images" / "train")) == len(names(tmp_path / "o" / "images" / "val")) == 10
    kept = names(tmp_path / "o" / "images" / "val")
    assert all(name.startswith("real") for name in kept)
    parents = {name.replace("variant", "real").split("-")[0] for name in names(tmp_path / "o" / "images" / "train")}
    assert parents.isdisjoint(kept) and len(parents) == 10


def test_the_share_is_near_the_probability() -> None:
    variants = {f"{number}": [f"{number}a", f"{number}b"] for number in range(2000)}
    taken = mixed(variants, None, 0.3, 7)
    replaced = [chosen for image, chosen in taken.items() if chosen != image]
    assert 0.27 < len(replaced) / 2000 < 0.33  # three standard deviations
    assert 0.42 < sum(name.endswith("a") for name in replaced) / len(replaced) < 0.58
    fewer = mixed(dict(list(variants.items())[:50]), None, 0.3, 7)
    assert fewer.items() <= taken.items()


def test_a_curated_view_decides_which_variants_there_are(family: fo.Dataset) -> None:
    gone = family.match_tags("augmented").first().id
    assert all(gone not in own for own in variants_in(family.exclude([gone])).values())


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"augmented": 1.5}, InvalidSetting, "from 0 to 1"),
        ({"augmented": 0.5, "splits": {"a": 0.5, "b": 0.5}}, InvalidSetting, "call the split .* 'train'"),
    ],
)
def test_refused(family, tmp_path, settings, error, words) -> None:
    with pytest.raises(error, match=words):
        dc.export(family, tmp_path / "out", format="yolo", source="truth", **settings)
    assert not (tmp_path / "out").exists()


def test_without_variants(family: fo.Dataset, tmp_path: Path) -> None:
    view = family.match_tags("augmented", bool=False)
    with pytest.raises(DatasetError, match="run augment"):
        dc.export(view, tmp_path / "out", format="yolo", source="truth", augmented=0.5)
