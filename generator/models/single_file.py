"""A model in one ``.safetensors`` file: what it is, by the names of its tensors, and how it becomes a pipeline.

Such a file holds weights only. Its model's configuration comes from a folder of the file's name beside it, else from
the local cache, else from the Hugging Face hub.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors import SafetensorError, safe_open

from diffucurate.generator.errors import ModelError
from diffucurate.generator.models.file_kinds import other_kind
from diffucurate.generator.models.hub import first_line
from diffucurate.generator.models.model_folder import check_folder
from diffucurate.generator.models.names import INDEX
from diffucurate.generator.models.whole_weights import check_no_empty_weights


def load_single_file(path: Path, **dtype: Any) -> Any:
    """The pipeline of a file of Stable Diffusion 1.x, 2.x or XL.

    Raises:
        ModelError: it is something else, or its configuration is neither here nor on the hub.
    """
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
    except (OSError, SafetensorError) as error:
        raise ModelError(f"'{path}' is not a .safetensors file: {first_line(error)}") from error
    if other := other_kind(names):
        raise ModelError(f"'{path}' is {other}")
    is_xl = any(name.startswith("conditioner.embedders.1.") for name in names)
    kind = StableDiffusionXLPipeline if is_xl else StableDiffusionPipeline
    pipe = _loaded(kind, path, dtype)
    check_no_empty_weights(str(path), pipe)
    return pipe


def _loaded(kind: Any, path: Path, dtype: dict[str, Any]) -> Any:
    beside = path.with_suffix("")
    with _with_usual_ending(path) as file:
        if (beside / INDEX).is_file():
            check_folder(str(beside), beside)
            tries: tuple[dict[str, Any], ...] = ({"config": str(beside), "local_files_only": True},)
        else:
            tries = ({"local_files_only": True}, {})
        for place in tries:
            try:
                return kind.from_single_file(str(file), **place, **dtype)
            # The Hub client, diffusers and transformers each have their own errors for what can go wrong here.
            except Exception as error:
                reason = first_line(error)
    raise ModelError(
        f"'{path}' could not be loaded as one {kind.__name__} ({reason}); a single file also needs its model's "
        f"configuration: from the folder '{beside.name}' beside it ({INDEX} and the configurations and tokenizers that "
        "it names), or from the Hugging Face hub or its cache - or give a diffusers folder"
    )


@contextmanager
def _with_usual_ending(path: Path) -> Iterator[Path]:
    """The file under a name that ends as diffusers expects; it takes ``.SAFETENSORS`` for a pickle."""
    if path.suffix == ".safetensors":
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "model.safetensors"
        link.symlink_to(path.resolve())
        yield link
