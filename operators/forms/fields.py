"""What several forms share: reading a field, drop-downs, errors on a field, text that is shown as it stands.

Knows FiftyOne's form types and the names of fields, nothing of what an operator does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.text.parsing import split_values
from diffucurate.plugin.store.label_sources import comparable


def param(ctx: ExecutionContext, name: str, default: Any = None) -> Any:
    """The parameter's value; ``default`` where it is absent or its field was emptied again."""
    value = ctx.params.get(name)
    return default if value is None or value == "" or value == [] else value


def emptied(ctx: ExecutionContext, name: str) -> bool:
    """Whether a person has emptied the field: one that a form opens with empty is not refused yet."""
    return name in ctx.params and param(ctx, name) is None


def listed(text: str | list[str] | None) -> list[str] | None:
    """``"car, bus"`` or a list -> ``["car", "bus"]``; None where nothing is named."""
    return split_values(text) or None


def refuse(prop: types.Property, message: str) -> None:
    """Put ``message`` on the field: the form cannot be submitted until it is gone."""
    prop.invalid = True
    prop.error_message = message


def choose(
    inputs: types.Object,
    name: str,
    choices: dict[str, str],
    *,
    label: str,
    description: str,
    default: str | None = None,
    required: bool = True,
) -> types.Property:
    """A drop-down of ``choices`` (value -> label)."""
    menu = types.Dropdown(label=label, description=description)
    for value, text in choices.items():
        menu.add_choice(value, label=text)
    return inputs.enum(name, menu.values(), default=default, required=required, view=menu)


def choose_several(
    inputs: types.Object, name: str, choices: Iterable[str], *, label: str, description: str
) -> types.Property:
    """A field for any number of ``choices``, which are offered as one types."""
    offered = types.AutocompleteView(
        choices=[types.Choice(choice, label=choice) for choice in choices], allow_user_input=False
    )
    return inputs.list(name, types.String(), label=label, description=description, view=offered)


def ask_classes(inputs: types.Object, ctx: ExecutionContext, known: Sequence[str]) -> None:
    """The field ``classes``: some of the ``known`` ones, none for all; one that is no longer known is refused."""
    field = choose_several(
        inputs, "classes", known, label="Classes", description="Only objects of these; all where empty"
    )
    if unknown := [name for name in listed(param(ctx, "classes")) or () if name not in known]:
        refuse(field, f"{unknown[0]}: the dataset has no such class; there are {', '.join(known)}")


def is_open(ctx: ExecutionContext) -> bool:
    """Whether the App shows a dataset that is there."""
    try:
        return ctx.dataset is not None
    except ValueError:  # what FiftyOne raises for a dataset that it does not find
        return False


def has_dataset(inputs: types.Object, ctx: ExecutionContext) -> bool:
    """Whether the App shows a dataset that is there; the form says so where not."""
    try:
        if ctx.dataset is not None:
            return True
        headline, message = "No dataset is open", "open a dataset first"
    except ValueError:  # what FiftyOne raises for a dataset that it does not find
        headline, message = "The dataset is gone", "the dataset was deleted meanwhile; open another one"
    refuse(inputs.view("no_dataset", types.Error(label=headline, description=message)), message)
    return False


def choose_target(inputs: types.Object, ctx: ExecutionContext, action: str) -> bool:
    """Ask for dataset, view or selection; False where the App shows no dataset, which the form then says."""
    there = has_dataset(inputs, ctx)
    if there:
        inputs.view_target(ctx, action_description=action)
    return there


def choose_source(
    inputs: types.Object,
    ctx: ExecutionContext,
    name: str,
    *,
    label: str,
    description: str,
    default: str | None = None,
    among: Sequence[str] | None = None,
) -> str | None:
    """A drop-down of labels, by default all with instances, sources first; returns the one chosen, None without a valid
    one."""
    present = comparable(ctx.dataset) if among is None else among
    if not present:
        notice = types.Error(label="This dataset holds no labels yet", description="Run 'Label images' first.")
        refuse(inputs.view(f"no_{name}", notice), "this dataset holds no labels yet; run 'Label images' first")
        return None
    first = default if default in present else present[0]
    prop = choose(inputs, name, {s: s for s in present}, label=label, description=description, default=first)
    chosen = str(param(ctx, name, first))
    if chosen not in present:
        refuse(prop, f"the dataset has no labels '{chosen}' any more; choose others")
        return None
    return chosen


def folder_error(text: str) -> str | None:
    """Why ``text`` cannot be the folder of an export, None where it can."""
    path = Path(text).expanduser()
    if not path.is_absolute():
        return f"'{text}' is not a full path; write one such as {Path.home() / 'exports' / 'streets'}"
    if path.is_file():
        return f"'{text}' is a file; name a folder"
    return None


def plain(text: str) -> str:
    """Text in which Markdown takes nothing for markup."""
    return re.sub(r"([\\`*_\[\]<>~#])|^(?=[-+])", r"\\\1", text)
