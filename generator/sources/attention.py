"""The source ``attention``: from the class maps that a diffusion model leaves when it paints or looks at an image.

What is known of it. How it labels images is in ``attention_labeller``, how a model looks at them in
``attention_source``.
"""

from __future__ import annotations

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.labels.settings import LabelSettings
from diffucurate.generator.models.names import downloaded_models, downloaded_segmenters, locate, locate_segmenter
from diffucurate.generator.models.token_files import existing_token, token_names
from diffucurate.generator.recipe.by_model import BUILT_IN
from diffucurate.generator.sources.attention_checks import check_request
from diffucurate.generator.sources.protocol import Labeller, LabelRequest
from diffucurate.generator.sources.spec import SourceOption, SourceSpec, Workload, images_read

#: What ``by`` may be.
WAYS = ("words", "concepts")


def _load(request: LabelRequest[LabelSettings]) -> Labeller:
    from diffucurate.generator.sources.attention_labeller import AttentionLabeller

    return AttentionLabeller(request)


def _check_way(value: str) -> None:
    if value not in WAYS:
        raise InvalidSetting("by", value, f"use one of: {', '.join(WAYS)}")


def _workload(workload: Workload) -> str:
    model, tokens, refiner = (workload.options.get(name) for name in ("model", "tokens", "refiner"))
    mapped = 0 if tokens else workload.mapped  # kept heatmaps were made without them
    sentences, rest = [], workload.images - mapped
    if mapped:
        keep = "image keeps its" if mapped == 1 else "images keep their"
        sentences.append(f"{mapped} {keep} heatmaps: labels are made from those, nothing is painted.")
    if rest:
        usual = "the model that the tokens were learned with" if tokens else "the built-in model"
        who = f"the model '{model}'" if model else usual
        sentences.append(f"{images_read(rest, 'other' if mapped else 'image')} by {who}.")
    if tokens:
        sentences.append(f"Learned tokens are used: {', '.join(tokens)}.")
    if refiner:
        sentences.append(f"Outlines are redrawn by the model '{refiner}' where it agrees.")
    return " ".join(sentences)


SPEC = SourceSpec(
    name="attention",
    title="Attention",
    summary="From the heatmaps of the model that painted the image: needs no training, follows the prompt",
    images=("painted", "any"),
    classes="A class is looked for by its phrases where the prompt has them, by all of them where there is no prompt",
    settings=LabelSettings,
    load=_load,
    options=(
        SourceOption(
            "model",
            title="Model",
            description="Looks at images, unless they keep heatmaps that it made and that have all classes of their "
            "prompt: 'owner/name' on Hugging Face, the full path of a folder or .safetensors file, or 'tiny', the "
            "built-in one. By default kept heatmaps are used, and images without any are refused unless the built-in "
            "model painted them.",
            choices=downloaded_models,
            check=locate,
        ),
        SourceOption(
            "tokens",
            title="Learned tokens",
            description="Help words to find their classes, see 'Optimise class token'; all images are then looked at "
            "again.",
            kind="names",
            choices=token_names,
            check=existing_token,
        ),
        SourceOption(
            "contrast",
            title="Contrast",
            description="A model that looks at an image is asked again without each class: finds more of an object, "
            "and takes as many passes again for each. By default of images with a prompt only.",
            kind="switch",
        ),
        SourceOption(
            "by",
            title="Classes are found by",
            description="'words' of the prompt, or 'concepts': the first phrase of each class, which the prompt need "
            "not contain. Concepts need a Stable Diffusion 3, Flux, Qwen-Image or Z-Image model that looks at the "
            "images.",
            choices=lambda: WAYS,
            check=_check_way,
        ),
        SourceOption(
            "background",
            title="Background",
            description="Concepts that compete with the classes for the pixels, such as sky, road.",
            kind="names",
        ),
        SourceOption(
            "refiner",
            title="Outline refiner",
            description="A Segment Anything model that draws each object again, and is followed where it agrees with "
            "attention: 'owner/name' on Hugging Face, such as facebook/sam-vit-base, or the full path of a folder. By "
            "default outlines stay as attention drew them. The preview does without it.",
            choices=downloaded_segmenters,
            check=locate_segmenter,
        ),
    ),
    family="warm",
    sliders=("floor", "min_confidence"),
    command_names={"floor": "threshold"},
    workload=_workload,
    check_request=check_request,
    built_in=lambda options: options.get("model") == BUILT_IN,
)
