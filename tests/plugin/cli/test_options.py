"""All commands at once: an example that parses, one spelling and one help text per meaning, Python's own keywords."""

from __future__ import annotations

import ast
import inspect
import shlex
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import typer

import diffucurate as dc
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.sources.registry import all_sources
from diffucurate.plugin.cli.app import app
from diffucurate.plugin.curation.curate import undo_curation

ROOT = Path(__file__).parents[3]
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands

#: What each command calls; None where it is no verb of Python's.
VERBS = {
    "assess": dc.assess,
    "augment": dc.augment,
    "compare": dc.compare,
    "curate": dc.curate,
    "demo": None,
    "demo-rare": None,
    "doctor": None,
    "evaluate": dc.evaluate,
    "expand-captions": dc.expand_captions,
    "export": dc.export,
    "fuse": dc.fuse,
    "generate": dc.generate,
    "generate-more": dc.generate_more,
    "img2img": dc.img2img,
    "inpaint": dc.inpaint,
    "label": dc.label,
    "learn-token": dc.learn_token,
    "mask2img": dc.mask2img,
    "mosaic": dc.mosaic,
    "provenance": dc.provenance,
    "regenerate": dc.regenerate,
    "report": dc.report,
    "review": dc.review,
    "train-adapter": dc.train_adapter,
    "train-segmenter": dc.train_segmenter,
    "train-token": dc.train_token,
    "undo-curation": undo_curation,
}

#: Options that choose the samples, which Python is handed, and what is about the command line itself.
COMMON = {"view", "samples", "json"}

#: Options that feed no keyword of their own name, and what they feed.
EXCEPTIONS = {
    ("assess", "epochs"): "training",
    ("compare", "confusion"): "what is printed",
    ("expand-captions", "recipe"): "classes and captions",
    ("expand-captions", "instances"): "captions",
    **{("fuse", word): "settings" for word in ("iou", "lone", "method")},
    ("report", "to"): "path",
    ("review", "limit"): "what is printed",
    ("report", "reference_view"): "reference",
    ("generate", "model"): "recipe",
    ("generate", "memory"): "recipe",
    ("generate", "seeds"): "recipe",
    ("generate", "sections"): "recipe",
    ("generate", "captions"): "recipe",
    ("generate", "instances"): "recipe",
    ("generate", "class_prompt"): "recipe",
    **{
        ("label", word): "settings"
        for spec in all_sources()
        for word, meaning in spec.command_options().items()
        if meaning.is_setting
    },
    ("generate-more", "to"): "a file",
    **{(name, word): "engine" for name in ("generate", "label") for word in ("ray", "ray_address", "actors")},
    ("provenance", "repaint"): "whether repaint is called too",
    ("train-token", "lora_rank"): "lora",
    ("train-token", "lora_learning_rate"): "lora",
}

#: Options that mean different things in different commands: the number of their help texts.
MEANINGS = {
    "--by": 2,  # what finds classes; the order of a review
    "--captions": 2,  # a file of them; texts to learn a word from
    "--classes": 2,  # with phrases; names alone
    "--count": 4,  # images; captions; images before and after; of the next round
    "--embeddings": 2,  # what near-duplicates are measured on; what diversity is
    "--field": 4,  # labels to keep; objects to replace; objects to learn from; masks
    "--into": 3,  # fused labels; those of a source; those of a segmenter that was just trained
    "--instances": 2,  # COCO's file; objects of an image
    "--learning-rate": 3,  # of a segmenter; of a word; of an adapter
    "--min-agreement": 2,  # of a refiner; of two sources
    "--min-area": 2,  # a setting of attention; a rule
    "--min-confidence": 2,  # a setting of sources; a rule
    "--model": 4,  # a diffusion model that paints; one that looks at images; one that is read; a language model
    "--name": 3,  # of a class token; of a word's files; of a segmenter's
    "--prompt": 2,  # of whole images; with the new object
    "--recipe": 2,  # whose classes captions have; that prompts are drawn from
    "--save-as": 3,  # a view; a dataset; another dataset than the images'
    "--source": 4,  # one that labels; one whose labels are there; the same, or none; the same, or the one compared last
    "--steps": 3,  # of painting; of learning a word; of training
    "--to": 2,  # a report; a recipe
    "--trust-pickle": 3,  # learned words; weights of a label source; a start of training
}


def options_of(command: Any) -> list[Any]:
    return [param for param in command.params if param.param_type_name == "option" and param.name != "help"]


def test_every_command_is_known() -> None:
    assert set(COMMANDS) == set(VERBS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_an_example_that_parses(name: str) -> None:
    *_, example = COMMANDS[name].epilog.splitlines()
    program, command, *arguments = shlex.split(example)
    assert (program, command) == ("diffucurate", name)
    COMMANDS[name].make_context(name, arguments)


def test_an_option_has_one_help_text_for_each_meaning() -> None:
    texts = defaultdict(set)
    for command in COMMANDS.values():
        for option in options_of(command):
            texts[option.opts[0]].add(option.help)
            assert option.help and len(option.opts) == 1, option.name
    assert {name: len(helps) for name, helps in texts.items() if len(helps) > 1} == MEANINGS


def test_an_option_is_spelled_as_its_parameter() -> None:
    for command in COMMANDS.values():
        for option in options_of(command):
            if option.name != "serve":  # --app, as the variable APP of make
                assert option.opts[0] == "--" + option.name.replace("_", "-")


@pytest.mark.parametrize("name", [name for name, verb in VERBS.items() if verb is not None])
def test_options_are_called_as_pythons_keywords(name: str) -> None:
    parameters = inspect.signature(VERBS[name]).parameters
    known = set(parameters)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        from diffucurate.generator.inversion.settings import Inversion

        known |= set((Inversion if name == "train-token" else Recipe).model_fields)
    strange = {option.name for option in options_of(COMMANDS[name])} - COMMON - known
    assert {option for option in strange if (name, option) not in EXCEPTIONS} == set()


def test_nothing_outside_imports_the_command_line() -> None:
    for folder in ("generator", "operators", "plugin", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.is_relative_to(ROOT / "plugin" / "cli"):
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not any(name.startswith("diffucurate.plugin.cli") for name in names), path


def test_another_model_on_the_command_line_brings_its_own_numbers() -> None:
    from diffucurate.plugin.cli.generate import _changed

    content = {"dataset": "d", "steps": 7, "classes": {"car": ["car"]}, "templates": ["a car"]}
    changed = _changed(Recipe.from_mapping(content), {"model": "some/model", "seeds": None})
    assert (changed.model, changed.size, changed.steps, changed.guidance) == ("some/model", None, 7, None)
