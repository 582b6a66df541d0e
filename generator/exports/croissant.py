"""The Croissant 1.0 description of an export: which files it has, and what the records in them hold.

Machines read it to find and load datasets (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.0.html).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffucurate.generator.exports.about import About

#: The file of the description.
CROISSANT = "croissant.json"

_CONFORMS_TO = "http://mlcommons.org/croissant/1.0"

#: The terms that the specification prescribes. Each of ``_OWN`` is Croissant's own under the same name.
_OWN = (
    "citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet", "format",
    "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex",
    "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
)  # fmt: skip
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _OWN},
}

Node = dict[str, Any]


def file_object(folder: Path, path: Path, media_type: str) -> Node:
    """A file of the export in ``folder``, with its digest. Its id is its path, relative to the folder."""
    name = path.relative_to(folder).as_posix()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "encodingFormat": media_type,
        "contentSize": f"{path.stat().st_size} B",
        "sha256": digest,
    }


def file_set(name: str, patterns: Mapping[str, str]) -> Node:
    """All files of the export whose relative path matches a pattern -> their media type.

    As in ``{"images/train/*.png": "image/png"}``.
    """
    types = list(dict.fromkeys(patterns.values()))
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "encodingFormat": types[0] if len(types) == 1 else types,
        "includes": next(iter(patterns)) if len(patterns) == 1 else list(patterns),
    }


def field(record_set: str, column: str, source: Node, data_type: str) -> Node:
    """A field of records: a column of ``source``, which is a file or a set of files."""
    kind = "fileObject" if source["@type"] == "cr:FileObject" else "fileSet"
    return {
        "@type": "cr:Field",
        "@id": f"{record_set}/{column}",
        "name": f"{record_set}/{column}",
        "dataType": data_type,
        "source": {kind: {"@id": source["@id"]}, "extract": {"column": column}},
    }


def record_set(name: str, fields: Sequence[Node]) -> Node:
    """Records, such as the images of a split."""
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "field": list(fields)}


def write_croissant(folder: Path, about: About, files: Sequence[Node], records: Sequence[Node]) -> None:
    """Write the description into an export. Neither dates nor addresses: the export knows none of its own."""
    name = re.sub(r"[^\w-]+", "-", about.name).strip("-") or "dataset"
    content = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": _CONFORMS_TO,
        "name": name,
        "description": about.description,
        "version": "1.0.0",
        **({} if about.licence is None else {"license": about.licence}),
        "distribution": list(files),
        "recordSet": list(records),
    }
    (folder / CROISSANT).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
