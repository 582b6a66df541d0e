"""The real App in a real browser: a server of its own for each, headless Chromium, screenshots.

Screenshots go to ``DIFFUCURATE_SCREENSHOTS``, by default ``build/screenshots``.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from _pytest.runner import runtestprotocol

from diffucurate.generator.tiny.scenes import real_scenes
from diffucurate.generator.tiny.shapes import CLASSES

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import BrowserContext, Locator, Page

ROOT = Path(__file__).parents[2]
SCREENSHOTS = Path(os.environ.get("DIFFUCURATE_SCREENSHOTS", ROOT / "build" / "screenshots"))
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

SERVER = """
    import sys
    import fiftyone as fo

    port, *names = sys.argv[1:]
    dataset = fo.load_dataset(names[0]) if names else None
    fo.launch_app(dataset, address="127.0.0.1", port=int(port), remote=True).wait(-1)
"""


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """A test of the App that fails is run once more: two browsers on two busy cores are not always in time.

    What failed is kept beside the screenshots, in ``failed-once-<test>.txt``.
    """
    if item.get_closest_marker("app") is None or not isinstance(item, pytest.Function):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if failures := [report for report in reports if report.failed]:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        (SCREENSHOTS / f"failed-once-{item.name}.txt").write_text("\n\n".join(each.longreprtext for each in failures))
        item._initrequest()  # its fixtures are made anew
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


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

    from diffucurate.generator.labels.maps.stored_maps import as_stored
    from diffucurate.plugin.appearance.scheme import show_fields
    from diffucurate.plugin.store import field_names
    from diffucurate.plugin.store.classes import extend_classes
    from diffucurate.plugin.store.label_files import store_heatmaps
    from diffucurate.plugin.store.media_files import write_png
    from diffucurate.plugin.store.schema import declare_heatmaps

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
    show_fields(dataset, [field_names.heatmap(name) for name in CLASSES])
    return dataset


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plugins directory that holds this one."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "diffucurate").symlink_to(ROOT)
    return folder


@contextmanager
def _server(plugins: Path, folder: Path, *dataset: str) -> Iterator[str]:
    """A server that shows the named dataset, if any, and whose log and media are in ``folder``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log, address = folder / "server.log", f"http://127.0.0.1:{port}"
    environment = {"FIFTYONE_PLUGINS_DIR": str(plugins), "DIFFUCURATE_MEDIA_DIR": str(folder / "media")}
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(SERVER), str(port), *dataset],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_for(address, server, log)
            yield address
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


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
def browser(chromium: str, tmp_path: Path) -> Iterator[BrowserContext]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=120_000)  # torch is imported, models are loaded
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(tmp_path / "browser"),
            executable_path=chromium,
            args=list(FLAGS),
            viewport={"width": 1440, "height": 900},
            device_scale_factor=1,
        )
        context.set_default_timeout(120_000)
        context.add_init_script("window.IS_PLAYWRIGHT = true")  # no promotional popover, which swallows clicks
        yield context
        context.close()


@pytest.fixture
def open_app(browser: BrowserContext, plugins: Path, tmp_path: Path) -> Iterator[Callable[[fo.Dataset | None], Page]]:
    """A fresh App on a dataset, its first images drawn, or on none: ``open_app(dataset) -> page``.

    A server sends all its pages to what its own session shows, so each page has a server of its own.
    """
    with ExitStack() as stack:

        def open_app(dataset: fo.Dataset | None) -> Page:
            names = []
            if dataset is not None:
                dataset.persistent = True  # the server is a process of its own
                names.append(dataset.name)
            address, page = stack.enter_context(_server(plugins, tmp_path, *names)), browser.new_page()
            page.goto("/".join([address, *(f"datasets/{name}" for name in names)]))
            (page.locator('[data-cy="looker"]').first if names else page.get_by_text("browse operations")).wait_for()
            return page

        yield open_app


@pytest.fixture
def page(streets: fo.Dataset, open_app: Callable[[fo.Dataset | None], Page]) -> Page:
    """The App on ``streets``, its first images drawn."""
    return open_app(streets)


@pytest.fixture(scope="session")
def open_form() -> Callable[[Page, str], Locator]:
    """Opens an operator's form from the operator browser: ``open_form(page, "Label images") -> form``."""

    from playwright.sync_api import TimeoutError as NotYet

    def open_form(page: Page, label: str) -> Locator:
        browser = page.locator('[data-cy="operators-browser"]')
        for _ in range(6):
            page.keyboard.press("Backquote")
            with suppress(NotYet):  # a dialog still closing, or a page still settling, swallows the key
                browser.wait_for(timeout=10_000)
                break
        browser.locator("input").fill(label)
        browser.get_by_text(label, exact=True).wait_for()
        page.keyboard.press("Enter")
        form = page.locator('[data-cy="operators-prompt-modal"]')
        form.wait_for()
        return form

    return open_form


@pytest.fixture(scope="session")
def field() -> Callable[[Locator, str], Locator]:
    """The box in which something can be typed below a label: ``field(form, "Dataset")``."""

    def field(form: Locator, label: str) -> Locator:
        below = "following::*[self::input or self::textarea][1]"
        return form.locator(f'xpath=.//*[normalize-space(text())="{label}"]/{below}')

    return field


@pytest.fixture(scope="session")
def open_sample() -> Callable[[Page], Locator]:
    """Opens the first sample of the grid: ``open_sample(page) -> its image``."""

    def open_sample(page: Page) -> Locator:
        image = page.locator('[data-cy="modal"] [data-cy="modal-looker-container"]')
        for _ in range(3):
            page.locator('[data-cy="looker"]').first.click()
            image.wait_for()
            page.wait_for_timeout(3000)
            # On a slow machine a late update of the session, which knows of no open sample, closes it again.
            if image.count():
                break
        return image

    return open_sample


@pytest.fixture
def screenshot(browser: BrowserContext) -> Callable[[str], Path]:
    """Takes a picture of the page that was opened last: ``screenshot("grid")``."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)

    def take(name: str) -> Path:
        path = SCREENSHOTS / f"{name}.png"
        browser.pages[-1].screenshot(path=str(path))
        return path

    return take
