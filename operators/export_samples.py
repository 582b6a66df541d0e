"""Operator: write labels for training. Knows the form; ``plugin.exporting.export`` does the work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext
from humanize import naturalsize

from diffucurate.generator.errors import DiffucurateError
from diffucurate.generator.exports.splits import check_splits, parse_splits
from diffucurate.generator.text.counted import counted
from diffucurate.operators.forms.fields import (
    ask_classes,
    choose,
    choose_several,
    choose_source,
    choose_target,
    folder_error,
    listed,
    param,
    refuse,
)
from diffucurate.operators.forms.refusals import put, refused
from diffucurate.operators.runtime.next_steps import Step, step
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk
from diffucurate.plugin.curation.relatives import KINDS, USUAL
from diffucurate.plugin.exporting.export import export
from diffucurate.plugin.exporting.formats import FORMATS, check_packages, format_named
from diffucurate.plugin.exporting.size import estimate_size
from diffucurate.plugin.exporting.start import SPLIT_AT_ONCE, check_room, split_evenly
from diffucurate.plugin.exporting.target import check_folder, check_unnamed
from diffucurate.plugin.store.classes import classes_in
from diffucurate.plugin.store.label_sources import instances_field
from diffucurate.plugin.store.labelled_together import labels_path

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener


#: The format that the form offers first.
DEFAULT = "coco"


class ExportSamples(LibraryOperator):
    """Format, source, folder, splits -> a dataset on disk."""

    NAME: ClassVar[str] = "export_samples"
    LABEL: ClassVar[str] = "Export samples"
    DESCRIPTION: ClassVar[str] = "Write images and the labels of one source as COCO, YOLO, VOC, Parquet and others"
    ICON: ClassVar[str] = "file_download"
    IN_TOOLBAR: ClassVar[bool] = True
    RISK: ClassVar[Risk] = "high"

    def __call__(
        self,
        samples: fo.Dataset | fo.DatasetView,
        out_dir: str,
        *,
        format: str,
        source: str,
        classes: list[str] | None = None,
        splits: str | None = None,
        together: list[str] | None = None,
        overwrite: bool = False,
        link_images: bool = False,
        delegate: bool = False,
    ) -> Any:
        """The same from Python; ``splits`` as in ``"train=0.8,val=0.2"``; see ``call``."""
        params = {
            "out_dir": out_dir,
            "format": format,
            "source": source,
            "classes": classes,
            "splits": splits,
            "together": together,
            "overwrite": overwrite,
            "link_images": link_images,
        }
        return self.call(samples, params, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Export"):
            source = choose_source(inputs, ctx, "source", label="Labels", description="Whose labels are written")
            if source is not None:
                format = self._format(inputs, ctx)
                ask_classes(inputs, ctx, classes_in(ctx.dataset, instances_field(ctx.dataset, source)))
                self._splits(inputs, ctx)
                folder = self._folder(inputs, ctx, format or DEFAULT)
                inputs.bool(
                    "link_images",
                    label="Link images",
                    description="Takes no space, but a program that writes to a link in place changes the original",
                    default=False,
                )
                if format is not None:
                    self._size(inputs, ctx, folder, format, source)
                    self._check_splits(inputs, ctx, source)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Export"))

    def _format(self, inputs: types.Object, ctx: ExecutionContext) -> str | None:
        """Ask for the format; returns it where it can be written here."""
        titles = {name: described.title for name, described in FORMATS.items()}
        prop = choose(inputs, "format", titles, label="Format", description="What the folder holds", default=DEFAULT)
        name = str(param(ctx, "format", DEFAULT))
        try:
            format_named(name)
            check_packages(name)
        except DiffucurateError as error:
            refuse(prop, str(error))
            return None
        return name

    def _splits(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        splits = inputs.str(
            "splits", label="Splits", description="Shares such as train=0.8,val=0.2; no splits where empty"
        )
        try:
            shares = _shares(ctx)
            if shares is not None:
                check_splits(shares)
        except DiffucurateError as error:
            refuse(splits, str(error))
        if param(ctx, "splits") is not None:
            field = choose_several(
                inputs,
                "together",
                list(KINDS),
                label="Kept together",
                description="What images of one split share: parent (where empty), prompt, seed; near: their looks",
            )
            if unknown := [name for name in listed(param(ctx, "together")) or () if name not in KINDS]:
                refuse(field, f"{unknown[0]}: choose some of {', '.join(KINDS)}")

    def _folder(self, inputs: types.Object, ctx: ExecutionContext, format: str) -> Path | None:
        """Ask for the folder; returns it once the text names one that can be written."""
        prop = inputs.str(
            "out_dir",
            label="Folder",
            description="Full path of the folder to write, on the machine that runs the App",
            required=True,
        )
        text = param(ctx, "out_dir")
        if not text:
            return None
        if problem := folder_error(text):
            refuse(prop, problem)
            return None
        folder, overwrite = Path(text).expanduser(), param(ctx, "overwrite", False)
        try:
            check_folder(folder, format, overwrite=True)  # refused with overwriting too
            check_unnamed(folder)
            if folder.is_dir() and any(folder.iterdir()):
                description = f"An earlier export is in {folder}: replace it"
                inputs.bool("overwrite", label="Overwrite", description=description, default=False)
                if not overwrite:
                    refuse(prop, f"'{text}' is not empty; choose 'Overwrite' or another folder")
        except DiffucurateError as error:
            refuse(prop, str(error))
            return None
        return folder

    def _size(self, inputs: types.Object, ctx: ExecutionContext, folder: Path | None, format: str, source: str) -> None:
        """Show the expected size and whether it fits the disk, or what is wrong with the samples."""
        settings = {"classes": param(ctx, "classes"), "link_images": param(ctx, "link_images", False)}
        try:
            size = estimate_size(ctx.target_view(), folder or Path.home(), format=format, source=source, **settings)
        except DiffucurateError as error:
            put(inputs, error, otherwise="source")
            return
        if not size.images:
            refuse(inputs.get_property("source"), f"none of these samples has labels of '{source}'; choose others")
            return
        written = f"{counted(size.images, 'image')} with {counted(size.instances, 'object')}"
        written += f", about {naturalsize(size.total_bytes)}"
        free = "" if folder is None else f"{naturalsize(size.free_bytes)} free there"
        inputs.view("size", types.Notice(label=written, description=free))
        if folder is not None:
            with refused(inputs, otherwise="out_dir"):
                check_room(ctx.target_view(), folder, format=format, source=source, **settings)

    def _check_splits(self, inputs: types.Object, ctx: ExecutionContext, source: str) -> None:
        """Refuse splits of which one gets no image, where that is found quickly."""
        together = listed(param(ctx, "together")) or list(USUAL)
        if param(ctx, "splits") is None or "near" in together or inputs.properties["splits"].invalid:
            return
        ids = ctx.target_view().exists(labels_path(ctx.dataset, source)).limit(SPLIT_AT_ONCE + 1).values("id")
        if len(ids) <= SPLIT_AT_ONCE:
            with refused(inputs, otherwise="splits"):
                split_evenly(ctx.dataset, ids, _shares(ctx) or {}, together)

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        summary = export(
            ctx.target_view(),
            Path(param(ctx, "out_dir")).expanduser(),
            format=param(ctx, "format"),
            source=param(ctx, "source"),
            classes=param(ctx, "classes"),
            splits=_shares(ctx),
            together=listed(param(ctx, "together")) or USUAL,
            overwrite=param(ctx, "overwrite", False),
            link_images=param(ctx, "link_images", False),
            progress=progress,
        )
        images = sum(summary.images.values())
        left_out = {
            "without_labels": summary.unlabelled,
            "unreadable": len(summary.unreadable),
            "instances_left_out": len(summary.left_out),
        }
        result = {
            "folder": summary.folder,
            "images": images,
            "objects": sum(summary.instances.values()),
            "splits": ", ".join(f"{name} {number}" for name, number in summary.images.items()),
            **{name: number for name, number in left_out.items() if number},
            **({"notes": "; ".join(summary.notes)} if summary.notes else {}),
            "train_with" if summary.format == "yolo" else "read_with": summary.first_step(),
        }
        return Outcome(f"{counted(images, 'image')} exported to {summary.folder}", result)

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        source = param(ctx, "source")
        return [
            step("Train a segmenter on them", "train_segmenter", source=source),
            step("Write a report", "write_report", source=source),
        ]

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        return iter(())


def _shares(ctx: ExecutionContext) -> dict[str, float] | None:
    """The splits as the form has them, ``"train=0.8,val=0.2"``, as a mapping; None where empty.

    Raises:
        InvalidSetting: the text is not of this form.
    """
    text = param(ctx, "splits")
    return None if text is None else parse_splits(text)
