"""Loaded models are counted and released."""

from __future__ import annotations

from pathlib import Path


def test_loaded_models_are_released(app, random_pipeline: Path) -> None:
    import fiftyone.operators as foo

    from diffucurate.generator.models.load import held_memory, load_pipeline, release_models

    release_models()
    assert app.form("release_models", None)["held"]["view"]["label"] == "No model is loaded."
    size = sum(file.stat().st_size for file in random_pipeline.rglob("*.safetensors"))
    load_pipeline(str(random_pipeline), "cpu")
    models, held = held_memory()
    assert models == 1 and 0.8 * size < held < 1.2 * size
    assert app.form("release_models", None)["held"]["view"]["label"].startswith("1 model loaded: ")
    outcome, sentence = app.said(app.stream("release_models", None))
    assert (outcome, held_memory()) == ("Success", (0, 0)) and sentence.startswith("1 model released: ")
    operator = foo.get_operator("@diffucurate/diffucurate/release_models")
    assert operator() == {"models": 0, "bytes": 0}
