"""The real App in a real browser: a server of its own for each scenario, headless Chromium, screenshots.

Screenshots go to ``DIFFUCURATE_SCREENSHOTS``, by default ``build/screenshots``.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from diffucurate.generator.tiny.scenes import real_scenes
from diffucurate.generator.tiny.shapes import CLASSES

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

SERVER = """
    import sys
    import fiftyone as fo

    session = fo.launch_app(fo.load_dataset(sys.argv[1]), address="127.0.0.1", port=int(sys.argv[2]), remote=True)
    session.wait(-1)
"""


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None and os.environ.get("CI"):
        pytest.fail("no Chromium on this machine, and CI must run the tests of the App; install it")
    if found is None:
        pytest.skip("no Chromium on this machine; on Debian: apt-get install chromium")
    return found


@pytest.fixture
def streets(dataset: fo.Dataset, tmp_path: Path) -> fo.Dataset:
    """Scenes with the heatmaps and class maps that painting leaves, but no labels yet."""
    import fiftyone as fo

    from diffucurate.plugin import fields
    from diffucurate.plugin.classes import extend_classes
    from diffucurate.plugin.looks import show_fields
    from diffucurate.plugin.media import write_png
    from diffucurate.plugin.samples import declare_heatmaps
    from diffucurate.plugin.store import as_stored, store_heatmaps

    declare_heatmaps(dataset, extend_classes(dataset, {name: [name] for name in CLASSES}))
    samples = []
    for index, scene in enumerate(real_scenes(12, seed=5)):
        masks = {name: np.float32(scene.class_mask([name])) for name in {thing.label for thing in scene.objects}}
        maps = as_stored(
            {name: cv2.GaussianBlur(cv2.resize(mask, (32, 32)), (7, 7), 0) for name, mask in masks.items()}
        )
        image = write_png(tmp_path / "images" / f"{index}.png", scene.image)
        values = store_heatmaps(maps, scene.image.shape[:2], tmp_path, f"{index}-test")
        samples.append(fo.Sample(filepath=str(image), prompt=scene.caption, **values))
    dataset.add_samples(samples)
    dataset.persistent = True  # the server is a process of its own
    show_fields(dataset, [fields.heatmap(name) for name in CLASSES])
    return dataset


@pytest.fixture
def address(streets: fo.Dataset, tmp_path: Path) -> Iterator[str]:
    """Where a fresh server shows ``streets``, with the plugin linked into its plugins folder."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "diffucurate").symlink_to(ROOT)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (tmp_path / "server.log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SERVER), streets.name, str(port)],
        env={**os.environ, "FIFTYONE_PLUGINS_DIR": str(tmp_path / "plugins")},
        stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}/datasets/{streets.name}"
    try:
        _wait_for(url, server, tmp_path / "server.log")
        yield url
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)
        log.close()


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(0.5)
    raise RuntimeError(f"the App's server did not come up:\n{log.read_text()}")


@pytest.fixture
def page(address: str, chromium: str, tmp_path: Path) -> Iterator[Page]:
    """The App with its grid loaded and the plugin ready."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(tmp_path / "browser"), executable_path=chromium, args=list(FLAGS),
            viewport={"width": 1440, "height": 900}, device_scale_factor=1,
        )  # fmt: skip
        context.add_init_script("window.IS_PLAYWRIGHT = true")  # no promotional popover, which swallows clicks
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(address)
        page.locator('[data-cy="looker"]').first.wait_for()
        yield page
        context.close()


@pytest.fixture
def screenshot(page: Page) -> Callable[[str], Path]:
    folder = Path(os.environ.get("DIFFUCURATE_SCREENSHOTS", ROOT / "build" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)

    def take(name: str) -> Path:
        path = folder / f"{name}.png"
        page.screenshot(path=str(path))
        return path

    return take
