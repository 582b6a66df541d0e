"""What made a sample is told exactly, or it is said why it cannot be."""

from __future__ import annotations

import json

import fiftyone as fo
import pytest

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.files.strict_yaml import write_yaml
from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.plugin.generation.generate import generate
from diffucurate.plugin.labelling.label import label
from diffucurate.plugin.provenance.provenance import provenance
from diffucurate.plugin.provenance.recipe_of_sample import recipe_of


def test_everything_that_made_a_sample(generated, model_folder):
    sample = generated.last()
    made = provenance(sample)
    job = made.job
    assert (made.sample_id, job.job_id, made.changed, made.warning) == (sample.id, sample.job_id, (), None)
    assert (job.prompt, job.negative_prompt, job.phrases) == ("a red bus at noon", "", {"bus": ("bus",)})
    assert (job.attributes, job.seed, job.size) == ({"object": "bus", "colour": "red", "time": "noon"}, 1, (64, 64))
    assert (job.steps, job.guidance, job.model, job.task) == (1, 7.5, model_folder, "txt2img")
    assert (made.run.key, made.run.verb, made.run.status) == (sample.run_key, "generate", "done")
    assert made.run.started <= made.run.ended and "torch" in made.run.versions
    assert (made.device, made.conditions.batch_size) == ("cpu", 4)
    assert (made.source_id, made.labelled) == (None, ())
    told = json.loads(json.dumps(made.to_dict()))
    assert told["prompt"] == job.prompt
    assert told["run"]["settings"]["recipe"]["seeds"] == 2
    assert told["run"]["fingerprint"] == made.recipe.fingerprint()


def test_later_labellings_are_told_and_those_of_the_painting_are_not(generated):
    label(generated[:1], source="attention")
    first, last = provenance(generated.first()), provenance(generated.last())
    assert [(made.source, made.run.verb) for made in first.labelled] == [("attention", "label")]
    assert last.labelled == ()
    generated.delete_run(first.labelled[0].run_key)
    assert provenance(generated.first()).labelled[0].run is None


def test_a_view_that_leaves_fields_out_is_no_hindrance(generated):
    (sample,) = generated[:1].select_fields("prompt")
    assert provenance(sample).job.job_id == generated.first().job_id


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"prompt": "a cat"}, ("prompt",)),
        ({"prompt": None, "seed": 77}, ("prompt", "seed")),
        ({"guidance": 1.0, "model": None}, ("guidance", "model")),
        ({"attributes": None}, ("attributes",)),
        ({"metadata": fo.ImageMetadata(width=32, height=64)}, ("metadata",)),
        ({"metadata": None}, ()),  # says nothing, so it says nothing wrong
    ],
)
def test_fields_changed_since_are_named_and_the_job_is_still_known(generated, changes, fields):
    sample = generated.first()
    before = provenance(sample).job
    for name, value in changes.items():
        sample[name] = value
    sample.save()
    made = provenance(sample)
    assert made.job == before
    assert sorted(made.changed) == sorted(fields)
    assert all(f"'{name}'" in made.warning for name in fields)


def test_what_cannot_be_told(generated, dataset):
    dataset.add_sample(fo.Sample(filepath="/mine.png"))
    with pytest.raises(DatasetError, match="was not painted by Diffucurate"):
        provenance(dataset.first())
    with pytest.raises(DatasetError, match="in no dataset"):
        provenance(fo.Sample(filepath="/mine.png"))
    sample = generated.first()
    sample["job_id"] = "0" * 16
    sample.save()
    with pytest.raises(DatasetError, match="lead to job 0000000000000000"):
        provenance(sample)
    generated.delete_run(sample.run_key)
    with pytest.raises(DatasetError, match=f"run '{sample.run_key}' was deleted"):
        provenance(generated.last())


def test_recipe_of_one_image_leads_to_that_very_image(generated):
    for sample in generated:
        recipe = recipe_of(sample)
        text = write_yaml(recipe.model_dump(mode="json"))
        assert [job.job_id for job in jobs(Recipe.parse(text))] == [sample.job_id]
    assert recipe.templates == ["a {colour} {object} at {time}"]
    assert generate(recipe).name == generated.name
    assert len(generated) == 4  # nothing was missing


def test_recipe_of_one_image_with_awkward_content(model_folder, request):
    content = {
        "dataset": f"awkward {abs(hash(request.node.nodeid)):x}",
        "model": model_folder,
        "size": [64, 64],
        "steps": 1,
        "negative_prompt": "no: {{fog}}",
        "guidance": 0,
        "seeds": [4294967295],
        "classes": {"truck": ["truck"], "fire_truck": ["fire truck", "fire engine"], "tree": ["tree"]},
        "templates": ["a {{very}}  red fire-truck,\nat {time} on {day=12:30}", "trucks", "a tree"],
        "attributes": {"time": ["no", "1e3", "# ünï 'x\": y"]},
    }
    dataset = generate(content)
    try:
        for sample in dataset:
            made = jobs(Recipe.parse(write_yaml(recipe_of(sample).model_dump(mode="json"))))
            assert [job.job_id for job in made] == [sample.job_id]
    finally:
        dataset.delete()


def test_no_recipe_without_a_class(generated, model_folder):
    content = {**provenance(generated.first()).recipe.model_dump(mode="json")}
    generate({**content, "templates": [*content["templates"], "an empty street"], "seeds": 1})
    with pytest.raises(DatasetError, match="'an empty street' names none"):
        recipe_of(generated.last())
