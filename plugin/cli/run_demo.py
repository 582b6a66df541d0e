"""The demo, with the built-in models: generate, label twice, compare, curate, export, open the App.

Everything runs through the same functions that a person's own code would call. Run again, it goes on where
it stopped and replaces its own labels and exports.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.plugin.cli.compare import show_comparison
from diffucurate.plugin.cli.terminal import Terminal
from diffucurate.plugin.environment.doctor import PLUGIN, ROOT

if TYPE_CHECKING:
    import fiftyone as fo

RECIPE = Path(__file__).with_name("demo.yaml")
A, B = "attention", "yolov8"
#: Images on which the two sources agree at least so much are kept.
MIN_AGREEMENT = 0.3
SPLITS = {"train": 0.75, "val": 0.25}
#: The formats that the demo writes, each to a folder of its name.
EXPORTED = ("coco", "yolo")


def run_demo(terminal: Terminal, out: Path, *, serve: bool, recipe: Path = RECIPE) -> None:
    """Run every step and print its result; with ``serve``, serve the App until Ctrl-C.

    Args:
        terminal: where progress and results are shown.
        out: folder for the exports, ``coco`` and ``yolo``; earlier exports there are replaced, and nothing else.
        serve: whether to start the App at the end and wait.
        recipe: what to make; the shipped one by default.

    Raises:
        ExportError: a folder for an export holds anything else; before any image is painted.
    """
    from diffucurate.plugin.exporting.export import export
    from diffucurate.plugin.exporting.target import prepare_folder

    loaded = Recipe.load(recipe)
    for format in EXPORTED:
        prepare_folder(out.resolve() / format, format, overwrite=True)
    terminal.say(f"recipe: {recipe}")
    with terminal.progress("generate") as progress:
        from diffucurate.plugin.generation.generate import generate

        dataset = generate(loaded, progress=progress)
    from diffucurate.plugin.comparison.compare import compare
    from diffucurate.plugin.curation.curate import curate
    from diffucurate.plugin.labelling.label import label

    with terminal.progress(f"label {B}") as progress:  # the attention labels were made while painting
        label(dataset, source=B, progress=progress)
    with terminal.progress(f"compare {A} {B}") as progress:
        comparison = compare(dataset, A, B, progress=progress)
    kept = curate(dataset, source=A, min_agreement=MIN_AGREEMENT, against=B)
    exported: fo.Dataset | fo.DatasetView = kept if len(kept) else dataset

    terminal.show(f"\nHow {A} labels agree with {B} labels on '{dataset.name}':\n")
    show_comparison(terminal, comparison)
    terminal.show(
        f"\n{len(kept)} of {len(dataset)} images have an agreement of {MIN_AGREEMENT} or more (view '{kept.name}')."
    )
    if not len(kept):
        terminal.show("No image passed, so all of them are exported.")
    splits = SPLITS if len(exported) >= len(SPLITS) * 2 else None  # each split must get an image
    exports: dict[str, Any] = {}
    for format in EXPORTED:
        folder = out.resolve() / format
        with terminal.progress(f"export {format}") as progress:
            export(exported, folder, format=format, source=A, splits=splits, overwrite=True, progress=progress)
        exports[format] = str(folder)
        terminal.show(f"{format.upper()}: {folder}")
    terminal.result(
        {
            "dataset": dataset.name,
            "samples": len(dataset),
            "kept": len(kept),
            "view": kept.name,
            "comparison": comparison.to_dict(),
            "exports": exports,
        }
    )
    if serve:
        serve_app(terminal, dataset)
    else:
        terminal.show(f"Look at it with: fiftyone app launch {dataset.name}")


def serve_app(terminal: Terminal, dataset: fo.Dataset) -> None:
    """Serve the App with the dataset until Ctrl-C."""
    import fiftyone as fo

    from diffucurate.plugin.fiftyone_private import ServiceListenTimeout

    with _plugin_visible(terminal):
        # A remote session without an address would listen on every network of the machine.
        address = fo.config.default_app_address or "127.0.0.1"
        remote = not _has_display()
        try:
            session = fo.launch_app(dataset, remote=remote, address=address)
        except ServiceListenTimeout:
            # FiftyOne waits a minute for its server; on a busy machine that is too short, and a second call finds it.
            terminal.say("The App's server is slow to start; waiting once more ...")
            session = fo.launch_app(dataset, remote=remote, address=address)
        terminal.show(f"\nThe App is at {session.url} - Ctrl-C ends it.")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            terminal.say(f"\nThe dataset is kept; see it again with: fiftyone app launch {dataset.name}")
        finally:
            session.close()


def _has_display() -> bool:
    """Whether a browser can be expected to open on this machine's own screen."""
    if "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@contextmanager
def _plugin_visible(terminal: Terminal) -> Iterator[None]:
    """Let the App see the plugin for this once, where it is not in FiftyOne's plugins folder."""
    import fiftyone as fo
    import fiftyone.plugins as fop

    if any(plugin.name == PLUGIN for plugin in fop.list_plugins()):
        yield
        return
    usual = Path(fo.config.plugins_dir)
    with tempfile.TemporaryDirectory(prefix="diffucurate-plugins-") as folder:
        (Path(folder) / "diffucurate").symlink_to(ROOT, target_is_directory=True)
        for path in usual.iterdir() if usual.is_dir() else ():
            if path.is_dir() and path.name != "diffucurate":
                (Path(folder) / path.name).symlink_to(path.resolve(), target_is_directory=True)
        # The App's server is a process of its own: it learns of the folder from the environment.
        os.environ["FIFTYONE_PLUGINS_DIR"] = fo.config.plugins_dir = folder
        terminal.say(f"For this once the App sees the plugin; for good: ln -s '{ROOT}' '{usual / 'diffucurate'}'")
        yield
