"""The settings of a run that are no part of a recipe: how many images, and the device. Shared by all that paint."""

from __future__ import annotations

from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.models.devices import check_device, devices_here
from diffucurate.operators.forms.fields import param
from diffucurate.operators.forms.refusals import refused
from diffucurate.plugin.generation.start import check_run


def ask_count(inputs: types.Object, ctx: ExecutionContext, *, space: int = 12) -> None:
    """Ask for the number of images after which the run ends."""
    inputs.int(
        "count",
        label="Stop after",
        description="Only the first so many images; a later run goes on from there",
        view=types.TextFieldView(space=space),
    )
    with refused(inputs):
        check_run(param(ctx, "count"))


def ask_batch_size(inputs: types.Object, ctx: ExecutionContext, *, space: int = 12) -> None:
    """Ask for the number of images that are painted together."""
    inputs.int(
        "batch_size",
        label="Images at once",
        description="As many as usually fit into memory, where empty",
        view=types.TextFieldView(space=space),
    )
    with refused(inputs):
        check_run(batch_size=param(ctx, "batch_size"))


def ask_device(inputs: types.Object, ctx: ExecutionContext, *, space: int = 12) -> None:
    """Ask for the device; one that is not there is refused."""
    there = devices_here()
    inputs.str(
        "device",
        label="Device",
        description=f"{' or '.join(there)}; the fastest one where empty",
        view=types.AutocompleteView(choices=[types.Choice(name, label=name) for name in there], space=space),
    )
    if (device := param(ctx, "device")) is not None:
        with refused(inputs, otherwise="device"):
            check_device(device)


def is_wrong(ctx: ExecutionContext) -> bool:
    """Whether one of these fields is filled in with what is refused, so that it has to be in sight."""
    shown = types.Object()
    for ask in (ask_count, ask_batch_size, ask_device):
        ask(shown, ctx)
    return any(field.invalid for field in shown.properties.values())
