"""What made an image, told in the App: its recipe goes back into the generate form, and it is painted again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.recipe.recipe import Recipe

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.app, pytest.mark.slow]


@pytest.fixture
def painted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[fo.Dataset]:
    """Two images of the built-in model."""
    from diffucurate.plugin.generation.generate import generate

    monkeypatch.setenv("DIFFUCURATE_MEDIA_DIR", str(tmp_path / "media"))
    dataset = generate(
        {
            "dataset": "traced-streets",
            "size": [128, 128],
            "steps": 8,
            "seeds": [3],
            "classes": {"car": ["car", "sedan"], "bus": ["bus"]},
            "templates": ["a {colour} {object} on a road at {time}"],
            "attributes": {"object": ["sedan", "bus"], "colour": ["red"], "time": ["noon"]},
        }
    )
    yield dataset
    dataset.delete()


def test_provenance_of_an_image(
    open_app: Callable[[fo.Dataset | None], Page],
    open_form: Callable[[Page, str], Locator],
    painted: fo.Dataset,
    screenshot: Callable[[str], Path],
) -> None:
    from playwright.sync_api import expect

    page = open_app(painted)
    tile = page.locator('[data-cy="looker"]').first
    tile.hover()
    box = tile.bounding_box()
    page.mouse.click(box["x"] + 18, box["y"] + 18)  # its checkbox
    form = open_form(page, "Show provenance")
    expect(form.get_by_text("a red sedan on a road at noon")).to_be_visible()
    expect(form.get_by_text("car (sedan)")).to_be_visible()
    expect(form.get_by_text(painted.first().run_key)).to_be_visible()
    page.wait_for_timeout(500)
    screenshot("provenance")

    form.get_by_text("Use as a recipe").click()
    form = page.locator('[data-cy="operators-prompt-modal"]')
    text = form.get_by_role("textbox").first
    expect(form.get_by_text("Write or paste a recipe")).to_be_visible()
    (job,) = jobs(Recipe.parse(text.input_value()))
    assert job.job_id == painted.first().job_id
    screenshot("provenance-recipe")
    form.get_by_role("button", name="Cancel").click()

    page.locator('[data-cy="looker"]').nth(1).click()
    page.locator('[data-cy="modal"] [data-cy="modal-looker-container"]').wait_for()
    page.get_by_text("Show provenance", exact=True).click()
    expect(form.get_by_text("a red bus on a road at noon")).to_be_visible()  # the open one, not the selected
    form.get_by_role("button", name="Paint again and compare").click()
    expect(page.get_by_text("it is identical: every pixel is the same")).to_be_visible(timeout=240_000)
    screenshot("provenance-identical")
