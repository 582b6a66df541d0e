"""Where FiftyOne finds the plugin: ``register`` hands it the operators and panels. Knows nothing of what they do.

FiftyOne runs this file again at every request of the App, under a name of its own, so it stays small
and imports nothing heavy. The operators always come from the one package ``diffucurate``.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fiftyone.plugins.context import PluginContext


def register(plugin: PluginContext) -> None:
    """Register every operator, metric and panel with FiftyOne; called by its plugin loader."""
    _make_importable()
    from diffucurate.operators import METRICS, OPERATORS, PANELS

    for operator in (*OPERATORS, *METRICS, *PANELS):
        plugin.register(operator)


def _make_importable() -> None:
    """Publish the folder above as ``diffucurate`` where no installed one is found.

    This is what lets a bare copy in the plugins folder work. An installed package wins, so that the
    App and the person's own Python share one set of classes. A folder that merely bears the name and
    holds no package (a spec without an origin) does not count.
    """
    spec = find_spec("diffucurate")
    if spec is not None and spec.origin is not None:
        return
    root = Path(__file__).resolve().parent.parent
    spec = spec_from_file_location("diffucurate", root / "__init__.py", submodule_search_locations=[str(root)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{root} holds no __init__.py; copy the whole repository into the plugins folder")
    package = module_from_spec(spec)
    sys.modules["diffucurate"] = package
    spec.loader.exec_module(package)


if __name__ == "diffucurate.plugin":  # not under FiftyOne's name of it
    from diffucurate.generator.sources.registry import register as _register_source
    from diffucurate.plugin.zoo.spec import SPEC as _ZOO

    _register_source(_ZOO)
