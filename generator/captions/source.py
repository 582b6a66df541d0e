"""The caption that a job's prompt was made of. Light: no files; ``captions.files`` knows those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class CaptionSource:
    """A caption, where it came from, and the text whose words find its classes.

    ``text`` is the caption as it was written, ``file`` the one that holds it (None: the recipe itself) and ``id`` its
    id there, or the number of its line or entry; ``image_id`` is that of the image it was written for, if any.
    ``classes`` are the recipe's classes that are looked for, ``names`` what a class prompt calls them. ``model`` wrote
    the caption, if a text model did, and ``examples`` are the ids of the captions that it was shown.

    ``class_prompt`` is a text of its own by which the pixels are attributed; None where the prompt's own words do
    that. Only this decides more of an image's labels than the prompt does, so it alone counts for a job's id
    (``content``): the same caption from another file leads to the same image.
    """

    text: str
    file: str | None = None
    id: str | None = None
    image_id: str | None = None
    classes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    class_prompt: str | None = None
    model: str | None = None
    examples: tuple[str, ...] = ()

    def content(self) -> dict[str, Any]:
        """What decides labels and does not follow from the prompt."""
        return {} if self.class_prompt is None else {"class_prompt": self.class_prompt}

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without what there is none of."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {name: value for name, value in plain.items() if value not in (None, [])}

    def entry(self) -> dict[str, Any]:
        """The same caption as a recipe writes it among its ``texts``."""
        own = self.to_dict()
        kept: dict[str, Any] = {name: own[name] for name in ("id", "image_id", "model", "examples") if name in own}
        return {"caption": self.text, **({"classes": list(self.names)} if self.names else {}), **kept}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CaptionSource:
        """What ``to_dict`` wrote."""
        lists = {name: tuple(data.get(name) or ()) for name in ("classes", "names", "examples")}
        return cls(**{**data, **lists})
