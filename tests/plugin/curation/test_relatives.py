"""Relatives stay in one split, and near copies in two splits are found."""

from __future__ import annotations

from collections import Counter

import fiftyone as fo
import numpy as np
import pytest

from diffucurate.generator.errors import InvalidSetting
from diffucurate.plugin.curation.relatives import leaks, relatives, split_samples
from diffucurate.plugin.store.media_files import write_png


@pytest.fixture
def family(dataset, tmp_path):
    """Twelve images: three of each of four prompts, with seeds 0 to 2; the last two were painted from the first."""
    chance, samples = np.random.default_rng(3), []
    for index in range(12):
        levels = np.repeat(np.repeat(chance.integers(0, 256, (8, 8, 3), np.uint8), 4, 0), 4, 1)
        path = write_png(tmp_path / f"{index}.png", levels)
        samples.append(fo.Sample(str(path), prompt=f"prompt {index // 3}", seed=index % 3))
    ids = dataset.add_samples(samples)
    dataset.add_sample_field("source_id", fo.StringField)
    dataset.set_values("source_id", {ids[10]: ids[0], ids[11]: ids[10]}, key_field="id")
    return dataset


def sizes(dataset, *together):
    return sorted(Counter(relatives(dataset, dataset.values("id"), together).values()).values())


def test_what_makes_relatives(family):
    assert sizes(family) == [1] * 12
    assert sizes(family, "parent") == [1] * 9 + [3]
    assert sizes(family, "prompt") == [3] * 4
    assert sizes(family, "seed") == [4] * 3
    assert sizes(family, "parent", "prompt") == [3, 3, 6]
    assert sizes(family, "prompt", "seed") == [12]
    assert sizes(family, "near") == [1] * 12


def test_relatives_are_in_one_split(family):
    ids = family.values("id")
    splits = split_samples(family, ids, {"train": 0.5, "val": 0.5}, ["prompt"])
    assert Counter(splits.values()) == {"train": 6, "val": 6}
    by_prompt = {(prompt, splits[each]) for each, prompt in zip(ids, family.values("prompt"), strict=True)}
    assert len(by_prompt) == 4
    one = split_samples(family, ids, {"train": 0.5, "val": 0.5})
    assert one[ids[0]] == one[ids[10]] == one[ids[11]]


def test_siblings_of_a_parent_elsewhere_are_relatives(family):
    ids = family.values("id")
    splits = relatives(family, ids[1:], ["parent"])
    assert splits[ids[10]] == splits[ids[11]] != splits[ids[1]]
    family.set_values("source_id", {ids[3]: "gone", ids[7]: "gone"}, key_field="id")
    assert len(set(relatives(family, ids).values())) == 9


def test_copies_in_two_splits_are_leaks(family, tmp_path):
    first = family.first()
    copy = family.add_sample(fo.Sample(str(write_png(tmp_path / "copy.png", _brighter(first.filepath)))))
    ids = family.values("id")
    splits = {each: "val" if each == copy else "train" for each in ids}
    assert set(leaks(family, splits)) == {first.id, copy}
    assert leaks(family, dict.fromkeys(ids, "train")) == []
    apart = split_samples(family, ids, {"train": 0.7, "val": 0.3}, ["near"])
    assert apart[first.id] == apart[copy] and leaks(family, apart) == []


def _brighter(path):
    from diffucurate.plugin.store.media_files import read_image

    return np.clip(read_image(path).astype(np.int32) + 2, 0, 255).astype(np.uint8)


def test_unknown_relatives_are_refused(family):
    with pytest.raises(InvalidSetting, match="together: 'cousins' - name some of parent, prompt, seed, near"):
        relatives(family, family.values("id"), ["cousins"])
