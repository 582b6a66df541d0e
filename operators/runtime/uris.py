"""The addresses under which FiftyOne finds our operators: a button of one operator opens another by its address."""

from __future__ import annotations

#: The plugin's name, as ``fiftyone.yml`` has it.
PLUGIN = "@diffucurate/diffucurate"


def uri_of(operator: str) -> str:
    """The address of the operator of that name."""
    return f"{PLUGIN}/{operator}"


#: What the App itself does, by ``assets/app.js``: show the sidebar's groups as the dataset has them now.
SHOW_GROUPS = f"{PLUGIN}/show_groups"

#: Show a saved view under its name.
SHOW_SAVED_VIEW = f"{PLUGIN}/show_saved_view"

#: Open another form after the one that was sent off.
OPEN_FORM = f"{PLUGIN}/open_form"
