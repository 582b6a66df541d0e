"""The form tells what made an image, hands its recipe on, and paints it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.recipe.recipe import Recipe

if TYPE_CHECKING:
    import fiftyone as fo


def told(form: dict[str, Any], table: str) -> dict[str, str]:
    return {row["what"]: row["text"] for row in form[table]["default"]}


def test_form_tells_what_made_the_image_and_hands_its_recipe_on(app, noise: fo.Dataset, random_pipeline: Path) -> None:
    sample = noise.last()
    form = app.form("show_provenance", noise, sample_id=sample.id)
    image, run = told(form, "image"), told(form, "run")
    assert (image["Prompt"], image["Looked for"], image["Seed"]) == ("a blue bus", "vehicle (bus)", "1")
    assert (image["Model"], image["Size"]) == (str(random_pipeline), "64 x 64 px")
    assert "Negative prompt" not in image and "Variation of" not in image
    assert run["Name"] == sample.run_key and "torch" in run["Versions"] and "cpu" in run["Painted"]
    buttons = form["recipes"]["type"]["properties"]
    button = buttons["reuse"]["view"]
    assert (button["operator"], button["prompt"]) == ("@diffucurate/diffucurate/generate_images", True)
    assert button["params"]["recipe_from"] == "pasted"
    (job,) = jobs(Recipe.parse(button["params"]["recipe"]))
    assert job.job_id == sample.job_id
    assert app.problems("generate_images", noise, **button["params"]) == {}
    whole = Recipe.parse(buttons["reuse_whole"]["view"]["params"]["recipe"])
    assert {job.job_id for job in jobs(whole)} == set(noise.values("job_id"))
    for name in buttons:  # what the recipe does not say is not written
        text = buttons[name]["view"]["params"]["recipe"]
        assert "null" not in text and "loras" not in text and len(text.splitlines()) < 20
    sample["seed"] = 5
    sample.save()
    changed = app.form("show_provenance", noise, sample_id=sample.id)
    assert "'seed'" in changed["changed"]["view"]["description"]
    assert told(changed, "image")["Seed"] == "1"


def test_the_open_image_counts_first_then_the_selected_one(app, noise: fo.Dataset) -> None:
    one, other, *_ = noise.values("id")
    for request, seed in (({"opened": one, "selected": [other]}, "0"), ({"selected": [other]}, "1")):
        assert told(app.form_of("show_provenance", noise, **request), "image")["Seed"] == seed
    for request, words in (
        ({}, "no image is selected; select one"),
        ({"selected": [one, other]}, "2 images are selected; select one"),
        ({"selected": ["f" * 24]}, "holds no image ffff"),
    ):
        form = app.form_of("show_provenance", noise, **request)
        assert words in form["no_provenance"]["error_message"]


def test_image_of_the_persons_own(app, dataset: fo.Dataset) -> None:
    import fiftyone as fo

    dataset.add_sample(fo.Sample(filepath="/mine.png"))
    (message,) = app.problems("show_provenance", dataset, sample_id=dataset.first().id).values()
    assert "was not painted by Diffucurate" in message


def test_painting_again(app, noise: fo.Dataset) -> None:
    sample = noise.first()
    ended = app.stream("show_provenance", noise, selected=(sample.id,))
    assert app.said(ended) == ("Success", "Painted again, it is identical: every pixel is the same.")
    assert "reload_dataset" not in dict(ended)
    path, other = (Path(name) for name in noise.values("filepath")[:2])
    path.write_bytes(other.read_bytes())
    _, ending = app.stream("show_provenance", noise, sample_id=sample.id)[-1]
    headline = ending["outputs"]["type"]["properties"]["headline"]["view"]
    assert headline["name"] == "Warning" and "it differs in" in headline["label"]
    path.unlink()
    ended = app.stream("show_provenance", noise, sample_id=sample.id)
    assert app.said(ended)[0] == "Success" and path.is_file()
    assert "reload_dataset" in dict(ended)


def test_call_from_python(app, noise: fo.Dataset) -> None:
    import fiftyone.operators as foo

    operator = foo.get_operator("@diffucurate/diffucurate/show_provenance")
    sample = noise.first()
    assert operator(sample)["job_id"] == sample.job_id
    assert operator(sample, repaint=True)["identical"] is True
    assert not app.options("show_provenance", noise, from_app=False).allow_delegated_execution
