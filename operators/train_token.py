"""Operator: teach a diffusion model a new word from samples. Knows the form; ``plugin.tokens.train`` does it.

Samples -> a word for prompts. Tokens that find a class in images are ``learn_token``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DiffucurateError, InvalidSetting, ModelError
from diffucurate.generator.inversion.files import WordFiles, preview_prompt, word_name
from diffucurate.generator.inversion.loss_plot import recent_loss
from diffucurate.generator.inversion.settings import LAYERS, Inversion
from diffucurate.generator.recipe.by_model import BUILT_IN
from diffucurate.generator.text.counted import counted
from diffucurate.operators.forms.fields import choose, choose_target, param, refuse
from diffucurate.operators.forms.model import ask_model
from diffucurate.operators.forms.recipe_params import BUILT, model_from
from diffucurate.operators.forms.refusals import is_refused, put
from diffucurate.operators.panel import charts, widgets
from diffucurate.operators.runtime.next_steps import Step, step
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk
from diffucurate.plugin.store.label_fields import label_field, labels_of, with_objects
from diffucurate.plugin.tokens.start import check_word

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener

WHOLE, NO_LORA = "whole images", "none"

#: The fields of the form that are fields of ``Inversion``.
SETTINGS = (
    "initializer",
    "vectors",
    "captions",
    "steps",
    "batch_size",
    "learning_rate",
    "flip",
    "outside",
    "seed",
    "checkpoint_every",
    "preview_every",
    "previews",
    "preview_prompt",
)

#: The library's name of a setting -> its field, where that has another name.
_PLACES = {"lora.rank": "rank", "lora.learning_rate": "lora_rate"}

#: Pixels a side of a preview image, in the form and in the result of a run.
_SIDE = 160


class TrainToken(LibraryOperator):
    """Three to fifty samples, a placeholder -> a word that recipes can use, learned by a diffusion model."""

    NAME: ClassVar[str] = "train_token"
    LABEL: ClassVar[str] = "Teach a new word"
    DESCRIPTION: ClassVar[str] = "Train a token that paints what a few images show (textual inversion, LoRA)"
    ICON: ClassVar[str] = "model_training"
    RISK: ClassVar[Risk] = "high"
    KEPT: ClassVar[str] = "What was learned until then is kept. Run it again with the same settings to go on."

    def __call__(
        self, samples: fo.Dataset | fo.DatasetView, placeholder: str, *, delegate: bool = False, **settings: Any
    ) -> Any:
        """The same from Python: ``settings`` are those of ``diffucurate.train_token`` that the form has."""
        return self.call(samples, {"placeholder": placeholder, **settings}, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Learn from"):
            self._ask_word(inputs, ctx)
            self._ask_images(inputs, ctx)
            self._ask_training(inputs, ctx)
            self._describe(inputs, ctx)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Train"))

    def _ask_word(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        inputs.str(
            "placeholder",
            label="Word",
            required=True,
            description="How prompts will write it, as in <piano>; nothing that the model knows already",
        )
        inputs.str("name", label="Name", description="What to call its files; the word's letters where empty")
        inputs.bool("overwrite", default=False, label="Begin anew where a word of that name is there")

    def _ask_images(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        fields = {WHOLE: "Whole images", **{name: f"Objects in {name}" for name in with_objects(ctx.dataset)}}
        prop = choose(
            inputs,
            "field",
            fields,
            label="Learn",
            default=WHOLE,
            required=False,
            description="What of the samples the word is to mean; 3 to 50 images or objects",
        )
        field = param(ctx, "field", WHOLE)
        if field not in fields:
            refuse(prop, f"the dataset has no labels '{field}' any more; choose others")
        elif field != WHOLE:
            labels = labels_of(ctx.target_view(), label_field(ctx.dataset, field))
            if not labels:
                refuse(prop, f"no image here has objects in '{field}'; select some that have")
                return
            choose(
                inputs,
                "label",
                {name: name for name in labels},
                label="Class",
                default=labels[0],
                required=False,
                description="Which of its classes the word is to mean",
            )
            inputs.bool(
                "crop",
                default=True,
                label="Cut each object out",
                description="Else whole images are learned, and masks say where the object is",
            )
        if field == WHOLE or param(ctx, "crop", True) is False:
            texts = [name for name, kind in ctx.dataset.get_field_schema().items() if isinstance(kind, fo.StringField)]
            view = types.AutocompleteView(choices=[types.Choice(name, label=name) for name in texts])
            inputs.str(
                "caption_field",
                label="Captions",
                view=view,
                description="A field with a text for each image, in which {} or the class stands for the word; "
                "where empty, general ones",
            )

    def _ask_training(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        space = types.TextFieldView(space=4)
        inputs.int("steps", label="Steps", default=1000, view=space)
        inputs.int("vectors", label="Vectors", default=1, view=space)
        inputs.str("initializer", label="Starts from", view=space, description="Words such as car")
        layers = {
            NO_LORA: "The word alone",
            "text": "How the model reads text",
            "attention": "All of its attention",
            "all": "Its convolutions too",
        }
        choose(
            inputs,
            "lora",
            layers,
            label="What is learned beside the word",
            default=NO_LORA,
            required=False,
            description="A LoRA, for things that the model cannot paint whatever it is told",
        )
        inputs.bool("show_more", default=False, label="More settings")
        if param(ctx, "show_more"):
            self._ask_more(inputs, ctx)
        ask_model(inputs, ctx, "Stable Diffusion 1.x, 2.x or XL")

    def _ask_more(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        space, usual = types.TextFieldView(space=4), Inversion.model_fields
        for name, label in (
            ("learning_rate", "Learning rate"),
            ("outside", "Weight outside of masks"),
        ):
            inputs.float(name, label=label, default=usual[name].default, view=space)
        for name, label in (
            ("batch_size", "Images per step"),
            ("seed", "Seed"),
            ("checkpoint_every", "Steps between checkpoints"),
            ("preview_every", "Steps between previews"),
        ):
            inputs.int(name, label=label, default=usual[name].default, view=space)
        inputs.str("preview_prompt", label="Prompt of previews", default=usual["preview_prompt"].default)
        inputs.bool("flip", default=True, label="Learn from mirror images too")
        if param(ctx, "lora", NO_LORA) != NO_LORA:
            inputs.int("rank", label="Rank of the LoRA", default=8, view=space)
            inputs.float("lora_rate", label="Learning rate of the LoRA", default=1e-3, view=space)

    def _describe(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        """Put what is wrong on its field; else say what is learned from, and what a stopped run has left."""
        if not param(ctx, "placeholder") or is_refused(inputs):
            return
        field = param(ctx, "field", WHOLE)
        whole = field == WHOLE
        try:
            settings = Inversion(**_settings(ctx))
            files = WordFiles.of(param(ctx, "name") or word_name(settings.placeholder))
            check_word(
                ctx.target_view(),
                settings,
                field=None if whole else field,
                label=None if whole else self._label(ctx, field),
                crop=bool(param(ctx, "crop", True)),
                caption_field=param(ctx, "caption_field"),
                name=param(ctx, "name"),
                model=param(ctx, "model"),
                overwrite=bool(param(ctx, "overwrite", False)),
            )
        except ModelError as error:
            put(inputs, error, otherwise="model")
            return
        except DiffucurateError as error:
            if put(inputs, error, _PLACES, otherwise="field") is inputs.properties["name"]:
                _show_learned(inputs, param(ctx, "name") or word_name(param(ctx, "placeholder")))
            return
        count, done = len(ctx.target_view()), len(files.read_losses())
        notice = types.Notice(label=f"{counted(count, 'image')} to learn from, kept in {files.folder}")
        if files.word.exists():
            learned = f"'{files.name}' was learned in {counted(done, 'step')}; more steps teach it further"
            notice = types.Warning(label=learned)
        elif done:
            notice = types.Notice(label=f"Goes on after step {done}, with the same settings and images")
        inputs.view("summary", notice)
        _show_progress(inputs, files, files.latest_previews())

    def _label(self, ctx: ExecutionContext, field: str) -> str | None:
        """The class to learn: the first of the field until another is chosen."""
        labels = labels_of(ctx.target_view(), label_field(ctx.dataset, field))
        return param(ctx, "label", next(iter(labels), None))

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.tokens.train import train_token

        field = param(ctx, "field", WHOLE)
        options = {name: param(ctx, name) for name in ("label", "crop") if param(ctx, name) is not None}
        settings = _settings(ctx)
        learned = train_token(
            ctx.target_view(),
            settings.pop("placeholder"),
            field=None if field == WHOLE else field,
            **({} if field == WHOLE else options),
            caption_field=param(ctx, "caption_field"),
            name=param(ctx, "name"),
            model=param(ctx, "model"),
            overwrite=bool(param(ctx, "overwrite", False)),
            progress=progress,
            **settings,
        )
        result = {
            "word": learned.placeholder,
            "file": str(learned.path),
            "steps": len(learned.losses),
            "loss": round(learned.loss, 4),
            "plot": str(learned.plot),
            "previews": [str(path) for path in learned.previews],
        }
        if learned.lora is not None:
            result["lora"] = str(learned.lora)
        message = f"Learned {learned.placeholder} in {counted(len(learned.losses), 'step')}, loss {learned.loss:.4f}"
        return Outcome(message, result)

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        word = outcome.result["word"]
        files = [f"{word}={outcome.result['file']}"]
        loras = [outcome.result["lora"]] if "lora" in outcome.result else None
        named = model_from(param(ctx, "model", BUILT_IN))
        return [
            step(
                f"Paint images of {word}",
                "generate_images",
                recipe_from=BUILT,
                templates=f"a photo of a {word}",
                classes=[f"{word_name(word)}: {word}"],
                tokens=files,
                loras=loras,
                model_from=named,
                model=param(ctx, "model"),
                advanced=True,
            )
        ]

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        """Nothing has changed that the App would have to show."""
        yield from ()

    def output(self, result: dict[str, Any]) -> types.Object:
        outputs = super().output({name: value for name, value in result.items() if name != "plot"})
        if "file" in result:
            word = Path(result["file"])
            _show_progress(outputs, WordFiles(word.parent, word.stem), [Path(path) for path in result["previews"]])
        return outputs


def _settings(ctx: ExecutionContext) -> dict[str, Any]:
    """The arguments of ``Inversion``, as the form has them."""
    settings = {name: param(ctx, name) for name in ("placeholder", *SETTINGS) if param(ctx, name) is not None}
    layers = param(ctx, "lora", NO_LORA)
    if isinstance(layers, str) and layers in LAYERS:
        lora = {"layers": layers, "rank": param(ctx, "rank"), "learning_rate": param(ctx, "lora_rate")}
        settings["lora"] = {name: value for name, value in lora.items() if value is not None}
    elif layers != NO_LORA:
        settings["lora"] = layers
    return settings


def _show_learned(form: types.Object, name: str) -> None:
    """The loss and previews of the word of that name, if there is one."""
    try:
        files = WordFiles.of(name)
    except InvalidSetting:
        return
    _show_progress(form, files, files.latest_previews())


def _show_progress(form: types.Object, files: WordFiles, previews: list[Path]) -> None:
    """The loss and the latest preview images with their prompts, as far as there are any."""
    from diffucurate.plugin.labelling.preview import data_uri
    from diffucurate.plugin.store.media_files import read_image

    losses = files.read_losses()
    if losses:
        reached = f"{recent_loss(losses):.4f}, the mean of the last tenth of {counted(len(losses), 'step')}"
        widgets.chart(form, "loss_plot", charts.loss_curve(losses), label="Loss", description=reached)
    shown = [path for path in previews if path.is_file()][:4]
    if shown:
        row = form.h_stack("preview_row", gap=2, align_y="start")
        for index, path in enumerate(shown):
            view = types.ImageView(width=f"{_SIDE}px")
            label = ": ".join(filter(None, (f"Step {int(path.stem.split('-')[0])}", preview_prompt(path))))
            row.str(f"preview_{index}", label=label, default=data_uri(read_image(path), _SIDE * 2), view=view)
