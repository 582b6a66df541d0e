"""Where the training of a segmenter may start: decided without torch and Ultralytics, so that forms can ask."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.sources.extras import ULTRALYTICS
from diffucurate.generator.sources.yolov8_checkpoint import check_checkpoint


def check_start(start: str, *, trust_pickle: bool = False) -> None:
    """See that training can start there, before anything is written.

    Raises:
        InvalidSetting: no such architecture.
        ModelError: Ultralytics is not installed; no such file, or one that cannot be read safely.
    """
    if not ULTRALYTICS.installed:
        raise ModelError(ULTRALYTICS.remedy("Training a segmenter"))
    if start.endswith(".pt"):
        path = Path(start).expanduser()
        if not path.is_file():
            raise ModelError(f"'{start}' is no file on this machine; give the full path of a .pt file")
        if not trust_pickle:
            check_checkpoint(path)
    elif _without_scale(start) not in (known := _architectures()):
        some = ", ".join(sorted(name for name in known if name[-5:-4].isdigit())[:4])
        remedy = f"give a .pt file or an architecture, as {some} with a size before the hyphen, such as yolov8n-seg"
        raise InvalidSetting("start", start, remedy)


@cache
def _architectures() -> frozenset[str]:
    """The names of Ultralytics' segmenters, by its files: importing it would take seconds."""
    spec = find_spec(ULTRALYTICS.module)
    folder = Path(spec.origin or "").parent if spec is not None else Path()
    return frozenset(path.stem for path in (folder / "cfg" / "models").rglob("*-seg.yaml"))


def _without_scale(architecture: str) -> str:
    """``yolov8-seg`` for ``yolov8n-seg``: Ultralytics has one file for all sizes of an architecture."""
    stem, _, rest = architecture.partition("-")
    return f"{stem[:-1]}-{rest}" if stem[-1:] in {"n", "s", "m", "l", "x"} else architecture
