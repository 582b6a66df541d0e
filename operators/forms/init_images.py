"""What the forms of operators that paint from init images share, in the order of the form of ``generate_images``.

Knows the form; ``plugin.generation`` builds the recipe and says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DiffucurateError, ModelError
from diffucurate.generator.recipe.layout_config import MASKS
from diffucurate.generator.text.counted import counted
from diffucurate.generator.text.parsing import parse_attributes, parse_strength
from diffucurate.operators.forms.fields import listed, param, plain
from diffucurate.operators.forms.model import choose_model
from diffucurate.operators.forms.model_numbers import complete_here, placeholders
from diffucurate.operators.forms.recipe_fields import BY_MODEL, PREVIEWED
from diffucurate.operators.forms.recipe_form import advanced_switch
from diffucurate.operators.forms.recipe_params import model_from, model_of
from diffucurate.operators.forms.refusals import NOT_READY, is_refused, put, refused
from diffucurate.operators.forms.run_settings import ask_batch_size, ask_count, ask_device, is_wrong
from diffucurate.plugin.generation.estimate import in_words, pace
from diffucurate.plugin.generation.img2img_inpaint import recipe_from
from diffucurate.plugin.generation.init_prompts import Preview, preview_of
from diffucurate.plugin.generation.mask2img import layout_classes
from diffucurate.plugin.generation.start import check_model, check_target
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import read_classes

if TYPE_CHECKING:
    import fiftyone as fo

    from diffucurate.generator.recipe.recipe import Recipe

#: The key of a recipe -> its field, where that has another name.
PLACES = MappingProxyType(
    {
        "dataset": "save_as",
        "templates": "prompt",
        "attributes": "changes",
        "negative_prompt": "prompt",
        "objects.field": "field",
        "objects.instances": "instances",
        "objects.classes": "replace",
        "objects.margin": "margin",
        "objects.shape": "shape",
        "layout.field": "field",
        "layout.until": "until",
        "layout.boost": "boost",
        "layout.words": "words",
        "layout.guide": "guide",
    }
)

#: Values of each attribute that are offered.
_OFFERED = 30


def ask_dataset(inputs: types.Object, ctx: ExecutionContext, *, ending: str) -> None:
    """Ask where the new images go."""
    inputs.str("save_as", label="Dataset to add to", default=f"{ctx.dataset.name}-{ending}")


def ask_prompt(
    inputs: types.Object,
    ctx: ExecutionContext,
    *,
    description: str,
    required: bool,
    classes: Sequence[str] = (),
    default: str | None = None,
) -> None:
    """Ask for the prompt of the new images, the values of attributes, and the classes to label.

    ``classes`` are offered besides those of the dataset, ``default`` is what the prompt begins with.
    """
    inputs.str("prompt", label="Prompt", description=description, required=required, default=default)
    inputs.list(
        "changes",
        types.String(),
        label="Attributes",
        description="Such as time=night, or time=night,dusk for both; add others with Enter",
        view=types.AutocompleteView(choices=_choices(_values(ctx.dataset)), allow_duplicates=False),
    )
    offered = dict.fromkeys([*read_classes(ctx.dataset), *classes])
    inputs.list(
        "classes",
        types.String(),
        label="Classes to label",
        description="Add one with Enter; where empty, those of this dataset that the prompt mentions",
        view=types.AutocompleteView(choices=_choices(offered), allow_duplicates=False),
    )


def ask_model(inputs: types.Object, ctx: ExecutionContext) -> None:
    """Ask for the model."""
    chosen = _model_from(ctx)
    choose_model(inputs, {"model_from": chosen}, {"model_from": chosen, "model": param(ctx, "model")})


def ask_numbers(inputs: types.Object, *, strength: str) -> None:
    """Ask for strength and number."""
    inputs.str(
        "strength",
        label="Strength",
        description="How far to go from each image, up to 1; of several, such as 0.4, 0.8, each draws one",
        default=strength,
        view=types.TextFieldView(space=6),
    )
    ask_seeds(inputs)


def ask_seeds(inputs: types.Object) -> None:
    """Ask how often each is painted."""
    inputs.int(
        "seeds",
        label="Images of each",
        description="Each with a seed of its own",
        default=1,
        view=types.TextFieldView(space=6),
    )


def ask_advanced(inputs: types.Object, ctx: ExecutionContext) -> None:
    """The settings that most leave as they are, folded away until they are asked for or one is filled in."""
    advanced_switch(inputs)
    if not (param(ctx, "advanced", False) or param(ctx, "steps") is not None or is_wrong(ctx)):
        return
    suggested = placeholders({"model": model_of(ctx.params)})
    view = types.TextFieldView(space=3, placeholder=suggested.get("steps", BY_MODEL))
    inputs.int("steps", label="Steps", description="More take longer and give cleaner images", view=view)
    for ask in (ask_count, ask_batch_size, ask_device):
        ask(inputs, ctx, space=3)


def recipe_of(ctx: ExecutionContext, task: str, more: Mapping[str, Any]) -> Recipe:
    """The recipe as the form has it.

    Raises:
        InvalidSetting, DatasetError: what is wrong with it.
    """
    samples, prompt, classes = ctx.target_view(), param(ctx, "prompt", ()), listed(param(ctx, "classes"))
    attributes = parse_attributes(param(ctx, "changes"))
    return recipe_from(
        samples,
        task,
        dataset=param(ctx, "save_as"),
        prompt=prompt,
        classes=layout_classes(samples, more["layout"]["field"], prompt, attributes)
        if task == MASKS and classes is None
        else classes,
        attributes=attributes,
        strength=parse_strength(param(ctx, "strength")),
        seeds=param(ctx, "seeds"),
        steps=param(ctx, "steps"),
        model=model_of(ctx.params),
        **more,
    )


def show_estimate(inputs: types.Object, ctx: ExecutionContext, task: str, more: Mapping[str, Any], ask: str) -> None:
    """Say what will be painted, how many images and how long that takes, or put what is wrong on its field.

    ``ask`` is said as long as nothing is asked for yet; masks alone are enough.
    """
    if task != MASKS and param(ctx, "prompt") is None and param(ctx, "changes") is None:
        inputs.view(NOT_READY, types.Notice(label=ask))
        return
    try:
        recipe, target = recipe_of(ctx, task, more), None
        with refused(inputs, otherwise="save_as"):
            target = check_target(recipe)
        if is_refused(inputs):
            return
        check_model(recipe)
        preview = preview_of(recipe, PREVIEWED)
    except ModelError as error:
        put(inputs, error, PLACES, otherwise="model" if "model" in inputs.properties else "model_from")
        return
    except DiffucurateError as error:
        put(inputs, error, PLACES)
        return
    lines = "\n".join(f"- {plain(prompt)}" for prompt in preview.prompts)
    inputs.str("preview", label="Images such as", default=lines, view=types.MarkdownView(read_only=True))
    number, count = preview.images, param(ctx, "count")
    now = min(number, count) if isinstance(count, int) and count > 0 else number
    text = (
        f"{'' if preview.exact else 'About '}{counted(number, 'image')} from {counted(len(ctx.target_view()), 'image')}"
    )
    remark = " It exists: only what is missing is painted." if target is not None else ""
    remark += f" Now the first {now:,} of them." if now < number else ""
    label = f"{text}, for dataset '{recipe.dataset}', labelled as {', '.join(recipe.class_names)}.{remark}"
    values, time = _expected(recipe, preview, now, param(ctx, "device"))
    inputs.view("summary", types.Notice(label=plain(label), description=plain(f"{values} {time}".strip())))


def in_form(**settings: Any) -> dict[str, Any]:
    """Settings from Python as the form's fields hold them."""
    return {
        name: _text(value) if name == "strength" else listed(value) if name in ("classes", "replace") else value
        for name, value in settings.items()
        if value is not None
    }


def _expected(recipe: Recipe, preview: Preview, images: int, device: str | None) -> tuple[str, str]:
    """The model's own values that are used, and how long the images take."""
    complete, values, _ = complete_here(recipe)
    if not complete.sizes and preview.size is not None:  # as large as the init images
        complete = complete.model_copy(update={"size": preview.size})
    return values, in_words(images, pace(complete, device))


def _model_from(ctx: ExecutionContext) -> str:
    return str(param(ctx, "model_from") or model_from(model_of(ctx.params)))


def _values(dataset: fo.Dataset) -> list[str]:
    """The attributes' values in the dataset, as ``time=night``."""
    field = dataset.get_field(field_names.ATTRIBUTES)
    names = [] if field is None else list(getattr(field, "get_field_schema", dict)())
    return [
        f"{name}={value}"
        for name in names
        for value in dataset.distinct(f"{field_names.ATTRIBUTES}.{name}")[:_OFFERED]
        if isinstance(value, str)
    ]


def _choices(texts: Any) -> list[types.Choice]:
    return [types.Choice(text, label=text) for text in texts]


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
