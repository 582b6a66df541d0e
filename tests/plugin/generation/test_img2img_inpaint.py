"""Images painted from those of a dataset: what is asked, labelled, kept, and said of what cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

import diffucurate as dc
from diffucurate.generator.errors import DatasetError, InvalidSetting, RecipeError
from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.painting.init_images import SEAM, grown
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.plugin.generation.generate import generate
from diffucurate.plugin.generation.init_plan import plan_init_images
from diffucurate.plugin.generation.init_reader import InitImageReader
from diffucurate.plugin.generation.regenerate import regenerate
from diffucurate.plugin.generation.repaint import repaint
from diffucurate.plugin.provenance.describe import of_image
from diffucurate.plugin.provenance.provenance import provenance
from diffucurate.plugin.provenance.recipe_of_sample import recipe_of
from diffucurate.plugin.store.media_files import read_image

CAR, TREE = np.s_[30:50, 8:30], np.s_[10:50, 40:52]


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    """The dataset to add to."""
    made = f"from-images-{abs(hash(request.node.nodeid)):x}"
    yield made
    if fo.dataset_exists(made):
        fo.delete_dataset(made)


@pytest.fixture
def quick(model_folder: str, name: str) -> dict[str, Any]:
    return {"model": model_folder, "steps": 2, "save_as": name}


def masked(label: str, where: tuple[slice, slice], shape: tuple[int, int] = (64, 64)) -> fo.Detection:
    mask = np.zeros(shape, np.bool_)
    mask[where] = True
    return fo.Detection.from_mask(mask, label=label)


@pytest.fixture
def photos(dataset: fo.Dataset, tmp_path: Path) -> fo.Dataset:
    """Three photographs of a car and a tree, with ground truth."""
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
        truth = fo.Detections(detections=[masked("tree", TREE), masked("car", CAR)])
        dataset.add_sample(fo.Sample(filepath=str(tmp_path / f"{index}.png"), truth=truth))
    return dataset


def test_variations_of_painted_images(generated: fo.Dataset, quick: dict[str, Any]) -> None:
    changes = {"colour": ["red", "green"], "object": "bus"}
    made = dc.img2img(generated, attributes=changes, strength=[0.5, 1.0], carry="attention", **quick)
    # Two cars become red and green buses, two red buses green ones: what is a red bus already is left out.
    assert sorted(made.values("prompt")) == ["a green bus at noon"] * 4 + ["a red bus at noon"] * 2
    assert set(made.values("task")) == {"img2img"} and set(made.values("source.strength")) <= {0.5, 1.0}
    for sample in made:
        start = generated[sample.source_id]
        assert sample.seed == 0 and sample.attributes.time == "noon"
        assert read_image(sample.filepath).shape == read_image(start.filepath).shape
        assert [one.label for one in sample.carried_instances.detections] == [
            one.label for one in start.attention_instances.detections
        ]
        assert sample.heatmap_bus is not None and 0 <= sample.agreement_attention_carried <= 1
    assert made.list_evaluations() == ["compare_attention_carried"]
    assert all(one.identical for one in repaint(made))

    found = provenance(made.first())
    assert (found.job.job_id, found.changed, found.source_id) == (made.first().job_id, (), generated.first().id)
    recipe = recipe_of(made.first())
    assert generate(recipe).name == made.name and len(made) == 6  # its only image is there
    assert dc.img2img(generated, attributes=changes, strength=[0.5, 1.0], carry="attention", **quick) is made
    assert len(made) == 6 and len(made.list_runs()) == 2  # generate and compare
    other = regenerate(made[:1], seeds=[7], attributes={"colour": "blue"}).first()
    assert (other.prompt, other.seed, other.source_id) == ("a blue bus at noon", 7, made.first().id)
    assert other.source.sample_id == generated.first().id and repaint(other)[0].identical
    assert 0 <= other.agreement_attention_carried <= 1 and other.carried_instances is not None


def test_each_image_draws_its_strength_from_the_list(photos: fo.Dataset) -> None:
    recipe = Recipe.from_mapping(
        {
            "dataset": "none",
            "task": "img2img",
            "source": {"dataset": photos.name},
            "classes": {"bus": ["bus"]},
            "templates": ["a {colour} bus"],
            "attributes": {"colour": ["red", "green", "blue"]},
            "seeds": 2,
            "strength": [0.25, 0.5, 1.0],
        }
    )
    first, again = (plan_init_images(recipe, InitImageReader(), lambda size: size).jobs for _ in range(2))
    drawn = [job.source.strength for job in first if job.source]
    assert first == again and len(drawn) == 18 and all(drawn.count(one) >= 2 for one in (0.25, 0.5, 1.0))


def test_variations_beside_their_sources_do_not_start_from_themselves(generated: fo.Dataset, quick: dict[str, Any]):
    settings = {**quick, "save_as": generated.name, "attributes": {"colour": "green"}}
    for _ in range(2):
        dc.img2img(generated, **settings)
        assert len(generated) == 8


def test_a_changed_field_of_a_variation_is_named_and_its_job_still_known(generated, quick) -> None:
    sample = dc.img2img(generated[:1], prompt="a {colour} bus", attributes={"colour": "red"}, **quick).first()
    before = provenance(sample).job
    sample["prompt"], sample["seed"], sample["metadata"] = "a cat", 9, None
    sample.save()
    made = provenance(sample)
    assert made.job == before and sorted(made.changed) == ["prompt", "seed"]


@pytest.mark.parametrize("kind", ["detections", "boxes", "polylines", "segmentation"])
def test_an_object_is_replaced_and_the_others_stay(photos: fo.Dataset, quick: dict[str, Any], kind: str) -> None:
    for sample in photos:
        if kind == "boxes":
            for one in sample.truth.detections:
                one.mask = None
        elif kind == "polylines":
            rings = [
                fo.Polyline(label=one.label, points=[corners(one.bounding_box)], closed=True, filled=True)
                for one in sample.truth.detections
            ]
            sample["rings"] = fo.Polylines(polylines=rings)
        elif kind == "segmentation":
            pixels = np.zeros((64, 64), np.uint8)
            pixels[TREE], pixels[CAR] = 1, 2
            sample["rings"] = fo.Segmentation(mask=pixels)
        sample.save()
    photos.mask_targets = {"rings": {1: "tree", 2: "car"}} if kind == "segmentation" else {}
    field = "rings" if "rings" in photos.get_field_schema() else "truth"
    made = dc.inpaint(
        photos,
        field,
        "a {colour} bus",
        attributes={"colour": ["red", "green"]},
        margin=0.1,
        replace=["car"],
        classes=["bus"],
        **quick,
    )
    assert len(made) == 6 and set(made.values("task")) == {"inpaint"}
    mask = np.zeros((64, 64), np.bool_)
    mask[CAR] = True
    region = grown(mask, 0.1)
    near = grown(mask, 0.1 + (SEAM + 2) / np.sqrt(mask.sum()))
    for sample in made:
        start, pixels = read_image(photos[sample.source_id].filepath), read_image(sample.filepath)
        assert np.array_equal(pixels[~near], start[~near]) and not np.array_equal(pixels[region], start[region])
        assert (sample.source.label, sample.source.field) == ("car", field)
        (tree,) = [one for one in sample.inpainted_instances.detections if one.label != "bus"]
        assert tree.label == "tree" and tree.mask.all()
        assert np.allclose(tree.bounding_box, [40 / 64, 10 / 64, 12 / 64, 40 / 64], atol=1.1 / 64)
        new = np.asarray(Image.open(sample.attention_mask.mask_path)) > 0
        assert new.any() and not (new & ~region).any()
        whole = np.asarray(Image.open(sample.inpainted_mask.mask_path))
        assert set(np.unique(whole)) == {0, 1, 1 + ["bus", "car", "tree"].index("tree")}
    assert made.mask_targets["inpainted_mask"] == {1: "bus", 2: "car", 3: "tree"}
    assert all(one.identical for one in repaint(made)) and provenance(made.first()).changed == ()
    assert [job.job_id for job in jobs(recipe_of(made.first()))] == []  # no pictures, no jobs
    generate(recipe_of(made.first()))
    assert len(made) == 6
    dc.label(made, source="attention")  # from the kept maps, which end with the region
    assert not (np.asarray(Image.open(made.first().attention_mask.mask_path))[~near] > 0).any()


def test_an_object_becomes_another_in_its_outline(photos: fo.Dataset, quick: dict[str, Any]) -> None:
    settings = {"replace": ["car"], "classes": ["bus"], "shape": "keep", **quick}
    made = dc.inpaint(photos, "truth", "a {colour} bus", attributes={"colour": ["red"]}, **settings)
    outline = np.zeros((64, 64), np.bool_)
    outline[CAR] = True
    near = grown(outline, 0.1 + (SEAM + 2) / np.sqrt(outline.sum()))
    for sample in made:
        start, pixels = read_image(photos[sample.source_id].filepath), read_image(sample.filepath)
        assert np.array_equal(pixels[~near], start[~near]) and not np.array_equal(pixels[outline], start[outline])
        assert (sample.source.shape, sample.source.margin, sample.source.label) == ("keep", 0.1, "car")
        whole = np.asarray(Image.open(sample.inpainted_mask.mask_path))
        assert np.array_equal(whole == 1, outline)  # the bus is where the car was
        bus = next(each for each in sample.inpainted_instances.detections if each.label == "bus")
        assert 0 <= bus.confidence <= 1
    assert all(one.identical for one in repaint(made)) and provenance(made.first()).changed == ()
    assert "in its outline" in of_image(provenance(made.first()))["Replaced"]
    generate(recipe_of(made.first()))
    assert len(made) == 3
    # The same without the outline is another image.
    free = dc.inpaint(photos[:1], "truth", "a red bus", margin=0.1, **{**settings, "shape": "free"}).last()
    assert len(made) == 4 and not np.array_equal(read_image(free.filepath), read_image(made.first().filepath))


def test_an_outline_takes_one_class(photos: fo.Dataset, quick: dict[str, Any]) -> None:
    for prompt, named in (("a bus and a car", "bus, car"), ("a street", "none")):
        with pytest.raises(RecipeError, match=rf"templates: .* has to name one class, .* it names {named}"):
            dc.inpaint(photos, "truth", prompt, classes=["bus", "car"], shape="keep", **quick)
    with pytest.raises(RecipeError, match=r"objects.shape: 'same' .* 'free' or 'keep'"):
        dc.inpaint(photos, "truth", "a bus", classes=["bus"], shape="same", **quick)


def corners(box: list[float]) -> list[tuple[float, float]]:
    x, y, width, height = box
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def test_each_object_or_chosen_ones(photos: fo.Dataset, quick: dict[str, Any]) -> None:
    made = dc.inpaint(photos[:2], "truth", "a bus", instances="each", classes=["bus"], **quick)
    assert sorted(made.values("source.label")) == ["car", "car", "tree", "tree"]
    chosen = photos.first().truth.detections[0].id
    dc.inpaint(photos[:2], "truth", "a bus", instances=[chosen], classes=["bus"], seeds=[5], **quick)
    assert made.last().source.instance == chosen and len(made) == 5
    largest = dc.inpaint(photos[:1], "truth", "a bus", classes=["bus"], seeds=[6], **quick).last()
    assert largest.source.label == "tree"


def test_what_cannot_be_used_is_named_and_the_others_go_on(
    photos: fo.Dataset, quick: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    truth = photos.first().truth
    (tmp_path / "broken.png").write_bytes((tmp_path / "0.png").read_bytes()[:900])
    image = str(tmp_path / "2.png")
    mask = np.zeros((64, 64), np.bool_)
    empty = fo.Detections(detections=[fo.Detection(label="car", bounding_box=[0.1, 0.1, 0.2, 0.2], mask=mask)])
    photos.add_samples(
        [
            fo.Sample(filepath=str(tmp_path / "missing.png"), truth=truth.copy()),
            fo.Sample(filepath=str(tmp_path / "broken.png"), truth=truth.copy()),
            fo.Sample(filepath=image, truth=empty),
            fo.Sample(filepath=image, truth=None),
        ]
    )
    notes: list[str] = []
    made = dc.inpaint(
        photos, "truth", "a bus", classes=["bus"], progress=lambda report: notes.append(report.note), **quick
    )
    assert len(made) == 3
    (run,) = [made.get_run_info(key).config for key in made.list_runs()]
    assert (run.status, run.facts["added"], run.facts["asked"]) == ("done", 3, 3)
    reasons = [run.facts["failed"][one] for one in photos.values("id")[3:]]
    words = ["the file is missing", "broken or not an image", "is empty", "no instance of anything"]
    assert all(word in reason for word, reason in zip(words, reasons, strict=True))
    assert all(reason in caplog.text and f"left out {reason}" in notes for reason in reasons)
    with pytest.raises(DatasetError, match=r"none of the init images can be used: .*missing"):
        dc.inpaint(photos[3:], "truth", "a bus", classes=["bus"], **{**quick, "save_as": f"{made.name}-none"})
    assert not fo.dataset_exists(f"{made.name}-none")


def test_objects_that_cannot_be_read_are_named_and_the_others_are_used(
    photos: fo.Dataset, quick: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Boxes of NaN, masks that are gone and labels without a name, beside a car and a tree that are right."""
    sample = photos.first()
    mask = np.ones((4, 4), np.bool_)
    bad = [
        fo.Detection(label="car", bounding_box=[float("nan"), 0, 1, 1], mask=mask),
        fo.Detection(label="car", bounding_box=[0, 0, 1, 1], mask_path="/nowhere/mask.png"),
        fo.Detection(bounding_box=[0, 0, 1, 1], mask=mask),
        fo.Detection(label="car", bounding_box=[1.5, 0, 1, 1], mask=mask),
    ]
    sample.truth.detections.extend(bad)
    sample.save()
    reasons = ["no finite number", "its mask cannot be read", "it has no label", "no pixels in the image"]
    made = dc.img2img(photos[:1], prompt="a bus", classes=["bus"], carry="truth", **quick)
    assert sorted(each.label for each in made.first().carried_instances.detections) == ["car", "tree"]
    dc.inpaint(photos[:1], "truth", "a bus", classes=["bus"], instances="each", **quick)
    assert sorted(made.match({"task": "inpaint"}).values("source.label")) == ["car", "tree"]
    for key in made.list_runs(method="diffucurate/generate"):
        left_out = made.get_run_info(key).config.facts["left_out"]
        assert all(reason in line for reason, line in zip(reasons, left_out, strict=True))
        assert all(f"{sample.filepath}, truth: " in line for line in left_out)
    assert "left out 4 instances" in caplog.text
    with pytest.raises(DatasetError, match=r"none of the init images can be used: .*no finite number"):
        chosen = {**quick, "save_as": f"{made.name}-none"}
        dc.inpaint(photos[:1], "truth", "a bus", classes=["bus"], instances=[bad[0].id], **chosen)


def test_a_picture_that_goes_while_others_are_painted(photos: fo.Dataset, quick: dict[str, Any], tmp_path) -> None:
    def change(report: Any) -> None:
        if (
            report.done == 1 and report.unit == "images"
        ):  # the reader keeps a few pictures: only one it has to read again can be missed
            Image.new("RGB", (64, 64)).save(tmp_path / "1.png")
            (tmp_path / "2.png").unlink(missing_ok=True)

    import diffucurate.plugin.generation.init_reader as module

    kept, module._KEPT = module._KEPT, 1
    try:
        made = dc.img2img(photos, prompt="a bus", classes=["bus"], batch_size=1, progress=change, **quick)
    finally:
        module._KEPT = kept
    assert made.values("source_id") == photos.values("id")[:1]
    (run,) = [made.get_run_info(key).config for key in made.list_runs()]
    reasons = [run.facts["failed"][one] for one in photos.values("id")[1:]]
    assert "was changed since" in reasons[0] and "the file is missing" in reasons[1]
    (tmp_path / "0.png").unlink()
    with pytest.raises(DatasetError, match=r"without what it was painted from: .*0.png: the file is missing"):
        repaint(made)


def test_a_plan_says_how_far_it_is_and_can_be_cancelled(photos: fo.Dataset, quick: dict[str, Any]) -> None:
    told: list[tuple[int, int]] = []

    class Cancelled(BaseException):
        pass

    def cancel(report: Any) -> None:
        assert report.unit == "init images read"
        told.append((report.done, report.total))
        if report.done == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        dc.img2img(photos, prompt="a bus", classes=["bus"], progress=cancel, **quick)
    assert told == [(0, 3), (1, 3)] and not fo.dataset_exists(quick["save_as"])


def test_masks_of_another_size_are_named(photos: fo.Dataset, quick: dict[str, Any]) -> None:
    sample = photos.first()
    sample["mask"] = fo.Segmentation(mask=np.ones((32, 48), np.uint8))
    sample.save()
    with pytest.raises(DatasetError, match="does not say what the ids in 'mask' mean"):
        dc.inpaint(photos[:1], "mask", "a bus", classes=["bus"], **quick)
    photos.mask_targets = {"mask": {1: "car"}}
    with pytest.raises(DatasetError, match="the mask in 'mask' is 48 x 32 px, the image 64 x 64 px"):
        dc.inpaint(photos[:1], "mask", "a bus", classes=["bus"], **quick)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"source": {"dataset": "no-such"}}, DatasetError, "there is no source dataset 'no-such'"),
        ({"source": {"dataset": "HERE", "view": "nights"}}, DatasetError, "no saved view 'nights'"),
        ({"objects": {"field": "nothing"}, "task": "inpaint"}, DatasetError, "no labels 'nothing'.*it has truth"),
        ({"carry": "nothing"}, DatasetError, "no labels 'nothing'"),
        (
            {"objects": {"field": "truth", "instances": ["x"]}, "task": "inpaint"},
            RecipeError,
            "has no such instance",
        ),
        ({"templates": [], "attributes": {"time": ["night"]}}, DatasetError, "write templates for images that have"),
    ],
)
def test_what_is_wrong_is_said_before_a_dataset_is_made(
    photos: fo.Dataset, quick: dict[str, Any], change: dict[str, Any], error: type[Exception], message: str
) -> None:
    content = {
        "model": quick["model"],
        "steps": quick["steps"],
        "dataset": quick["save_as"],
        "task": "img2img",
        "source": {"dataset": "HERE"},
        "classes": {"bus": ["bus"]},
        "templates": ["a bus"],
        **change,
    }
    if content["source"]["dataset"] == "HERE":
        content["source"] = {**content["source"], "dataset": photos.name}
    with pytest.raises(error, match=message):
        generate(content)
    assert not fo.dataset_exists(quick["save_as"])


def test_values_that_all_have_already(generated: fo.Dataset, quick: dict[str, Any]) -> None:
    with pytest.raises(InvalidSetting, match="has these values already"):
        dc.img2img(generated, attributes={"colour": "red"}, **quick)
    with pytest.raises(InvalidSetting, match=r"attributes\.weather.*no prompt of these images has this attribute"):
        dc.img2img(generated, attributes={"weather": "fog"}, **quick)
    with pytest.raises(InvalidSetting, match="no class of the images' own is named"):
        dc.img2img(generated, prompt="a piano", **quick)


def test_photographs_of_every_kind(
    dataset: fo.Dataset, quick: dict[str, Any], tmp_path: Path, turned: Callable
) -> None:
    """Their proportions are kept, at about as many pixels as the model was made for."""
    made_of = {"turned.jpg": (48, 96), "deep.png": (200, 100), "clear.png": (40, 40), "gray.png": (63, 65)}
    for file, (width, height) in made_of.items():
        turned(tmp_path / file, width, height)
        dataset.add_sample(fo.Sample(filepath=str(tmp_path / file)))
    made = dc.img2img(dataset, prompt="a bus", classes=["bus"], **quick)
    sizes = list(zip(*made.values(["metadata.width", "metadata.height"]), strict=True))
    assert sizes == [(48, 88), (88, 48), (64, 64), (64, 64)]
    for sample in made:
        assert read_image(sample.attention_mask.mask_path).shape[:2] == read_image(sample.filepath).shape[:2]


@pytest.fixture
def turned() -> Callable[[Path, int, int], None]:
    """Writes a photograph that is shown with this width and height."""

    def write(path: Path, width: int, height: int) -> None:
        gray = np.random.default_rng(0).integers(0, 65536, (height, width), np.uint16)
        eight = (gray >> 8).astype(np.uint8)
        if path.name == "turned.jpg":
            exif = Image.Exif()
            exif[0x112] = 6  # to be turned clockwise
            Image.fromarray(np.rot90(np.dstack([eight] * 3))).save(path, exif=exif)
        elif path.name == "deep.png":
            Image.fromarray(gray).save(path)
        elif path.name == "clear.png":
            Image.fromarray(np.dstack([eight] * 4)).save(path)
        else:
            Image.fromarray(eight).save(path)

    return write
