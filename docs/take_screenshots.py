"""Takes README's pictures of the App: ``python docs/take_screenshots.py http://127.0.0.1:5151/datasets/diffucurate-demo``.

Start the App first, for instance with ``diffucurate demo``. Needs Chromium and the extra ``dev``.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "images")
    parser.add_argument("--sample", type=int, default=0, help="which sample of the grid the second picture opens")
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=shutil.which("chromium"), args=list(FLAGS), viewport={"width": 1440, "height": 860}
        )
        context.add_init_script("window.IS_PLAYWRIGHT = true")  # no promotional popover
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(arguments.address)
        page.locator('[data-cy="looker"]').first.wait_for()
        page.wait_for_timeout(25_000)  # tiles draw one after the other, the first time slowly
        page.screenshot(path=str(arguments.folder / "app-grid.png"))
        page.locator('[data-cy="looker"]').nth(arguments.sample).click()
        page.locator('[data-cy="modal"] [data-cy="modal-looker-container"]').wait_for()
        page.wait_for_timeout(6_000)
        page.screenshot(path=str(arguments.folder / "app-heatmap.png"))
        context.close()


if __name__ == "__main__":
    main()
