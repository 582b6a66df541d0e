"""Whether a Ray cluster does the work: asked where one is set up for the machine that runs the App, and only there."""

from __future__ import annotations

from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.operators.forms.fields import param
from diffucurate.plugin.cluster.engine import RayEngine, configured_address, is_installed


def ask_engine(inputs: types.Object, ctx: ExecutionContext) -> None:
    """Offer the cluster that ``DIFFUCURATE_RAY_ADDRESS`` names; it is taken unless a person decides otherwise."""
    if not _is_offered():
        return
    description = f"Actors at {configured_address()} do the work: one for each GPU there, unless you say how many"
    view = types.CheckboxView(label="On the Ray cluster", description=description)
    inputs.bool("on_ray", default=True, view=view)
    if param(ctx, "on_ray", True):
        inputs.int("actors", label="Actors", description="One for each GPU of the cluster, where empty", min=1)


def chosen_engine(ctx: ExecutionContext) -> RayEngine | None:
    """What the form says, or the configured cluster where it was not filled in; None for the App's own machine.

    Raises:
        InvalidSetting: the number of actors is none.
    """
    if not _is_offered() or not param(ctx, "on_ray", True):
        return None
    return RayEngine(actors=param(ctx, "actors"))


def _is_offered() -> bool:
    return configured_address() is not None and is_installed()
