"""Export samples: folders, splits, and files on disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from diffucurate.generator.exports.folder import replacing_folder

if TYPE_CHECKING:
    import fiftyone as fo


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"out_dir": "exports"}, "out_dir", "'exports' is not a full path"),
        ({"out_dir": "{file}"}, "out_dir", "is a file"),
        ({"out_dir": "{file}/sub"}, "out_dir", "nothing can be written in"),
        ({"out_dir": "{full}"}, "out_dir", "holds 'file', which is not part of a coco export"),
        ({"out_dir": "{full}", "overwrite": True}, "out_dir", "holds 'file'"),
        ({"out_dir": "{old}"}, "out_dir", "is not empty; choose 'Overwrite'"),
        ({"out_dir": "{old}", "overwrite": True}, None, ""),
        ({"out_dir": "{old}", "overwrite": True, "format": "yolo"}, "out_dir", "holds an export to coco, not to yolo"),
        (
            {"out_dir": "{hand}", "overwrite": True},
            "out_dir",
            "holds 'annotations', which is not part of a coco export",
        ),
        ({"out_dir": "{new}", "splits": "train"}, "splits", "train=0.8,val=0.2"),
        ({"out_dir": "{new}", "splits": "train=0.8,val=0.1"}, "splits", "sum of 1"),
        ({"out_dir": "{new}", "splits": "train=nan"}, "splits", "above 0"),
        ({"out_dir": "{new}", "splits": "train=0.8,val=0.2"}, None, ""),
        ({"out_dir": "{new}", "source": "nobody"}, "source", "no labels 'nobody' any more"),
        ({"out_dir": "{new}", "classes": ["lorry"]}, "classes", "no such class"),
        ({"out_dir": "{new}"}, None, ""),
        ({"out_dir": "{new}", "format": "tfrecord"}, "format", "'tfrecord' - use one of coco, yolo, voc"),
    ],
)
def test_form_errors(app, painted: fo.Dataset, tmp_path: Path, params: dict, field: str | None, words: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    (tmp_path / "hand" / "annotations").mkdir(parents=True)
    with replacing_folder(tmp_path / "old", "coco", overwrite=False) as fresh:
        (fresh / "annotations").mkdir()
    names = ("full", "new", "old", "hand")
    paths = {"file": tmp_path / "full" / "file", **{name: tmp_path / name for name in names}}
    params = {**params, "out_dir": params["out_dir"].format(**paths)}
    problems = app.problems("export_samples", painted, **{"source": "attention", "format": "coco", **params})
    assert list(problems) == ([field] if field else [])
    assert words in "".join(problems.values())


def test_form_says_how_much_it_will_be(app, painted: fo.Dataset, tmp_path: Path, monkeypatch) -> None:
    form = app.form("export_samples", painted, source="attention", out_dir=str(tmp_path / "new"))
    objects = painted.count("attention_instances.detections")
    view = form["size"]["view"]
    assert view["label"].startswith(f"4 images with {objects} objects, about ") and view["label"].endswith(" kB")
    assert (view["name"], view["description"].endswith(" free there")) == ("Notice", True)
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    problems = app.problems("export_samples", painted, source="attention", out_dir=str(tmp_path / "new"))
    assert "are needed and 1 Byte are free" in problems["out_dir"] and "another disk" in problems["out_dir"]


@pytest.mark.parametrize(
    ("format", "file", "first_step"),
    [
        (
            "coco",
            "**/*.json",
            ("read_with", "from pycocotools.coco import COCO; coco = COCO('{}/annotations/train.json')"),
        ),
        ("yolo", "data.yaml", ("train_with", "yolo segment train model=yolov8n-seg.pt data={}/data.yaml")),
        (
            "semantic",
            "masks/*/*.png",
            (
                "read_with",
                "import fiftyone as fo; dataset = fo.Dataset.from_dir(dataset_dir='{}', dataset_type="
                "fo.types.ImageSegmentationDirectory, data_path='images/train', labels_path='masks/train')",
            ),
        ),
    ],
)
def test_run_writes_the_folder(
    app, painted: fo.Dataset, tmp_path: Path, format: str, file: str, first_step: tuple[str, str]
) -> None:
    params = {"source": "attention", "format": format, "out_dir": str(tmp_path / "out"), "splits": "train=0.5,val=0.5"}
    told = app.stream("export_samples", painted, **params)
    assert app.said(told) == ("Success", f"4 images exported to {tmp_path / 'out'}")
    name, step = first_step
    assert told[-1][1]["results"][name] == step.format(tmp_path / "out")
    assert list((tmp_path / "out").glob(file))
    assert "reload_dataset" not in dict(told)
