"""The real App in a real browser: one server and one headless Chromium for all scenarios of a process, screenshots.

Each scenario has a session of the server and a context of the browser that know nothing of those before. Where one
fails, all of that is started anew.

Screenshots go to ``DIFFUCURATE_SCREENSHOTS``, by default ``build/screenshots``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from _pytest.runner import runtestprotocol
from app_server import AppServer, app_server

from diffucurate.generator.tiny.scenes import real_scenes
from diffucurate.generator.tiny.shapes import CLASSES

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

ROOT = Path(__file__).parents[2]
SCREENSHOTS = Path(os.environ.get("DIFFUCURATE_SCREENSHOTS", ROOT / "build" / "screenshots"))
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


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
        with suppress(Exception):  # what fails to end was reported with the test, or is no part of it
            item.session._setupstate.teardown_exact(None)  # the server and the browser are started anew ...
        item._initrequest()  # ... and its fixtures made anew
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


@pytest.fixture(scope="package")
def server(plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    folder = tmp_path_factory.mktemp("app")
    environment = {"FIFTYONE_PLUGINS_DIR": str(plugins), "DIFFUCURATE_MEDIA_DIR": str(folder / "media")}
    with app_server(folder, **environment) as server:
        yield server


@pytest.fixture(scope="package")
def running_chromium(chromium: str) -> Iterator[Browser]:
    """The browser, for the tests of this folder only: no event loop can be run beside Playwright's."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=120_000)  # torch is imported, models are loaded
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield running
        running.close()


@pytest.fixture
def browser(running_chromium: Browser) -> Iterator[BrowserContext]:
    """A context of the browser without cookies, storage and cache of those before."""
    context = running_chromium.new_context(viewport={"width": 1440, "height": 900}, device_scale_factor=1)
    context.set_default_timeout(120_000)
    context.add_init_script("window.IS_PLAYWRIGHT = true")  # no promotional popover, which swallows clicks
    yield context
    context.close()


@pytest.fixture
def open_app(browser: BrowserContext, server: AppServer) -> Callable[[fo.Dataset | None], Page]:
    """A fresh App on a dataset, its first images drawn, or on none: ``open_app(dataset) -> page``.

    A server sends all its pages to what its session shows, so a test opens one page.
    """

    def open_app(dataset: fo.Dataset | None) -> Page:
        if dataset is not None:
            dataset.persistent = True  # the server is a process of its own
        address, page = server.show(dataset.name if dataset is not None else None), browser.new_page()
        page.goto(address)
        first = page.get_by_text("browse operations") if dataset is None else page.locator('[data-cy="looker"]').first
        first.wait_for()
        return page

    return open_app


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
