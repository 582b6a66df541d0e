"""Tokens learned from the samples of a dataset, and labels made with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from diffucurate.generator.attention.class_tokens.class_tokens import ClassToken, find_token
from diffucurate.generator.errors import DatasetError, InvalidSetting, ModelError
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.models.token_files import TOKENS_DIR_VARIABLE, token_names
from diffucurate.generator.tiny.scenes import Scene
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.plugin.labelling.label import label
from diffucurate.plugin.store import runs
from diffucurate.plugin.store.classes import mask_targets
from diffucurate.plugin.store.label_fields import LabelField, label_field, learnable_field
from diffucurate.plugin.store.media_files import read_maps
from diffucurate.plugin.tokens.optimize import learn_token, masks_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(TOKENS_DIR_VARIABLE, str(tmp_path / "tokens"))
    return tmp_path / "tokens"


@pytest.fixture
def drawn(dataset: fo.Dataset, add_scenes: Callable[..., None], scenes: list[Scene]) -> fo.Dataset:
    """Scenes with the labels of a source called truth."""
    truth = []
    for scene in scenes[:3]:
        things = [Instance(thing.label, thing.mask, 1.0) for thing in scene.objects]
        truth.append(Labels.from_instances(things, CLASSES, scene.image.shape[:2]))
    add_scenes(scenes[:3], truth=truth)
    return dataset


def seen(scenes: list[Scene]) -> list[str]:
    return sorted({thing.label for scene in scenes for thing in scene.objects})


def test_every_kind_of_label_gives_the_same_masks(drawn: fo.Dataset, scenes: list[Scene]) -> None:
    shape = scenes[0].image.shape[:2]
    for sample, scene in zip(drawn, scenes, strict=False):
        exact = {thing.label: scene.class_mask([thing.label]) > 0 for thing in scene.objects}
        for field, least in (("truth_instances", 1.0), ("truth_mask", 1.0), ("truth_polygons", 0.9)):
            found = masks_of(sample[field], shape, label_field(drawn, field))
            assert sorted(found) == sorted(exact)
            for name, mask in found.items():
                assert (mask & exact[name]).sum() >= least * (mask | exact[name]).sum(), (field, name)


def test_a_field_is_meant_by_its_very_name(drawn: fo.Dataset) -> None:
    """Also where a label source of that name has instances beside it."""
    drawn.clone_sample_field("truth_mask", "truth")
    drawn.mask_targets = {**drawn.mask_targets, "truth": mask_targets(CLASSES)}
    assert learnable_field(drawn, "truth") == LabelField("truth", mask_targets(CLASSES))


def test_a_hole_stays_a_hole() -> None:
    outer, inner = [(0, 0), (1, 0), (1, 1), (0, 1)], [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]
    lines = fo.Polylines(polylines=[fo.Polyline(label="ring", points=[outer, inner], closed=True, filled=True)])
    mask = masks_of(lines, (40, 60), LabelField("lines", {}))["ring"]
    assert mask[2, 2] and not mask[20, 30]


def test_learns_all_classes_of_a_field(drawn: fo.Dataset, scenes: list[Scene], model_folder: str, folder: Path) -> None:
    heard = []
    learned = learn_token(drawn, "truth_instances", name="mine", model=model_folder, progress=heard.append)
    labels = seen(scenes[:3])
    assert sorted(learned) == token_names() == [f"mine-{each}" for each in labels]
    for name, token in learned.items():
        assert f"mine-{token.label}" == name and sorted((*token.provenance.rivals, token.label)) == labels
        assert token.provenance.samples == tuple(drawn.values("id"))
        assert token.provenance.model == model_folder
        assert find_token(name).provenance == token.provenance
    assert heard[-1].done == heard[-1].total == 3
    (key,) = drawn.list_runs(method=runs.method("learn_token"))
    record = runs.read(drawn, key)
    assert record.status == runs.DONE and record.settings["field"] == "truth_instances"
    assert set(record.facts["iou"]) == set(learned)


def test_one_class_of_selected_samples(drawn: fo.Dataset, scenes: list[Scene], model_folder: str, folder: Path) -> None:
    name = scenes[1].objects[0].label
    chosen = drawn.select(drawn.values("id")[1])
    for field in ("truth_mask", "truth_polygons"):
        learned = learn_token(chosen, field, name, model=model_folder, overwrite=field != "truth_mask")
        assert list(learned) == token_names() == [name]
        assert learned[name].provenance.rivals == ()
    with pytest.raises(InvalidSetting, match="a token of that name is there"):
        learn_token(chosen, "truth_mask", name, model=model_folder)
    made = learn_token(chosen, "truth_mask", name, name="another", model=model_folder, folder=folder / "elsewhere")
    assert list(made) == ["another"] and (folder / "elsewhere" / "another.safetensors").is_file()


def test_what_cannot_be_learned_from(
    drawn: fo.Dataset, scenes: list[Scene], model_folder: str, folder: Path, tmp_path: Path
) -> None:
    for field, classes, words in (
        ("prompt", None, "no field 'prompt' of detections.*: truth_instances, truth_mask, truth_polygons"),
        ("gone", None, "no field 'gone'"),
        ("truth_mask", "piano", "no sample shows 'piano' in 'truth_mask', which holds"),
    ):
        with pytest.raises(DatasetError, match=words):
            learn_token(drawn, field, classes, model=model_folder)
    drawn.clone_sample_field("truth_mask", "unnamed")
    with pytest.raises(DatasetError, match="does not say what the ids in 'unnamed' mean"):
        learn_token(drawn, "unnamed", model=model_folder)
    drawn.clone_sample_field("truth_instances", "nothing")
    drawn.clear_sample_field("nothing")
    with pytest.raises(DatasetError, match="no sample has labels in 'nothing'"):
        learn_token(drawn, "nothing", model=model_folder)
    with pytest.raises(InvalidSetting, match="use letters"):
        learn_token(drawn, "truth_mask", name="../car", model=model_folder)
    box = fo.Detections(detections=[fo.Detection(label="car", bounding_box=[0, 0, 1, 1])])
    sample = drawn.first()
    sample["boxes"] = box
    sample.save()
    with pytest.raises(DatasetError, match="has no mask, only a box"):
        learn_token(drawn, "boxes", model=model_folder)
    sample.filepath = str(tmp_path / "gone.png")
    sample.save()
    with pytest.raises(DatasetError, match="cannot be read"):
        learn_token(drawn, "truth_mask", model=model_folder)
    assert token_names() == []


def test_samples_with_labels_that_cannot_be_read_are_named_and_the_rest_goes_on(
    drawn: fo.Dataset, model_folder: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The pixels of a label that is left out would be learned as something else, so its image is."""
    bad, gone, good = drawn
    bad.truth_instances.detections[0].bounding_box = [float("nan"), 0, 1, 1]
    gone.truth_instances.detections[0].mask = None
    gone.truth_instances.detections[0].mask_path = "/nowhere/mask.png"
    for sample in (bad, gone):
        sample.save()
    learned = learn_token(drawn, "truth_instances", model=model_folder)
    assert set(learned) == {each.label for each in good.truth_instances.detections}
    (key,) = drawn.list_runs(method=runs.method("learn_token"))
    failed = runs.read(drawn, key).facts["failed"]
    assert list(failed) == [bad.id, gone.id] and all(reason in caplog.text for reason in failed.values())
    assert "no finite number" in failed[bad.id] and "its mask cannot be read" in failed[gone.id]
    with pytest.raises(DatasetError, match=r"no labels in 'truth_instances' can be used: .*no finite number"):
        learn_token(drawn[:2], "truth_instances", model=model_folder)


def test_labels_by_tokens(drawn: fo.Dataset, scenes: list[Scene], model_folder: str, folder: Path) -> None:
    """The model looks again, also where maps are kept, and the token's class has another map."""
    name = scenes[0].objects[0].label
    label(drawn, source="attention", model=model_folder)
    before = [read_maps(path) for path in drawn.values("attention_maps")]
    learn_token(drawn, "truth_mask", name, name="token", model=model_folder)
    label(drawn, source="attention", tokens=["token"])  # by the model that the token was learned with
    after = [read_maps(path) for path in drawn.values("attention_maps")]
    assert name in before[0]
    for maps, others in zip(before, after, strict=True):
        assert list(maps) == list(others)
        assert name not in maps or not np.allclose(maps[name], others[name], atol=1e-3)
    key = max(drawn.list_runs(method=runs.method("label")))
    record = runs.read(drawn, key).settings
    assert record["tokens"] == ["token"] and record["settings"]["edges"] == "network"


def test_tokens_that_do_not_fit(drawn: fo.Dataset, scenes: list[Scene], model_folder: str, folder: Path) -> None:
    name = scenes[0].objects[0].label
    token: ClassToken = learn_token(drawn, "truth_mask", name, name="one", model=model_folder)["one"]
    token.save(folder / "two.safetensors")
    for source, tokens, classes, words in (
        ("attention", ["none"], None, "no token of that name"),
        ("attention", ["one", "two"], None, f"another one finds '{name}' too"),
        ("attention", ["one"], ["piano"], f"it finds '{name}', which is none of the classes"),
        ("yolov8", ["one"], None, "does not take it"),
    ):
        with pytest.raises(InvalidSetting, match=words):
            label(drawn, source=source, tokens=tokens, classes=classes)
    with pytest.raises(ModelError, match="whose layers are not those"):
        label(drawn, source="attention", tokens=["one"], model="tiny")


def test_a_class_without_pixels(dataset: fo.Dataset, tmp_path: Path, model_folder: str, folder: Path) -> None:
    from diffucurate.plugin.store.media_files import write_png

    image = write_png(tmp_path / "one.png", np.zeros((64, 64, 3), np.uint8))
    sample = fo.Sample(filepath=str(image), drawn=fo.Polylines(polylines=[fo.Polyline(label="car", points=[])]))
    dataset.add_sample(sample)
    with pytest.raises(DatasetError, match="'car' was left out: its outline has no pixels in the image"):
        learn_token(dataset, "drawn", model=model_folder)
