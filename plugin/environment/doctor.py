"""Checks of everything that Diffucurate needs, each with a remedy. Repairs nothing.

Each check tries the real thing (connects, loads, imports) instead of inferring it from files alone.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

from diffucurate.plugin.environment import database

PLUGIN = "@diffucurate/diffucurate"
#: The folder that FiftyOne has to find in its plugins folder.
ROOT = Path(__file__).resolve().parents[2]


#: The distributions that install cv2; FiftyOne requires the second.
_OPENCV = ("opencv-python", "opencv-python-headless")


class Check(NamedTuple):
    """One finding: ``fail`` stops the work, ``warn`` leaves something out; ``remedy`` is empty where all is well."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    remedy: str = ""


def checks() -> Iterator[Check]:
    """Every check in turn, the quick ones first; a check that raises becomes a finding."""
    yield _python()
    every: tuple[tuple[str, Callable[[], Check]], ...] = (
        ("packages", _packages),
        ("opencv", _opencv),
        ("ultralytics", _ultralytics),
        ("compel", _compel),
        ("database", _database),
        ("device", _device),
        ("built-in model", _built_in_model),
        ("built-in YOLO", _built_in_yolo),
        ("plugin", _plugin),
    )
    for name, check in every:
        try:
            yield check()
        except Exception as error:
            text = " ".join(str(error).split())
            yield Check(name, "fail", f"{type(error).__name__}: {text}", "see the message")


def _python() -> Check:
    state: Literal["ok", "fail"] = "ok" if tuple(map(int, platform.python_version_tuple()[:2])) >= (3, 11) else "fail"
    remedy = "" if state == "ok" else "use Python 3.11 or later"
    return Check("python", state, f"{platform.python_version()} on {platform.platform()}", remedy)


def _required() -> list[str]:
    """What the installed distribution requires, or the bare folder's own list."""
    try:
        listed = metadata.requires("diffucurate") or []
    except metadata.PackageNotFoundError:
        listed = [*(ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines(), "fiftyone"]
    return [line for line in listed if line.strip() and not line.startswith("#") and "extra ==" not in line]


def _packages() -> Check:
    from packaging.requirements import Requirement

    installed, wrong, remedies = [], [], []
    for requirement in map(Requirement, _required()):
        name = requirement.name
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            # The headless build is the same module under another name.
            if name != "opencv-python" or importlib.util.find_spec("cv2") is None:
                wrong.append(f"{name} is missing")
                remedies.append(f"'{name}{requirement.specifier}'")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{name} {version} is not {requirement.specifier}")
            remedies.append(f"'{name}{requirement.specifier}'")
        installed.append(f"{name} {version}")
    if wrong:
        return Check("packages", "fail", "; ".join(wrong), f"pip install {' '.join(remedies)}")
    return Check("packages", "ok", ", ".join(installed))


def _opencv() -> Check:
    from packaging.version import Version

    try:
        import cv2
    except ImportError as error:
        remedy = "install the system library it names (on Debian and Ubuntu: apt-get install libgl1 libglib2.0-0)"
        return Check("opencv", "fail", f"cv2 cannot be imported: {error}", remedy)
    # Both distributions install the one folder cv2: of two versions its files are a mixture.
    versions = _versions(_OPENCV)
    if len(versions) < 2 or (len(set(versions.values())) == 1 and all(map(_below_5, versions.values()))):
        return Check("opencv", "ok", f"cv2 {cv2.__version__}")
    usable = max(filter(_below_5, versions.values()), key=Version, default=None)
    wanted = " ".join(f"'{name}>=4.10,<5'" if usable is None else f"'{name}=={usable}'" for name in versions)
    listed = " and ".join(f"{name} {version}" for name, version in versions.items())
    return Check(
        "opencv",
        "warn",
        f"{listed} overwrite each other's files in cv2/, now {cv2.__version__}; both must be of one version below 5",
        f"pip install --force-reinstall --no-deps {wanted}",
    )


def _versions(names: Sequence[str]) -> dict[str, str]:
    """Distribution -> version of those that are installed."""
    versions = {}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def _below_5(version: str) -> bool:
    from packaging.version import Version

    return Version(version).major < 5


def _ultralytics() -> Check:
    if importlib.util.find_spec("ultralytics") is None:
        return Check(
            "ultralytics", "warn", "not installed: no labels from YOLOv8", "pip install 'diffucurate[yolo]' (AGPL-3.0)"
        )
    try:
        import torchvision
    except Exception as error:
        detail = f"torchvision does not fit torch: {' '.join(str(error).split())}"
        return Check("ultralytics", "fail", detail, "pip install --upgrade torch torchvision")
    return Check("ultralytics", "ok", f"{metadata.version('ultralytics')}, torchvision {torchvision.__version__}")


def _compel() -> Check:
    if importlib.util.find_spec("compel") is None:
        return Check(
            "compel", "warn", "not installed: no prompt weights such as car++", "pip install 'diffucurate[prompts]'"
        )
    return Check("compel", "ok", metadata.version("compel"))


def _database() -> Check:
    uri, program = database.configured_uri(), database.mongod()
    if uri is None and program is None:
        package = database.missing_package()
        remedy = "install MongoDB and set FIFTYONE_DATABASE_URI=mongodb://localhost:27017"
        if package:
            remedy = f"pip install --no-deps {package}"
        return Check("database", "fail", "FiftyOne came without its database server", remedy)
    if uri is None and program is not None and not os.access(program, os.X_OK):
        return Check("database", "fail", f"{program} is not executable", f"chmod +x '{program}'")
    where = "the server in FIFTYONE_DATABASE_URI or FiftyOne's config" if uri else str(program)
    try:
        if uri is not None:
            # FiftyOne itself would wait half a minute for a server that is not there.
            from pymongo import MongoClient

            MongoClient(uri, serverSelectionTimeoutMS=3000).admin.command("ping")
        import fiftyone as fo

        from diffucurate.plugin import fiftyone_private

        version = fiftyone_private.database().client.server_info()["version"]
    except Exception as error:
        text = " ".join(str(error).split())
        remedy = (
            "start that server or unset its address"
            if uri
            else "see FiftyOne's log under ~/.fiftyone/var/lib/mongo/log"
        )
        return Check("database", "fail", f"{where} does not answer: {text[:200]}", remedy)
    return Check("database", "ok", f"MongoDB {version}, {where}, {len(fo.list_datasets())} datasets")


def _device() -> Check:
    import torch
    from humanize import naturalsize

    from diffucurate.generator.models.load import default_device

    device, reason = default_device()
    if device == "cuda":
        memory = naturalsize(torch.cuda.get_device_properties(0).total_memory, binary=True)
        return Check("device", "ok", f"cuda ({reason}, {memory}), torch {torch.__version__}")
    cores = f", {os.cpu_count()} cores" if device == "cpu" else ""
    return Check("device", "ok", f"{device} ({reason}{cores}), torch {torch.__version__}")


def _built_in_model() -> Check:
    from humanize import naturalsize

    from diffucurate.generator.errors import ModelError
    from diffucurate.generator.models.built_in import pipeline_folder
    from diffucurate.generator.models.load import load_pipeline
    from diffucurate.plugin.environment.red_car import red_inside_and_outside

    remedy = "install Diffucurate again, or make train-tiny in a checkout"
    start = time.perf_counter()
    try:
        pipe = load_pipeline("tiny", device="cpu")
        inside, outside = red_inside_and_outside(pipe)
    except ModelError as error:
        return Check("built-in model", "fail", str(error), remedy)
    seconds = time.perf_counter() - start
    size = naturalsize(sum(path.stat().st_size for path in pipeline_folder().rglob("*") if path.is_file()))
    if inside < 0.2 or outside > 0.05:
        shares = f"{inside:.0%} of what is labelled car is red and {outside:.0%} of the rest"
        return Check(
            "built-in model", "fail", f"it was asked for a red car and painted something else: {shares}", remedy
        )
    return Check("built-in model", "ok", f"{size}, loaded and a red car painted and labelled in {seconds:.1f} s")


def _built_in_yolo() -> Check:
    from humanize import naturalsize

    from diffucurate.generator.models.built_in import yolo_path

    path = yolo_path()
    if not path.is_file():
        return Check(
            "built-in YOLO", "fail", f"{path} is missing", "install Diffucurate again, or make train-tiny in a checkout"
        )
    size = naturalsize(path.stat().st_size)
    if importlib.util.find_spec("ultralytics") is None:
        return Check("built-in YOLO", "ok", f"{size}, not tried: ultralytics is not installed")
    from diffucurate.generator.sources.yolov8_source import YoloSource
    from diffucurate.generator.tiny import CLASSES

    start = time.perf_counter()
    YoloSource(CLASSES, device="cpu")
    return Check("built-in YOLO", "ok", f"{size}, loaded in {time.perf_counter() - start:.1f} s")


def _plugin() -> Check:
    import fiftyone as fo
    import fiftyone.operators as foo
    import fiftyone.plugins as fop

    folder = Path(fo.config.plugins_dir)
    enabled = {plugin.name: Path(plugin.directory) for plugin in fop.list_plugins()}
    if PLUGIN not in enabled:
        if PLUGIN in fop.list_downloaded_plugins():
            return Check("plugin", "warn", "it is disabled in FiftyOne", f"fiftyone plugins enable {PLUGIN}")
        remedy = f"mkdir -p '{folder}' && ln -s '{ROOT}' '{folder / 'diffucurate'}'"
        return Check("plugin", "warn", f"FiftyOne's App does not see it in {folder}", remedy)
    operators = [operator.name for operator in foo.list_operators() if operator.plugin_name == PLUGIN]
    if not operators:
        return Check("plugin", "fail", "FiftyOne sees it but could not load it", "start the App and read its log")
    seen = enabled[PLUGIN].resolve()
    if seen != ROOT:
        remedy = f"remove {enabled[PLUGIN]} and link {ROOT} there, so that both are of one version"
        return Check("plugin", "warn", f"the App uses another copy, {seen}", remedy)
    return Check("plugin", "ok", f"{len(operators)} operators: {', '.join(sorted(operators))}")
