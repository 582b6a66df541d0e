"""``diffucurate regenerate``."""

from __future__ import annotations

import typer

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.text.parsing import parse_attributes, parse_seeds
from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.options import Attributes, BatchSize, DatasetArgument, Device, Json, Samples, Seeds, View


@command(example="diffucurate regenerate night-streets --view good --seeds 2 --attributes time=dawn,dusk")
def regenerate(
    context: typer.Context,
    dataset: DatasetArgument,
    view: View = None,
    samples: Samples = None,
    seeds: Seeds = None,
    attributes: Attributes = None,
    batch_size: BatchSize = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Paint images again with other seeds or attributes, and add what comes out; name a view or samples."""
    terminal = terminal_of(context)
    if (samples is None) == (view is None):
        raise InvalidSetting("samples", None, "say which images: either --samples or --view")
    values = parse_attributes(attributes)
    with terminal.progress("regenerate") as progress:
        varied = samples_of(dataset, view, samples)
        from diffucurate.plugin.fiftyone_private import dataset_behind
        from diffucurate.plugin.generation.regenerate import regenerate as run

        before = set(dataset_behind(varied).values("id"))
        wanted = run(
            varied,
            seeds=parse_seeds(seeds),
            attributes=values,
            batch_size=batch_size,
            device=device,
            progress=progress,
        )
    added = [sample_id for sample_id in wanted.values("id") if sample_id not in before]
    terminal.show(f"{dataset}: {len(added)} images added, {len(before) + len(added)} in all")
    terminal.result({"dataset": dataset, "added": len(added), "samples": added})
