"""The addresses under which FiftyOne finds our operators: a button of one operator opens another by its address."""

from __future__ import annotations

#: The plugin's name, as ``fiftyone.yml`` has it.
PLUGIN = "@diffucurate/diffucurate"


def uri_of(operator: str) -> str:
    """The address of the operator of that name."""
    return f"{PLUGIN}/{operator}"
