"""Operator: write labels for training. Knows the form; ``plugin.export`` does the work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import RecipeError
from diffucurate.operators.execution import LibraryOperator, Messages, Outcome
from diffucurate.operators.forms import choose, choose_source, choose_target, folder_error, given, refuse

if TYPE_CHECKING:
    from diffucurate.plugin.progress import Listener

FORMATS = {
    "coco": "COCO - exact masks (RLE) and scores",
    "yolo": "YOLO segmentation - one polygon per object, data.yaml",
}


class ExportSamples(LibraryOperator):
    """Format, source, folder, splits -> a dataset on disk."""

    NAME: ClassVar[str] = "export_samples"
    LABEL: ClassVar[str] = "Export samples"
    DESCRIPTION: ClassVar[str] = "Write images and the labels of one source as COCO or YOLO segmentation"
    ICON: ClassVar[str] = "file_download"

    def __call__(
        self,
        samples: fo.Dataset | fo.DatasetView,
        out_dir: str,
        *,
        format: str,
        source: str,
        splits: str | None = None,
        overwrite: bool = False,
        delegate: bool = False,
    ) -> Any:
        """The same from Python; ``splits`` as in ``"train=0.8,val=0.2"``; see ``call``."""
        params = {"out_dir": out_dir, "format": format, "source": source, "splits": splits, "overwrite": overwrite}
        return self.call(samples, params, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Export") and choose_source(
            inputs, ctx, "source", label="Source", description="Whose labels are written"
        ):
            choose(inputs, "format", FORMATS, label="Format", description="What the folder holds", default="coco")
            self._folder(inputs, ctx)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Export"))

    def _folder(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        folder = inputs.str(
            "out_dir",
            label="Folder",
            description="Full path of the folder to write, on the machine that runs the App",
            required=True,
        )
        path = given(ctx, "out_dir")
        if path and (problem := folder_error(path)):
            refuse(folder, problem)
        elif path and _is_filled(Path(path).expanduser()):
            inputs.bool("overwrite", label="Overwrite", description=f"'{path}' is not empty: replace it", default=False)
            if not given(ctx, "overwrite", False):
                refuse(folder, f"'{path}' is not empty; choose 'Overwrite' or another folder")
        splits = inputs.str(
            "splits", label="Splits", description="Shares such as train=0.8,val=0.2; no splits where empty"
        )
        try:
            _shares(ctx)
        except RecipeError as error:
            refuse(splits, str(error))

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.export import export

        samples = ctx.target_view()
        source = given(ctx, "source")
        folder = Path(given(ctx, "out_dir")).expanduser()
        export(
            samples,
            folder,
            format=given(ctx, "format"),
            source=source,
            splits=_shares(ctx),
            overwrite=given(ctx, "overwrite", False),
        )
        message = f"{len(samples)} samples exported to {folder}"
        return Outcome(message, {"images": len(samples), "source": source, "folder": str(folder)})

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        return iter(())


def _is_filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _shares(ctx: ExecutionContext) -> dict[str, float] | None:
    """The splits as the form has them, ``"train=0.8,val=0.2"``, as a mapping; None where empty.

    Raises:
        RecipeError: the text is not of this form.
    """
    text = given(ctx, "splits")
    if text is None:
        return None
    from diffucurate.plugin.cli import parse_splits

    return parse_splits(text)
