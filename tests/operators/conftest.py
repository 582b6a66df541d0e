"""The plugin as FiftyOne's loader finds it, and a dataset of rendered scenes whose attention maps were kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from painted_once import PaintedOnce

from diffucurate.generator.tiny.scenes import Scene, real_scenes
from diffucurate.generator.tiny.shapes import CLASSES

if TYPE_CHECKING:
    import fiftyone as fo

ROOT = Path(__file__).parents[2]
PREFIX = "@diffucurate/diffucurate/"


class App:
    """What the App does to an operator, without the App: resolve its form, run it as a stream or in one go."""

    def form(self, name: str, dataset: fo.Dataset | None, /, **params: Any) -> dict[str, Any]:
        """The form's fields as the App gets them: name -> JSON of the property."""
        property = self._operator(name).resolve_type(self._context(name, dataset, params), "inputs")
        return property.to_json()["type"]["properties"]

    def form_of(
        self, name: str, dataset: fo.Dataset, *, selected: Iterable[str] = (), opened: str | None = None, **params: Any
    ) -> dict[str, Any]:
        """As ``form``, while samples are selected in the grid or one is open."""
        context = self._context(name, dataset, params)
        context.request_params |= {"selected": list(selected), "current_sample": opened}
        return self._operator(name).resolve_type(context, "inputs").to_json()["type"]["properties"]

    def problems(self, name: str, dataset: fo.Dataset | None, /, **params: Any) -> dict[str, str]:
        """Field -> message, of the fields that keep the form from being submitted."""
        fields = self.form(name, dataset, **params).items()
        return {field: prop["error_message"] for field, prop in fields if prop["invalid"]}

    def stream(
        self, name: str, dataset: fo.Dataset | None, /, *, selected: tuple[str, ...] = (), **params: Any
    ) -> list[tuple[str, dict[str, Any]]]:
        """Run as the App does; what it is told to do, in order: (operator, params)."""
        import asyncio

        from fiftyone.operators.executor import execute_or_delegate_operator

        request = {**self._request(dataset, params), "selected": list(selected)}
        result = asyncio.run(execute_or_delegate_operator(PREFIX + name, request))
        assert result.error is None, result.error
        return [(message.body.operator_uri, message.body.params) for message in result.result]

    @staticmethod
    def said(told: list[tuple[str, dict[str, Any]]]) -> tuple[str, str]:
        """The headline of the dialog that ends a run: ("Success" or "Error", its sentence)."""
        name, params = told[-1]
        assert name == "show_output"
        view = params["outputs"]["type"]["properties"]["headline"]["view"]
        return view["name"], view["label"] if view["name"] == "Success" else view["description"]

    def options(self, name: str, dataset: fo.Dataset, *, from_app: bool) -> Any:
        context = self._context(name, dataset, {})
        if not from_app:
            del context.request_params["filters"]
        return self._operator(name).resolve_execution_options(context)

    def _operator(self, name: str) -> Any:
        import fiftyone.operators as foo

        return foo.get_operator(PREFIX + name)

    def _context(self, name: str, dataset: fo.Dataset | None, params: dict[str, Any]) -> Any:
        from fiftyone.operators.executor import ExecutionContext, Executor

        return ExecutionContext(self._request(dataset, params), Executor(), operator_uri=PREFIX + name)

    def _request(self, dataset: fo.Dataset | None, params: dict[str, Any]) -> dict[str, Any]:
        # The keys that the App sends with every request and that a call from Python does not have.
        app = {"filters": {}, "extended": None, "view": [], "selected": [], "current_sample": None}
        return {"dataset_name": dataset.name if dataset is not None else None, "params": dict(params), **app}


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    import fiftyone as fo

    folder, usual = tmp_path_factory.mktemp("plugins"), fo.config.plugins_dir
    (folder / "diffucurate").symlink_to(ROOT)
    fo.config.plugins_dir = str(folder)
    yield App()
    fo.config.plugins_dir = usual


@pytest.fixture(scope="session")
def scenes() -> list[Scene]:
    return real_scenes(4, seed=3)


@pytest.fixture(scope="session")
def painted_once(scenes: list[Scene], tmp_path_factory: pytest.TempPathFactory) -> Iterator[fo.Dataset]:
    """Samples as ``generate`` leaves them, with class maps drawn from the scenes' exact masks."""
    import fiftyone as fo

    from diffucurate.generator.labels.from_heatmaps import labels_from_heatmaps
    from diffucurate.generator.labels.maps.stored_maps import as_stored
    from diffucurate.plugin.store.classes import extend_classes
    from diffucurate.plugin.store.label_files import store_heatmaps, store_labels
    from diffucurate.plugin.store.media_files import write_png
    from diffucurate.plugin.store.schema import declare_heatmaps, declare_label_fields

    dataset, folder = fo.Dataset(), tmp_path_factory.mktemp("painted")
    classes = list(extend_classes(dataset, {name: [name] for name in CLASSES}))
    declare_heatmaps(dataset, classes)
    declare_label_fields(dataset, "attention", classes)
    samples = []
    for index, scene in enumerate(scenes):
        shape, stem = scene.image.shape[:2], f"{index}-test"
        masks = {name: np.float32(scene.class_mask([name])) for name in {thing.label for thing in scene.objects}}
        maps = as_stored(
            {name: cv2.GaussianBlur(cv2.resize(mask, (64, 64)), (5, 5), 0) for name, mask in masks.items()}
        )
        image = write_png(folder / "images" / f"{index}.png", scene.image)
        values = store_heatmaps(maps, shape, folder, stem)
        labels = labels_from_heatmaps(maps, shape, classes, image=scene.image)
        values |= store_labels("attention", labels, folder, stem)
        samples.append(fo.Sample(filepath=str(image), prompt=scene.caption, **values))
    dataset.add_samples(samples)
    yield dataset
    dataset.delete()


@pytest.fixture
def painted(painted_once: fo.Dataset) -> Iterator[fo.Dataset]:
    """``painted_once`` in a copy of the test's own; the files are shared, and what is written goes elsewhere."""
    copy = painted_once.clone()
    yield copy
    copy.delete()


@pytest.fixture(scope="session")
def random_pipeline(model_folder: str) -> Path:
    """The folder of a pipeline of the real classes with random weights, which paints noise in no time."""
    return Path(model_folder)


@pytest.fixture(scope="session")
def twice_labelled_once(painted_once: fo.Dataset) -> Iterator[fo.Dataset]:
    """``painted_once`` with a second source, ``shifted``: the same instances but the last of each sample."""
    import fiftyone as fo

    from diffucurate.plugin.store.schema import declare_label_fields

    dataset = painted_once.clone()
    declare_label_fields(dataset, "shifted", CLASSES)
    for sample in dataset:
        kept = [detection.copy() for detection in sample.attention_instances.detections][:-1]
        sample["shifted_instances"] = fo.Detections(detections=kept)
        sample.save()
    yield dataset
    dataset.delete()


@pytest.fixture
def twice_labelled(twice_labelled_once: fo.Dataset) -> Iterator[fo.Dataset]:
    """``twice_labelled_once`` in a copy of the test's own."""
    copy = twice_labelled_once.clone()
    yield copy
    copy.delete()


@pytest.fixture(scope="session")
def noise_once(model_folder: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaintedOnce]:
    recipe = {
        "dataset": "noise",
        "model": model_folder,
        "size": [64, 64],
        "steps": 1,
        "seeds": 2,
        "classes": {"vehicle": ["bus", "coach"]},
        "templates": ["a {colour} bus"],
        "attributes": {"colour": ["red", "blue"]},
    }
    once = PaintedOnce(recipe, tmp_path_factory.mktemp("noise"))
    yield once
    once.delete()


@pytest.fixture
def noise(noise_once: PaintedOnce) -> Iterator[fo.Dataset]:
    """Four painted images of noise: a red bus and a blue one, each with two seeds."""
    with noise_once.copy() as dataset:
        yield dataset
