from __future__ import annotations

import logging
import shutil
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from killed import killed_while_writing
from PIL import Image

from diffucurate.generator.errors import DatasetError, InvalidSetting, ModelError
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.labels.settings import LabelSettings, YoloSettings
from diffucurate.generator.tiny import yolo_path
from diffucurate.generator.tiny.scenes import Scene
from diffucurate.plugin.comparison.compare import compare
from diffucurate.plugin.generation.generate import generate
from diffucurate.plugin.labelling.label import label
from diffucurate.plugin.labelling.plan import plan
from diffucurate.plugin.labelling.preview import preview
from diffucurate.plugin.store.classes import read_classes
from diffucurate.plugin.store.label_values import instances_of
from diffucurate.plugin.store.media_files import read_maps, read_stored_maps, write_maps, write_png
from diffucurate.plugin.store.media_folder import media_folder


class Reference:
    """A label source of one's own: it knows the rendered scenes by heart."""

    name = "truth"

    def __init__(self, scenes: list[Scene], classes: tuple[str, ...]) -> None:
        self._scenes, self._classes = scenes, classes

    def label(self, images):
        return [self._labels(next(s for s in self._scenes if np.array_equal(s.image, image))) for image in images]

    def _labels(self, scene: Scene) -> Labels:
        instances = [Instance(t.label, t.mask, 0.75) for t in scene.objects if t.label in self._classes]
        return Labels.from_instances(instances, self._classes, scene.image.shape[:2])


@pytest.fixture
def photographs(dataset, scenes, tmp_path) -> fo.Dataset:
    """Images of the user's own: no classes, no prompts, nothing of ours."""
    dataset.add_samples(
        [fo.Sample(filepath=str(write_png(tmp_path / f"{i}.png", scene.image))) for i, scene in enumerate(scenes[:3])]
    )
    return dataset


@pytest.fixture(scope="module")
def painted_once(model_folder) -> fo.Dataset:
    recipe = {
        "dataset": "painted for labels",
        "model": model_folder,
        "size": [64, 64],
        "steps": 2,
        "seeds": 3,
        "classes": {"car": ["car"], "tree": ["tree"]},
        "templates": ["a red car and a green tree"],
    }
    made = generate(recipe)
    yield made
    made.delete()


@pytest.fixture
def painted(painted_once) -> fo.Dataset:
    return painted_once


def masks(dataset: fo.Dataset, source: str) -> list[list[tuple[str, bytes]]]:
    found = []
    for sample in dataset:
        shape = (sample.metadata.height, sample.metadata.width)
        found.append([(i.label, i.mask.tobytes()) for i in instances_of(sample[f"{source}_instances"], shape)])
    return found


def files_of(dataset: fo.Dataset, field: str) -> list[Path]:
    return [Path(path) for path in dataset.values(f"{field}.mask_path")]


def test_source_of_ones_own_labels_exactly(photographs, scenes):
    classes = ("bus", "car", "truck", "person", "tree")
    reports = []
    assert label(photographs, source=Reference(scenes, classes), progress=reports.append) is photographs
    for sample, scene in zip(photographs, scenes, strict=False):
        expected = [thing for thing in scene.objects if thing.label in classes]
        found = instances_of(sample.truth_instances, scene.image.shape[:2])
        assert [thing.label for thing in expected] == [instance.label for instance in found]
        assert all(np.array_equal(a.mask, b.mask) for a, b in zip(expected, found, strict=True))
        semantic = np.asarray(Image.open(sample.truth_mask.mask_path))
        assert np.array_equal(semantic, scene.class_mask(classes))
    assert photographs.mask_targets["truth_mask"] == dict(enumerate(classes, start=1))
    assert [(r.done, r.total) for r in reports] == [(1, 3), (2, 3), (3, 3)]
    assert "truth_instances" in photographs.app_config.active_fields.paths


def test_ids_of_an_earlier_source_stay(photographs, scenes):
    label(photographs, source=Reference(scenes, ("car",)), classes=["house", "car"])
    label(photographs, source=Reference(scenes, ("bus", "car", "truck", "person")))
    assert photographs.mask_targets["truth_mask"] == {1: "house", 2: "car", 3: "bus", 4: "truck", 5: "person"}
    for sample, scene in zip(photographs, scenes, strict=False):
        semantic = np.asarray(Image.open(sample.truth_mask.mask_path))
        assert np.array_equal(semantic, scene.class_mask(("house", "car", "bus", "truck", "person")))


def test_new_labels_go_to_new_files_and_the_old_ones_go(photographs, scenes):
    source = Reference(scenes, ("car", "bus"))
    label(photographs, source=source)
    first = files_of(photographs, "truth_mask")
    label(photographs.limit(1), source=source)
    second = files_of(photographs, "truth_mask")
    assert second[0] != first[0] and not first[0].exists() and second[0].exists()
    assert second[1:] == first[1:]  # outside of the view nothing changes
    assert sorted(media_folder(photographs).rglob("*.png")) == sorted(second)


def test_files_outside_the_media_folder_are_never_removed(photographs, scenes, tmp_path):
    mine = write_png(tmp_path / "mine" / "mask.png", np.zeros((128, 128), np.uint8))
    label(photographs, source=Reference(scenes, ("car",)))
    sample = photographs.first()
    sample["truth_mask"] = fo.Segmentation(mask_path=str(mine))
    sample.save()
    label(photographs, source=Reference(scenes, ("car",)))
    assert mine.exists()


def test_unreadable_images_are_named_and_the_rest_goes_on(photographs, scenes, caplog):
    gone, broken, _ = photographs.values("filepath")
    Path(gone).unlink()
    Path(broken).write_bytes(b"no image")
    reports = []
    with caplog.at_level(logging.WARNING):
        label(photographs, source=Reference(scenes, ("car",)), progress=reports.append)
    assert gone in caplog.text and broken in caplog.text
    assert [sample.truth_mask is not None for sample in photographs] == [False, False, True]
    assert reports[-1].done == 3 and sum(bool(report.note) for report in reports) == 2
    with pytest.raises(DatasetError, match="none of the 1 images can be read"):
        label(photographs.limit(1), source=Reference(scenes, ("car",)))


def test_agreement_with_old_labels_is_cleared(photographs, scenes):
    one, two = Reference(scenes, ("car",)), Reference(scenes, ("car",))
    one.name, two.name = "one", "two"
    label(photographs, source=one)
    label(photographs, source=two)
    compare(photographs, "one", "two")
    label(photographs.limit(1), source=two)
    assert photographs.values("agreement_one_two") == [None, 1.0, 1.0]


def test_painted_images_are_labelled_again_from_their_maps(painted, monkeypatch):
    from diffucurate.generator.sources.attention_source import AttentionSource

    def never(*_: object) -> None:
        raise AssertionError("no model is needed where maps were kept")

    monkeypatch.setattr(AttentionSource, "label", never)
    before, maps = masks(painted, "attention"), painted.values("attention_maps")
    files = files_of(painted, "attention_mask")
    label(painted, source="attention")
    assert masks(painted, "attention") == before  # the same settings give the same labels, to the pixel
    assert painted.values("attention_maps") == maps
    assert not set(files) & set(files_of(painted, "attention_mask"))
    assert not any(path.exists() for path in files)
    label(painted, source="attention", settings=LabelSettings(floor=0.9, surround=0.0))
    assert masks(painted, "attention") != before
    label(painted, source="attention", classes=["tree"])
    assert set(painted.distinct("attention_instances.detections.label")) <= {"tree"}
    values = set(np.unique([np.asarray(Image.open(path)) for path in files_of(painted, "attention_mask")]))
    assert 2 in values and values <= {0, 2}  # the id of "tree" in the dataset, not in the call
    label(painted, source="attention")
    assert masks(painted, "attention") == before


def test_kept_maps_travel_with_the_images_and_their_loss_is_said(painted, tmp_path, model_folder):
    """A model that did not paint an image labels it only where it is named."""
    copy = painted.clone()
    try:
        before = masks(copy, "attention")
        for name in ("images", "maps"):
            (tmp_path / "moved" / name).mkdir(parents=True)
        for sample in copy:  # as a folder that was moved, and maps that are named where they were
            for path in (sample.filepath, sample.attention_maps):
                shutil.copy(path, tmp_path / "moved" / Path(path).parent.name / Path(path).name)
            sample.filepath = str(tmp_path / "moved" / "images" / Path(sample.filepath).name)
            sample.attention_maps = f"/nowhere/maps/{Path(sample.attention_maps).name}"
            sample.save()
        label(copy, source="attention")
        assert masks(copy, "attention") == before
        shutil.rmtree(tmp_path / "moved" / "maps")
        runs = copy.list_runs()
        for values in (copy.values("attention_maps"), [None] * len(copy)):
            copy.set_values("attention_maps", values)
            with pytest.raises(DatasetError, match=rf"{len(copy)} of {len(copy)} images have lost their heatmaps"):
                label(copy, source="attention")
        assert masks(copy, "attention") == before and copy.list_runs() == runs
        label(copy, source="attention", model=model_folder)
        assert all(Path(path).is_file() for path in copy.values("attention_maps"))
    finally:
        copy.delete()


def test_a_named_model_looks_at_images_unless_it_made_their_maps(painted, model_folder, tmp_path):
    """What the run records is what made the labels; each file of maps says which model made it."""
    copy, other = painted.clone(), shutil.copytree(model_folder, tmp_path / "other")
    try:
        before = copy.values("attention_maps")
        assert {read_stored_maps(path).model for path in before} == {model_folder}
        for model, looked_at in ((f"{model_folder}/", 0), (str(other), 3), (str(other), 0), (None, 0)):
            label(copy, source="attention", model=model)
            latest = max(map(copy.get_run_info, copy.list_runs()), key=lambda info: info.timestamp)
            assert (latest.config.settings["model"], latest.config.facts["looked_at"]) == (model, looked_at)
        assert {read_stored_maps(path).model for path in copy.values("attention_maps")} == {str(other)}
        # Files of earlier versions say nothing: those that bear the job's id are the painter's.
        for path in (*before, *copy.values("attention_maps")):
            write_maps(Path(path), read_maps(path))
        label(copy, source="attention", model=str(other))
        assert {read_stored_maps(path).model for path in copy.values("attention_maps")} == {str(other)}
        copy.set_values("attention_maps", before)
        label(copy, source="attention", model=model_folder)
        assert copy.values("attention_maps") == before
        with pytest.raises(ModelError, match="neither a folder nor a file"):
            label(copy, source="attention", model="/no/such/model")
    finally:
        copy.delete()


def test_no_model_looks_at_photographs_unless_it_is_named(photographs, painted):
    with pytest.raises(DatasetError, match=r"3 of 3 images were not painted by the model .*name one \(model; 'tiny'"):
        label(photographs, source="attention", classes=["car"])
    assert photographs.list_runs() == [] and read_classes(photographs) == {}
    assert (plan(photographs, "attention").foreign, plan(painted, "attention").foreign) == (3, 0)


def _broken(path: Path, how: str) -> None:
    content = path.read_bytes()
    path.unlink()
    if how == "folder":
        path.mkdir()
    elif how != "gone":
        path.write_bytes({"empty": b"", "truncated": content[:-5], "text": b"no maps"}[how])


@pytest.mark.parametrize("how", ["empty", "truncated", "text", "folder", "gone"])
def test_maps_that_cannot_be_read_are_named_or_made_anew(painted, model_folder, caplog, how):
    copy = painted.clone()
    try:
        label(copy, source="attention", contrast=True)  # so that it has files of its own
        broken = Path(copy.first().attention_maps)
        _broken(broken, how)
        if how in ("folder", "gone"):
            with pytest.raises(DatasetError, match="1 of 3 images have lost their heatmaps"):
                label(copy, source="attention")
        else:
            before = copy.first().attention_mask.mask_path
            label(copy, source="attention")
            assert str(broken) in caplog.text and copy.first().attention_mask.mask_path == before
            with pytest.raises(DatasetError, match="none of the 1 images can be read"):
                label(copy.limit(1), source="attention")
            with pytest.raises(DatasetError, match=r"the heatmaps of .* cannot be read"):
                preview(copy.first())
        label(copy, source="attention", model=model_folder)
        assert set(read_maps(copy.first().attention_maps)) == {"car", "tree"}
    finally:
        copy.delete()


def test_attention_looks_at_photographs(photographs, model_folder):
    label(photographs, source="attention", model=model_folder, classes={"car": ["car", "sedan"], "tree": ["tree"]})
    for sample in photographs:
        assert Path(sample.attention_maps).is_file()
        assert np.asarray(Image.open(sample.heatmap_car.map_path)).shape == (128, 128)
        assert sample.heatmap_tree is not None and sample.attention_instances is not None
    before = set(media_folder(photographs).rglob("*.*"))
    assert len(before) == 3 * 4  # maps, two heatmaps and a mask each
    label(photographs, source="attention", model=model_folder, classes=["bus"])  # which the maps lack
    sample = photographs.first()
    assert sample.heatmap_bus is not None and sample.heatmap_car is None
    after = set(media_folder(photographs).rglob("*.*"))
    assert len(after) == 3 * 3 and not after & before


def test_contrast_is_asked_for_where_the_prompt_is_known(photographs, model_folder):
    photographs.set_values("prompt", ["a red car", "a car", None])
    photographs.set_values("model", ["some camera"] * 3)  # says nothing of who painted them
    found = {}
    for contrast in (None, True, False):
        label(photographs, source="attention", model=model_folder, classes=["car"], contrast=contrast)
        found[contrast] = [read_maps(path)["car"] for path in photographs.values("attention_maps")]
        for sample in photographs:  # so that it is looked at again
            Path(sample.attention_maps).unlink()
    for usual, always, never, asked in zip(*found.values(), (True, True, False), strict=True):
        # Half precision, and the rounding of other batches, which maps normalised to [0, 1] multiply.
        np.testing.assert_allclose(usual, always if asked else never, atol=3e-3)
        assert not np.allclose(always, never, atol=6e-3)
    settings = [photographs.get_run_info(key).config.settings for key in photographs.list_runs()]
    assert [made["contrast"] for made in settings] == [None, True, False]
    with pytest.raises(DatasetError, match="were not painted by the model that would look at them"):
        label(photographs.limit(1), source="attention", classes=["car"], contrast=True)
    with pytest.raises(InvalidSetting, match="contrast: True - source 'yolov8' does not take it"):
        label(photographs, source="yolov8", contrast=True)


def test_contrast_looks_at_painted_images_again_with_the_model_that_painted_them(painted, model_folder):
    again = painted.clone()
    try:
        label(again, source="attention", contrast=True)
        looked = again.values("attention_maps")
        assert not set(painted.values("attention_maps")) & set(looked)
        assert again.get_run_info(again.list_runs()[-1]).config.settings["model"] == model_folder
        again.set_values("model", [model_folder, "owner/other", model_folder])
        with pytest.raises(InvalidSetting, match="name the model that is to look at them"):
            label(again, source="attention", contrast=True)
        label(again, source="attention", contrast=True, model=model_folder)
        assert not set(looked) & set(again.values("attention_maps"))
    finally:
        again.delete()


def test_a_photographs_prompt_decides_what_is_looked_for(photographs, model_folder):
    photographs.set_values("prompt", ["a red car", "nothing at all", None])
    label(photographs, source="attention", model=model_folder, classes=["car", "tree"])
    looked = [(s.heatmap_car is not None, s.heatmap_tree is not None) for s in photographs]
    assert looked == [(True, False), (False, False), (True, True)]
    assert [s.attention_instances is not None for s in photographs] == [True, True, True]


@pytest.mark.skipif(not yolo_path().is_file(), reason="the built-in YOLOv8 is not trained yet")
def test_yolov8_labels_with_the_datasets_own_classes(photographs, scenes):
    label(photographs, source="yolov8", classes={"vehicle": ["car", "bus", "truck"], "tree": ["tree"]})
    assert photographs.mask_targets["yolov8_mask"] == {1: "vehicle", 2: "tree"}
    assert set(photographs.distinct("yolov8_instances.detections.label")) <= {"vehicle", "tree"}
    wanted = sum(thing.label in ("car", "bus", "truck", "tree") for scene in scenes[:3] for thing in scene.objects)
    assert wanted and photographs.count("yolov8_instances.detections") > 0


@pytest.mark.skipif(not yolo_path().is_file(), reason="the built-in YOLOv8 is not trained yet")
def test_yolov8_keeps_what_its_settings_say(photographs, scenes):
    classes = ["car", "bus", "truck", "person", "tree"]
    label(photographs, source="yolov8", classes=classes, settings=YoloSettings(min_confidence=0.0, max_overlap=1.0))
    confidences = photographs.values("yolov8_instances.detections.confidence", unwind=True)
    middle = sorted(confidences)[len(confidences) // 2]
    assert min(confidences) < middle
    label(photographs, source="yolov8", classes=classes, settings=YoloSettings(min_confidence=middle))
    assert 0 < photographs.count("yolov8_instances.detections") < len(confidences)
    assert min(photographs.values("yolov8_instances.detections.confidence", unwind=True)) >= middle
    settings = [photographs.get_run_info(key).config.settings["settings"] for key in sorted(photographs.list_runs())]
    assert {"min_confidence": middle, "max_overlap": 0.7} in settings


def test_run_is_recorded(photographs, scenes):
    label(photographs, source=Reference(scenes, ("car",)))
    (key,) = photographs.list_runs()
    config = photographs.get_run_info(key).config
    assert (config.status, config.settings["source"], config.facts["labelled"]) == ("done", "truth", 3)
    assert all(key in path.name for path in files_of(photographs, "truth_mask"))


@pytest.mark.parametrize(("least", "redrawn"), [(0.0, True), (1.0, False)])
def test_refiner_redraws_what_it_agrees_about(painted, segmenter_folder, least, redrawn):
    settings = LabelSettings(min_agreement=least)
    label(painted, source="attention", settings=settings, device="cpu")
    before, runs = masks(painted, "attention"), set(painted.list_runs())
    label(painted, source="attention", settings=settings, device="cpu", refiner=segmenter_folder)
    assert (masks(painted, "attention") != before) == redrawn
    marks = painted.values("attention_instances.detections.refined", unwind=True)
    assert any(before) and set(marks) <= {True, None} and (True in marks) == redrawn
    (key,) = set(painted.list_runs()) - runs
    config = painted.get_run_info(key).config
    assert (config.settings["refiner"], config.settings["settings"]["min_agreement"]) == (segmenter_folder, least)
    assert config.facts["refined"] == marks.count(True)


def test_refiner_that_cannot_be_loaded_leaves_everything(painted, model_folder):
    before, runs = masks(painted, "attention"), painted.list_runs()
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        label(painted, source="attention", refiner=model_folder)
    assert (masks(painted, "attention"), painted.list_runs()) == (before, runs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "yolo"}, "source: 'yolo' - use one of attention, yolov8"),
        ({"source": "attention"}, "has no classes yet; name them"),
        ({"source": "attention", "classes": ["car"], "weights": "a.pt"}, "weights: 'a.pt' - source 'attention'"),
        ({"source": "yolov8", "classes": ["car"], "model": "tiny"}, "model: 'tiny' - source 'yolov8'"),
        ({"source": "yolov8", "classes": ["car"], "refiner": "a/sam"}, "refiner: 'a/sam' - source 'yolov8'"),
        ({"source": "attention", "classes": "car"}, "classes: 'car' - give a list"),
        ({"source": "attention", "classes": []}, "classes"),
        ({"source": "attention", "classes": ["car"], "settings": YoloSettings()}, "'attention' takes LabelSettings"),
        ({"source": "yolov8", "classes": ["car"], "settings": LabelSettings()}, "'yolov8' takes YoloSettings"),
    ],
)
def test_bad_input_is_named(photographs, settings, message):
    with pytest.raises(InvalidSetting, match=message):
        label(photographs, **settings)
    assert photographs.list_runs() == []


def test_empty_view_is_refused(photographs):
    with pytest.raises(DatasetError, match="no samples"):
        label(photographs.match_tags("none"), source="attention", classes=["car"])


def test_killed_run_leaves_whole_samples_and_the_next_completes_it(painted):
    files = files_of(painted, "attention_mask")
    # One mask is written for each sample: the second of three is being written.
    code = "import diffucurate, fiftyone as fo\ndiffucurate.label(fo.load_dataset(sys.argv[2]), source='attention')"
    killed_while_writing(2, code, painted.name)
    painted.reload()
    left = files_of(painted, "attention_mask")
    assert left[0] != files[0] and left[1:] == files[1:]
    assert all(path.is_file() for path in left)
    label(painted, source="attention")
    now = files_of(painted, "attention_mask")
    assert not set(now) & {*files, *left} and all(path.is_file() for path in now)
    # By the moment they were recorded: the keys of one second are in no order.
    made = sorted(map(painted.get_run_info, painted.list_runs()), key=lambda info: info.timestamp)
    assert [info.config.status for info in made][-2:] == ["running", "done"]


def test_samples_and_dataset_that_are_deleted_meanwhile(photographs, scenes):
    def delete_samples(report):
        if report.done == 1:
            photographs.delete_samples(photographs.values("id")[1:])

    source = Reference(scenes, ("car",))
    label(photographs, source=source, progress=delete_samples)
    assert len(photographs) == photographs.count("truth_instances") == 1
    assert sorted(media_folder(photographs).rglob("*.png")) == files_of(photographs, "truth_mask")

    copy = photographs.clone()
    with pytest.raises(DatasetError, match=f"dataset '{copy.name}' was deleted while it was labelled"):
        label(copy, source=source, progress=lambda report: fo.delete_dataset(copy.name))


def test_boxes_of_a_detector_have_no_masks(dataset, add_scenes, scenes):
    """They are stored, compared and fused as boxes; the semantic mask says that what is in them is unknown."""

    class Detector:
        name = "boxes"

        def label(self, images):
            found = []
            for image in images:
                mask = np.zeros(image.shape[:2], np.bool_)
                mask[4:20, 8:40] = True
                boxed = [Instance("car", mask, 0.5, boxed=True)]
                found.append(Labels.from_instances(boxed, ("car",), mask.shape))
            return found

    add_scenes(scenes[:2])
    label(dataset, source=Detector(), classes=["car"])
    dataset.clone_sample_field("boxes_instances", "ground_truth")
    dataset.reload()
    (detection,) = dataset.first().boxes_instances.detections
    assert detection.mask is None and detection.area == pytest.approx(16 * 32 / scenes[0].image[..., 0].size)
    assert set(np.unique(dataset.first().boxes_mask.get_mask())) == {0, 255}
    assert compare(dataset, "boxes", "ground_truth").matched_by == "boxes"
