"""Operator: more captions by a language model. Knows the form; ``generator.expansion.expand`` does the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.captions.config import captions_config
from diffucurate.generator.captions.prompts import caption_prompts
from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.expansion.start import check_expansion, check_path
from diffucurate.generator.models.names import downloaded_writers
from diffucurate.generator.recipe.checks import check_classes
from diffucurate.generator.text.counted import counted
from diffucurate.operators.forms.caption_params import captions_in
from diffucurate.operators.forms.captions import ask_captions
from diffucurate.operators.forms.class_tags import classes_of, tags_of
from diffucurate.operators.forms.error_texts import on_field
from diffucurate.operators.forms.fields import emptied, is_open, param, plain, refuse
from diffucurate.operators.forms.recipe_params import BUILT, CAPTIONS
from diffucurate.operators.forms.refusals import is_refused, refused
from diffucurate.operators.runtime.next_steps import Step, step
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk
from diffucurate.plugin.store.classes import read_classes

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener

_NUMBERS = {"count": 100, "shots": 4, "seed": 0, "most_words": 40}


class ExpandCaptions(LibraryOperator):
    """Captions, classes, a language model -> a file of more captions that name the same classes."""

    NAME: ClassVar[str] = "expand_captions"
    LABEL: ClassVar[str] = "Expand captions"
    DESCRIPTION: ClassVar[str] = "Let a language model write more captions, in which every class stays named"
    ICON: ClassVar[str] = "playlist_add"
    RISK: ClassVar[Risk] = "high"
    KEPT: ClassVar[str] = "Nothing was written."

    def __call__(
        self,
        path: str,
        *,
        model: str,
        classes: Mapping[str, Sequence[str]],
        captions: str | Sequence[str] | None = None,
        instances: str | None = None,
        count: int = 100,
        shots: int = 4,
        seed: int = 0,
        most_words: int = 40,
        overwrite: bool = False,
        delegate: bool = False,
    ) -> Any:
        """The same from Python: ``captions`` is a file's path, or captions; see ``call``."""
        params: dict[str, Any] = {"path": path, "model": model, "classes": tags_of(classes), "overwrite": overwrite}
        params |= {"count": count, "shots": shots, "seed": seed, "most_words": most_words}
        if isinstance(captions, str):
            params |= {"captions_path": captions, "instances_path": instances}
        else:
            params |= {"captions": "\n".join(captions or ())}
        return self.call(None, params, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        known = list(read_classes(ctx.dataset)) if is_open(ctx) else []
        captions = ask_captions(inputs, ctx.params)
        inputs.list(
            "classes",
            types.String(),
            label="Classes",
            required=True,
            default=known or None,
            description="What captions name. Add one with Enter; 'person: pedestrian' takes both words for a person.",
            view=types.AutocompleteView(
                choices=[types.Choice(name, label=name) for name in known], allow_duplicates=False
            ),
        )
        self._ask_model(inputs)
        inputs.int("count", label="Captions", description="How many to keep", default=100, view=_third())
        inputs.int("shots", label="Examples", description="Shown to the model each time", default=4, view=_third())
        inputs.int("most_words", label="Words", description="Longer ones are dropped", default=40, view=_third())
        self._ask_path(inputs, ctx)
        self._describe(inputs, ctx, captions, known)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Write"))

    def _ask_model(self, inputs: types.Object) -> None:
        there = downloaded_writers()
        inputs.str(
            "model",
            label="Language model",
            required=True,
            default=there[0] if there else None,
            description="Writes the captions: 'owner/name' on Hugging Face, or the full path of a folder. Models that "
            "follow instructions do best",
            view=types.AutocompleteView(choices=[types.Choice(name, label=name) for name in there]),
        )

    def _ask_path(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        field = inputs.str(
            "path",
            label="File",
            required=True,
            default=str(_unused(Path.home() / "captions.json")),
            description="Full path of the JSON file to write; 'Generate images' reads it",
        )
        path = _path(ctx)
        if path is None:
            return
        if not path.is_absolute():
            refuse(field, f"{path}: give a full path that ends in .json, such as {Path.home() / 'captions.json'}")
        elif path.is_file():
            inputs.bool("overwrite", default=False, label="Replace the file that is there")
        with refused(inputs):
            check_path(path, overwrite=bool(param(ctx, "overwrite", False)))

    def _describe(
        self, inputs: types.Object, ctx: ExecutionContext, captions: types.Property, known: list[str]
    ) -> None:
        """Put what is wrong on its field; else say what will be written."""
        classes, path = classes_of(ctx.params.get("classes", known)), _path(ctx)
        model = param(ctx, "model", inputs.properties["model"].default)
        if classes:
            with refused(inputs):
                check_classes(classes)
        elif emptied(ctx, "classes"):
            refuse(inputs.properties["classes"], "name at least one class, such as car")
        if emptied(ctx, "model"):
            refuse(inputs.properties["model"], "name a text-generation model, such as owner/name")
        content, given = captions_in(ctx.params), 0
        if content is not None and classes and not inputs.properties["classes"].invalid:
            try:
                given = len(caption_prompts(captions_config(content), classes, every=False).prompts)
            except InvalidSetting as error:
                refuse(captions, on_field(error))
        if is_refused(inputs) or not classes or model is None or path is None:
            return
        numbers = {name: param(ctx, name, default) for name, default in _NUMBERS.items()}
        with refused(inputs, otherwise="model"):
            check_expansion(
                path, model=model, classes=classes, overwrite=bool(param(ctx, "overwrite", False)), **numbers
            )
            examples = (
                f"shown {counted(given, 'caption')} that is there"
                if given == 1
                else (f"shown some of {counted(given, 'caption')}" if given else "by the names of the classes alone")
            )
            text = f"{counted(numbers['count'], 'caption')} for {', '.join(classes)}, asked of {model} {examples}."
            inputs.view("summary", types.Notice(label=plain(text)))

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.generator.expansion.expand import expand_captions

        expansion = expand_captions(
            captions_in(ctx.params),
            _path(ctx) or Path(),
            model=param(ctx, "model", ""),
            classes=classes_of(param(ctx, "classes")),
            overwrite=bool(param(ctx, "overwrite", False)),
            progress=progress,
            **{name: param(ctx, name, default) for name, default in _NUMBERS.items()},
        )
        written, wanted = len(expansion.captions), param(ctx, "count", _NUMBERS["count"])
        message = f"{counted(written, 'caption')} of {wanted:,} written to '{expansion.path}'"
        result = {"path": str(expansion.path), "captions": written, "not_kept": expansion.remark}
        return Outcome(message, {**result, "classes": dict(expansion.classes)}, warning=written < wanted)

    def filled(self, ctx: ExecutionContext) -> str | None:
        return None

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        captions = {"captions_path": outcome.result["path"], "classes": param(ctx, "classes")}
        return [step("Paint these captions", "generate_images", recipe_from=BUILT, prompts_from=CAPTIONS, **captions)]

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        """No dataset has changed."""
        yield from ()


def _third() -> types.TextFieldView:
    return types.TextFieldView(space=4)


def _path(ctx: ExecutionContext) -> Path | None:
    """The file to write, None where none is named."""
    text = param(ctx, "path")
    return None if text is None else Path(str(text)).expanduser()


def _unused(path: Path) -> Path:
    """The path, or the first of ``captions-2.json``, ... that is not there."""
    return next(
        each
        for number in count(1)
        if not (each := path if number == 1 else path.with_stem(f"{path.stem}-{number}")).exists()
    )
