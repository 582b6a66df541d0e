from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest
from killed import killed_while_writing
from PIL import Image

from diffucurate.generator.errors import DatasetError, InvalidSetting, ModelError, RecipeError
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.plugin.generation.generate import generate
from diffucurate.plugin.store.media_files import read_image, read_maps


@pytest.fixture
def content(model_folder: str, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """A recipe of eight images: two prompts, each with one or two classes, and four seeds."""
    name = f"generated-{abs(hash(request.node.name)):x}"
    yield {
        "dataset": name,
        "model": model_folder,
        "size": [64, 64],
        "steps": 2,
        "seeds": 4,
        "classes": {"car": ["car", "sedan"], "tree": ["tree"]},
        "templates": ["a photo of a {colour} car", "a red sedan and two {colour} trees"],
        "attributes": {"colour": ["red"]},
    }
    if fo.dataset_exists(name):
        fo.delete_dataset(name)


def media_files(dataset: fo.Dataset) -> list[Path]:
    folder = Path(dataset.info["diffucurate"]["media_folder"])
    return [path for path in folder.rglob("*") if path.is_file()]


def named_files(dataset: fo.Dataset) -> set[Path]:
    """Every file that some sample names."""
    heatmaps = [f"{name}.map_path" for name in dataset.get_field_schema() if name.startswith("heatmap_")]
    columns = dataset.values(["filepath", "attention_maps", "attention_mask.mask_path", *heatmaps])
    return {Path(path) for column in columns for path in column if path is not None}


def assert_complete(dataset: fo.Dataset, count: int) -> None:
    """Every sample is whole, no job has two, and no file lies about that no sample names."""
    assert len(dataset) == count
    assert len(set(dataset.values("job_id"))) == count
    assert dataset.count("attention_instances") == dataset.count("attention_polygons") == count
    assert named_files(dataset) == set(media_files(dataset))
    for sample in dataset:
        maps = read_maps(sample.attention_maps)
        assert maps and all(sample[f"heatmap_{name}"] is not None for name in maps)
        assert read_image(sample.filepath).shape == (64, 64, 3)
        assert np.asarray(Image.open(sample.attention_mask.mask_path)).shape == (64, 64)


def test_recipe_becomes_a_labelled_dataset(content):
    reports = []
    dataset = generate(content, batch_size=4, progress=reports.append)
    assert_complete(dataset, 8)
    assert dataset.persistent
    assert (reports[-1].done, reports[-1].total) == (8, 8)
    one_class, two_classes = dataset.first(), dataset.last()
    assert one_class.prompt == "a photo of a red car"
    assert (one_class.seed, one_class.steps, one_class.guidance, one_class.task) == (0, 2, 7.5, "txt2img")
    assert (one_class.model, one_class.attributes.colour) == (content["model"], "red")
    assert (one_class.metadata.width, one_class.metadata.mime_type) == (64, "image/png")
    assert one_class.heatmap_car is not None and one_class.heatmap_tree is None
    assert two_classes.heatmap_car is not None and two_classes.heatmap_tree is not None
    pixels = np.asarray(Image.open(one_class.heatmap_car.map_path))
    assert (pixels.dtype, pixels.min(), pixels.max(), one_class.heatmap_car.range) == (np.uint8, 0, 255, [0, 255])
    assert one_class.job_id in one_class.filepath and one_class.run_key in one_class.filepath
    assert dataset.mask_targets["attention_mask"] == {1: "car", 2: "tree"}
    assert dataset.app_config.active_fields.paths == ["attention_instances"]
    (key,) = dataset.list_runs()
    config = dataset.get_run_info(key).config
    assert (config.status, config.facts["added"], config.settings["recipe"]["seeds"]) == ("done", 8, 4)
    assert key == one_class.run_key


def test_what_a_recipe_leaves_out_follows_from_the_model_and_is_said(content, caplog):
    written = {**content, "size": None, "steps": None, "seeds": 1, "negative_prompt": "fog", "guidance": 1.0}
    reports = []
    with caplog.at_level("INFO", logger="diffucurate"):
        dataset = generate(written, count=1, progress=reports.append)
    values = "64 x 64 px, 30 steps: as suits Stable Diffusion 1"
    useless = (
        f"negative_prompt: 'fog' - it changes nothing with model '{content['model']}' (Stable Diffusion 1) at guidance "
        "1; set guidance above 1, or leave it out"
    )
    assert [report.note for report in reports[:2]] == [values, useless]
    logged = [record.getMessage() for record in caplog.records]
    assert f"{content['model']}: {values}" in logged and useless not in logged
    sample = dataset.first()
    assert (sample.steps, sample.guidance, sample.metadata.width) == (30, 1.0, 64)
    (key,) = dataset.list_runs()
    stored = dataset.get_run_info(key).config.settings["recipe"]
    assert (stored["size"], stored["steps"], stored["guidance"]) == ([64, 64], 30, 1.0)
    reports.clear()
    generate(written, count=1, progress=reports.append)  # the same job: nothing is painted, and nothing said
    assert len(dataset) == 1 and reports == []
    generate(written, count=2)  # where nobody listens, the log says it
    assert caplog.messages.count(useless) == 1


def test_a_model_that_is_not_there_leaves_no_dataset(content):
    with pytest.raises(ModelError, match="neither a folder nor a file"):
        generate({**content, "model": "/nowhere/model", "steps": None})
    assert not fo.dataset_exists(content["dataset"])


def test_second_run_adds_nothing_and_needs_no_model(content):
    dataset = generate(content)
    before = {path: path.stat().st_mtime_ns for path in media_files(dataset)}
    reports = []
    assert generate(content, progress=reports.append) is dataset
    assert_complete(dataset, 8)
    assert {path: path.stat().st_mtime_ns for path in media_files(dataset)} == before
    assert len(dataset.list_runs()) == 1
    assert reports == []


def test_limit_takes_the_first_and_the_rest_follows(content):
    dataset = generate(content, count=3)
    assert_complete(dataset, 3)
    assert_complete(generate(content, count=3), 3)
    assert_complete(generate(content), 8)


def test_another_recipe_adds_to_the_dataset_and_keeps_its_ids(content):
    dataset = generate(content, count=1)
    other = {**content, "classes": {"bus": ["bus"], "car": ["car"]}, "seeds": 1}
    other["templates"] = ["a {colour} bus and a car"]
    generate(other)
    assert_complete(dataset, 2)
    assert dataset.mask_targets["attention_mask"] == {1: "car", 2: "tree", 3: "bus"}
    assert dataset.last().heatmap_bus is not None


def test_recipe_can_come_from_a_file(content, tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(content))
    assert_complete(generate(path, count=1), 1)


def test_media_go_where_the_environment_says(content, tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFUCURATE_MEDIA_DIR", str(tmp_path / "media"))
    dataset = generate(content, count=1)
    monkeypatch.delenv("DIFFUCURATE_MEDIA_DIR")
    generate(content, count=2)  # a dataset's media stay together
    assert_complete(dataset, 2)
    assert all(path.is_relative_to(tmp_path / "media" / content["dataset"]) for path in named_files(dataset))


def test_interrupted_run_keeps_what_is_painted_and_goes_on(content):
    def interrupt(report: Any) -> None:
        if report.done >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(content, batch_size=2, progress=interrupt)
    dataset = fo.load_dataset(content["dataset"])
    assert_complete(dataset, 4)
    (key,) = dataset.list_runs()
    assert dataset.get_run_info(key).config.status == "stopped"
    generate(content)
    assert_complete(dataset, 8)
    assert dataset.list_runs() == [key]
    assert dataset.get_run_info(key).config.status == "done"


def test_images_that_someone_else_adds_meanwhile_are_not_doubled(content):
    from diffucurate.generator.jobs.jobs import jobs
    from diffucurate.generator.recipe.recipe import Recipe

    content["guidance"] = 5.0
    last = jobs(Recipe.from_mapping(content))[-1].job_id

    def add_meanwhile(report: Any) -> None:
        if report.done == 4:
            fo.load_dataset(content["dataset"]).add_sample(fo.Sample(filepath="/theirs.png", job_id=last))

    with pytest.raises(DatasetError, match="someone else is adding the same images"):
        generate(content, batch_size=4, progress=add_meanwhile)
    dataset = fo.load_dataset(content["dataset"])
    assert len(dataset) == len(set(dataset.values("job_id")))
    # The one that came second leaves no files.
    assert set(media_files(dataset)) == named_files(dataset) - {Path("/theirs.png")}


def test_a_run_that_lives_is_not_taken_over(content):
    """A second process finds the first one's run under way: it says so at once, and writes nothing."""
    second: list[str] = []

    def start_again(report: Any) -> None:
        if report.done == 2 and not second:
            for more in ({}, {"count": 7}):  # a part of the same images is the same work
                with pytest.raises(DatasetError, match=r"process \d+ on .* makes these images in dataset") as raised:
                    generate(content, batch_size=2, **more)
                second.append(str(raised.value))

    dataset = generate(content, batch_size=2, progress=start_again)
    assert len(second) == 2 and f"process {os.getpid()} " in second[0]
    assert_complete(dataset, 8)
    assert [dataset.get_run_info(key).config.status for key in dataset.list_runs()] == ["done"]


def test_files_of_images_that_cannot_be_stored_are_removed(content, monkeypatch, tmp_path):
    """As where the disk is full after some of a batch's files; nor does a new dataset stay that is empty."""
    monkeypatch.setenv("DIFFUCURATE_MEDIA_DIR", str(tmp_path / "media"))
    from diffucurate.plugin.store import painted_files

    write_png, written = painted_files.write_png, []

    def full(path, pixels):
        written.append(path)
        if len(written) == 3:
            raise OSError(28, "No space left on device", str(path))
        return write_png(path, pixels)

    monkeypatch.setattr(painted_files, "write_png", full)
    with pytest.raises((OSError, DatasetError), match="No space left"):
        generate(content)
    assert len(written) == 3 and not fo.dataset_exists(content["dataset"])
    assert [path for path in (tmp_path / "media").rglob("*") if path.is_file()] == []
    monkeypatch.setattr(painted_files, "write_png", write_png)
    assert_complete(generate(content, count=1), 1)


def test_a_dataset_that_was_there_stays_after_a_refused_run(content, monkeypatch):
    from diffucurate.plugin.generation import painting_session

    mine = fo.Dataset(content["dataset"])
    monkeypatch.setattr(painting_session, "prepare", lambda *_: (_ for _ in ()).throw(DatasetError("no room")))
    with pytest.raises(DatasetError, match="no room"):
        generate(content)
    assert fo.dataset_exists(mine.name)
    mine.delete()
    with pytest.raises(DatasetError, match="no room"):
        generate(content)
    assert not fo.dataset_exists(content["dataset"])


@pytest.mark.slow
def test_killed_run_is_completed_by_the_next(content, tmp_path):
    content["seeds"] = 8  # sixteen images, written eight at a time
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(content))
    # Five files for an image of one class: the 43rd is amid the second eight.
    code = "from diffucurate.plugin.generation.generate import generate\ngenerate(sys.argv[2], batch_size=2)"
    killed_while_writing(43, code, str(recipe))
    dataset = fo.load_dataset(content["dataset"])
    dataset.reload()
    assert len(dataset) == 8
    assert len(media_files(dataset)) > len(named_files(dataset))  # the killed run did leave something behind
    generate(content)
    assert_complete(dataset, 16)
    assert len(dataset.list_runs()) == 1


def test_existing_dataset_of_the_users_own_is_not_touched(content):
    mine = fo.Dataset(content["dataset"])
    mine.add_sample(fo.Sample(filepath="/mine.png"))
    with pytest.raises(DatasetError, match="was not generated by Diffucurate; choose another name"):
        generate(content)
    assert mine.values("filepath") == ["/mine.png"]
    assert "job_id" not in mine.get_field_schema()


def test_name_with_the_same_address_is_refused(content):
    twin = fo.Dataset(content["dataset"].replace("-", " "))
    with pytest.raises(DatasetError, match="share its address"):
        generate(content)
    twin.delete()


def test_empty_dataset_is_taken_over(content):
    fo.Dataset(content["dataset"])
    assert_complete(generate(content, count=1), 1)


@pytest.mark.parametrize(
    ("change", "settings", "error", "message"),
    [
        ({}, {"count": 0}, InvalidSetting, "count: 0 - give a number"),
        ({}, {"batch_size": -1}, InvalidSetting, "batch_size: -1"),
        ({"size": [64, 20]}, {}, RecipeError, "size"),
        ({"model": "/no/such/folder"}, {}, ModelError, "/no/such/folder"),
        ({}, {"device": "abacus"}, ModelError, "abacus"),
    ],
)
def test_what_is_wrong_is_said_before_a_dataset_is_made(content, change, settings, error, message):
    with pytest.raises(error, match=message):
        generate({**content, **change}, **settings)
    assert not fo.dataset_exists(content["dataset"])


def test_a_recipe_gives_its_dataset_and_several_give_all_of_theirs(content):
    change = {"seeds": 1, "classes": {"car": ["car"]}, "templates": ["a car"], "attributes": {}}
    recipe = Recipe.from_mapping({**content, **change})
    more = recipe.model_copy(update={"templates": ["two cars"]})
    other = recipe.model_copy(update={"dataset": f"{recipe.dataset}-other"})
    dataset = generate(recipe)
    assert isinstance(dataset, fo.Dataset) and len(dataset) == 1
    assert generate([recipe]) == [dataset]
    datasets = generate([recipe, more, other])
    try:
        assert [each.name for each in datasets] == [recipe.dataset, other.dataset]
        assert [len(each) for each in datasets] == [2, 1]
    finally:
        fo.delete_dataset(other.dataset)
    with pytest.raises(InvalidSetting, match="at least one recipe"):
        generate([])
