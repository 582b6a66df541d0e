"""Which models of FiftyOne's zoo label images. Asks no server and loads no model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.text.class_names import some_of

#: What the zoo calls models that give objects or masks of classes, and such as do something else besides.
_USABLE, _OTHER = ("instances", "detection", "panoptic", "segmentation"), ("ocr", "video", "3d", "legacy")
#: What the zoo calls models that are asked for classes in words.
_BY_WORDS = "zero-shot"
#: And those among them that name what they see in words of their own.
_UNASKED = "prompt-free"


def zoo_models() -> list[str]:
    """The names of the zoo's models that find objects or masks of classes."""
    tags = _tags()
    return sorted(name for name in tags if tags[name].intersection(_USABLE) and not tags[name].intersection(_OTHER))


def check_zoo_model(name: str) -> None:
    """See that the zoo has a model of that name, of this machine's own or by FiftyOne's list.

    Raises:
        InvalidSetting: it has not, or the model finds neither objects nor masks of classes. Addresses are refused:
            FiftyOne would run code from there.
    """
    if name not in _tags():
        _list_tags.cache_clear()  # it may have been registered meanwhile
    if name in zoo_models():
        return
    if name in _tags():
        raise InvalidSetting("zoo_model", name, "it finds no objects; use a model that detects or segments")
    remedy = f"FiftyOne's zoo has no such model; it has {some_of(zoo_models())} ('fiftyone zoo models list')"
    raise InvalidSetting("zoo_model", name, remedy)


def asked_in_words(name: str) -> bool:
    """Whether a model is given the classes in words."""
    tags = _tags().get(name, frozenset())
    return _BY_WORDS in tags and _UNASKED not in tags


def _tags() -> Mapping[str, frozenset[str]]:
    """Name -> those of its tags that matter here."""
    import fiftyone as fo

    return _list_tags(tuple(fo.config.model_zoo_manifest_paths or ()), fo.config.model_zoo_dir)


@lru_cache(maxsize=1)
def _list_tags(*places: object) -> Mapping[str, frozenset[str]]:
    """Listing takes a second, a form asks at every keystroke; ``places`` are where FiftyOne finds its lists."""
    import fiftyone.zoo as foz

    tagged = {tag: frozenset(foz.list_zoo_models(tags=tag)) for tag in (*_USABLE, *_OTHER, _BY_WORDS, _UNASKED)}
    names = foz.list_zoo_models()
    return {name: frozenset(tag for tag, having in tagged.items() if name in having) for name in names}
