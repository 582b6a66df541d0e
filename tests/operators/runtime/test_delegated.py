"""Runs that are queued from Python and done by a second process, ``fiftyone delegated launch``."""

from __future__ import annotations

import os
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fiftyone.factory.repos import DelegatedOperationDocument

    Finished = tuple[DelegatedOperationDocument, list[tuple[float, str]]]
    Finish = Callable[[dict[str, Any]], Finished]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("app")]

RECIPE = """\
dataset: {dataset}
model: {model}
size: [64, 64]
steps: 2
seeds: 3
classes: {{car: [car]}}
templates: ["a red car on a road"]
"""


@pytest.fixture(scope="module")
def launched(app: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The log of a running service; FiftyOne ends it as a person does, with Ctrl-C."""
    import fiftyone as fo

    log = tmp_path_factory.mktemp("service") / "service.log"
    with log.open("w") as output:
        service = subprocess.Popen(
            [str(Path(sysconfig.get_path("scripts")) / "fiftyone"), "delegated", "launch"],
            env={**os.environ, "FIFTYONE_PLUGINS_DIR": fo.config.plugins_dir, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        yield log
        # To all of its processes, as a terminal would. A shell that starts pytest in the background makes its children
        # deaf to Ctrl-C, and then only this ends them.
        os.killpg(service.pid, signal.SIGINT)
        try:
            service.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(service.pid, signal.SIGTERM)
            service.wait(20)


@pytest.fixture
def finish(launched: Path) -> Finish:
    """Waits for a queued run; returns it as the App's list of runs has it, and the progress that was seen."""
    from fiftyone.operators.delegated import DelegatedOperationService
    from fiftyone.operators.executor import ExecutionRunState

    def finish(queued: dict[str, Any], seconds: float = 240) -> Finished:
        runs, seen, end = DelegatedOperationService(), [], time.monotonic() + seconds
        while time.monotonic() < end:
            run = runs.get(queued["id"])
            if run.status is not None and (run.status.progress, run.status.label) not in seen:
                seen.append((run.status.progress, run.status.label))
            if run.run_state in (ExecutionRunState.COMPLETED, ExecutionRunState.FAILED):
                return run, seen
            time.sleep(0.05)
        raise AssertionError(f"{queued['operator']} is still {run.run_state}:\n{launched.read_text()}")

    return finish


def test_generate_then_label_then_a_run_that_fails(finish: Finish, random_pipeline: Path) -> None:
    import fiftyone as fo
    import fiftyone.operators as foo

    name = "delegated-streets"
    generate_images = foo.get_operator("@diffucurate/diffucurate/generate_images")
    label_images = foo.get_operator("@diffucurate/diffucurate/label_images")
    try:
        queued = generate_images(recipe=RECIPE.format(dataset=name, model=random_pipeline), delegate=True)
        run, seen = finish(queued)
        assert run.run_state == "completed", run.result.error
        assert run.operator == generate_images.uri
        assert run.result.result["dataset"] == name and run.result.result["added"] == 3
        assert run.metadata["outputs_schema"], "the App's list of runs has nothing to show"
        assert seen[-1][0] == 1.0 and seen[-1][1].startswith("3 of 3")
        dataset = fo.load_dataset(name)
        assert len(dataset) == 3 and all(Path(path).is_file() for path in dataset.values("filepath"))

        run, seen = finish(label_images(dataset.limit(2), source="attention", delegate=True))
        assert run.run_state == "completed", run.result.error
        assert run.result.result["images"] == 2
        assert seen[-1][0] == 1.0 and seen[-1][1].startswith("2 of 2")
        assert run.dataset_id == dataset._doc.id

        dataset.reload()
        before = held(dataset)
        broken = RECIPE.format(dataset=name, model=random_pipeline).replace(
            "seeds: 3", "seeds: 4\nscheduler: flow-euler"
        )
        run, _ = finish(generate_images(recipe=broken, delegate=True))
        assert run.run_state == "failed"
        last = run.result.error.strip().splitlines()[-1]
        assert last.startswith("diffucurate.generator.errors.RecipeError: ") and "flow-euler" in last
        dataset.reload()
        assert held(dataset) == before
    finally:
        if fo.dataset_exists(name):
            fo.delete_dataset(name)


def held(dataset: Any) -> tuple[Any, ...]:
    """What a failed run must not touch."""
    return dataset.values("id"), sorted(dataset.get_field_schema()), dataset.list_runs(), dataset.info
