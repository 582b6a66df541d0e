"""The head of a README.md by which Hugging Face's ``datasets`` knows splits and their files."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from diffucurate.generator.errors import ExportError
from diffucurate.generator.exports.about import About


def check_split(name: str) -> None:
    """Raise an ExportError unless ``datasets`` takes ``name`` for a split's."""
    if not re.fullmatch(r"\w+(\.\w+)*", name) or name == "all":
        raise ExportError(
            f"split '{name}': Hugging Face's datasets reads names of letters, digits, '_' and '.' only, and not 'all'; "
            "rename it, as in train=0.8,val=0.2"
        )


def front_matter(about: About, patterns: Mapping[str, str]) -> str:
    """The YAML head of the README.md; ``patterns`` are each split's files, relative to it."""
    content = {
        **({} if about.licence is None else {"license": about.licence}),
        "pretty_name": about.name,
        "task_categories": ["image-segmentation", "object-detection"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": pattern} for split, pattern in patterns.items()],
            }
        ],
    }
    return f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}---\n\n"
