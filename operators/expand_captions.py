"""Operator: more captions by a language model. Knows the form; ``generator.expansion.expand`` does the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.captions.config import captions_config
from diffucurate.generator.captions.prompts import caption_prompts
from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.models.names import downloaded_writers, locate_writer
from diffucurate.generator.recipe.checks import check_classes
from diffucurate.operators.forms.caption_params import captions_in
from diffucurate.operators.forms.captions import ask_captions
from diffucurate.operators.forms.class_tags import classes_of, tags_of
from diffucurate.operators.forms.fields import param, refuse
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener

_NUMBERS = {"count": 100, "shots": 4, "seed": 0, "most_words": 40}


class ExpandCaptions(LibraryOperator):
    """Captions, classes, a language model -> a file of more captions that name the same classes."""

    NAME: ClassVar[str] = "expand_captions"
    LABEL: ClassVar[str] = "Expand captions"
    DESCRIPTION: ClassVar[str] = "Let a language model write more captions, in which every class stays named"
    ICON: ClassVar[str] = "playlist_add"
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
        field = ask_captions(inputs, ctx.params)
        classes = inputs.list(
            "classes",
            types.String(),
            label="Classes",
            required=True,
            description="What captions name. Add one with Enter; 'person: pedestrian' takes both words for a person.",
            view=types.AutocompleteView(choices=[], allow_duplicates=False),
        )
        self._check(ctx, field, classes)
        self._model(inputs, ctx)
        self._target(inputs, ctx)
        inputs.int("count", label="Captions", description="How many to keep", default=100, view=_third())
        inputs.int("shots", label="Examples", description="Shown to the model each time", default=4, view=_third())
        inputs.int("most_words", label="Words", description="Longer ones are dropped", default=40, view=_third())
        for name, default in _NUMBERS.items():
            value = param(ctx, name, default)
            least = 0 if name in ("shots", "seed") else 1
            if (prop := inputs.get_property(name)) and (not isinstance(value, int) or value < least):
                refuse(prop, f"{value} - use a whole number from {least} on")
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Write"))

    def _check(self, ctx: ExecutionContext, field: types.Property, tags: types.Property) -> None:
        classes = classes_of(param(ctx, "classes"))
        if not classes:
            refuse(tags, "name at least one class, such as car")
            return
        try:
            check_classes(classes)
        except InvalidSetting as error:
            refuse(tags, f"{error.value} - {error.remedy}")
            return
        content = captions_in(ctx.params)
        try:
            if content is not None:
                caption_prompts(captions_config(content), classes, every=False)
        except InvalidSetting as error:
            refuse(field, f"{error.value} - {error.remedy}")

    def _model(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        field = inputs.str(
            "model",
            label="Language model",
            required=True,
            description="Writes the captions: 'owner/name' on Hugging Face, or the full path of a folder. Models that "
            "follow instructions do best",
            view=types.AutocompleteView(choices=[types.Choice(name, label=name) for name in downloaded_writers()]),
        )
        name = param(ctx, "model")
        if name is None:
            refuse(field, "name a text-generation model, such as owner/name")
            return
        try:
            locate_writer(name)
        except ModelError as error:
            refuse(field, str(error))

    def _target(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        field = inputs.str(
            "path",
            label="File",
            required=True,
            description="Full path of the JSON file to write; 'Generate images' reads it",
        )
        overwrite = bool(param(ctx, "overwrite", False))
        path = Path(param(ctx, "path", "")).expanduser()
        if not path.is_absolute() or path.suffix.lower() != ".json":
            refuse(field, f"give a full path that ends in .json, such as {Path.home() / 'captions.json'}")
        elif path.exists():
            inputs.bool("overwrite", default=False, label="Replace the file that is there")
            if not overwrite:
                refuse(field, f"'{path}' is there already; name another, or replace it")

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.generator.expansion.expand import expand_captions

        expansion = expand_captions(
            captions_in(ctx.params),
            Path(param(ctx, "path", "")).expanduser(),
            model=param(ctx, "model", ""),
            classes=classes_of(param(ctx, "classes")),
            overwrite=bool(param(ctx, "overwrite", False)),
            progress=progress,
            **{name: param(ctx, name, default) for name, default in _NUMBERS.items()},
        )
        written, wanted = len(expansion.captions), param(ctx, "count", _NUMBERS["count"])
        message = f"{written} captions of {wanted} written to '{expansion.path}'"
        result = {"path": str(expansion.path), "captions": written, "not_kept": expansion.remark}
        return Outcome(message, {**result, "classes": dict(expansion.classes)}, warning=written < wanted)

    def filled(self, ctx: ExecutionContext) -> str | None:
        return None

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        """No dataset has changed."""
        yield from ()


def _third() -> types.TextFieldView:
    return types.TextFieldView(space=4)
