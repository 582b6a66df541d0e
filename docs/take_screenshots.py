"""Takes the pictures of the App for README and docs: ``python docs/take_screenshots.py <address of a dataset>``.

Start the App first, for instance with ``diffucurate demo``, and give the address that it prints, followed by
``/datasets/diffucurate-demo``. The pictures are of what is really there: whichever images the model has painted, the
forms as they are, and the Curation panel after the two label sources were compared once more. Needs Chromium and the
extra ``dev``.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

#: Tiles, heatmaps and charts draw one after the other, and nothing says when the last one is there.
DRAWING_MS = 8_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "images")
    parser.add_argument("--sample", type=int, default=0, help="which image of the grid is opened")
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    expect.set_options(timeout=60_000)
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=shutil.which("chromium"), args=list(FLAGS), viewport={"width": 1440, "height": 860}
        )
        context.set_default_timeout(60_000)
        context.add_init_script("window.IS_PLAYWRIGHT = true")  # no promotional popover
        page = context.new_page()
        page.goto(arguments.address)
        page.locator('[data-cy="looker"]').first.wait_for()
        grid(page, arguments.folder)
        form(page, arguments.folder)
        panel(page, arguments.folder)
        heatmap(page, arguments.folder, arguments.sample)  # last: the server remembers what is open
        context.close()


def grid(page: Page, folder: Path) -> None:
    page.wait_for_timeout(3 * DRAWING_MS)  # the first time slowly
    page.screenshot(path=str(folder / "app-grid.png"))


def form(page: Page, folder: Path) -> None:
    shown = open_form(page, "Generate images")
    expect(shown.get_by_text("images for dataset")).to_be_visible()
    page.wait_for_timeout(DRAWING_MS)
    page.screenshot(path=str(folder / "app-generate.png"))
    shown.get_by_role("button", name="Cancel").click()


def panel(page: Page, folder: Path) -> None:
    """The panel opens by itself on the result of a comparison."""
    shown = open_form(page, "Compare sources")
    shown.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_text("agree to")).to_be_visible()
    page.get_by_role("button", name="Done").click()
    curation = page.locator('[data-cy="panel-content-curation"]')
    expect(curation.get_by_text("Objects that both found, or only one")).to_be_visible()
    page.mouse.move(1, 1)  # no tooltip in the picture
    page.wait_for_timeout(DRAWING_MS)
    page.screenshot(path=str(folder / "app-panel.png"))
    page.locator('[data-cy="panel-tab-curation"] svg').last.click()  # beside a panel, no click opens an image
    curation.wait_for(state="hidden")
    page.wait_for_timeout(DRAWING_MS)


def heatmap(page: Page, folder: Path, sample: int) -> None:
    """One image large, with the heatmaps of its classes and nothing over them."""
    page.locator('[data-cy="looker"]').nth(sample).click()
    modal = page.locator('[data-cy="modal"]')
    modal.locator('[data-cy="modal-looker-container"]').wait_for()
    page.wait_for_timeout(DRAWING_MS)
    for box in modal.locator('[data-cy^="checkbox-"]').all():
        wanted = str(box.get_attribute("data-cy")).startswith("checkbox-heatmap_")
        ticked = box.get_by_role("checkbox").or_(box.locator("input[type=checkbox]")).first.is_checked()
        if ticked != wanted and (wanted or str(box.get_attribute("data-cy")).endswith("_instances")):
            box.click()
    page.wait_for_timeout(DRAWING_MS)
    page.screenshot(path=str(folder / "app-heatmap.png"))


def open_form(page: Page, label: str) -> Locator:
    """Open an operator's form as a person does, from the list of operators."""
    page.keyboard.press("Backquote")
    browser = page.locator('[data-cy="operators-browser"]')
    browser.locator("input").fill(label)
    browser.get_by_text(label, exact=True).wait_for()
    page.keyboard.press("Enter")
    shown = page.locator('[data-cy="operators-prompt-modal"]')
    shown.wait_for()
    return shown


if __name__ == "__main__":
    main()
