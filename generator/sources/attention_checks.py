"""What keeps the source ``attention`` from doing as asked, before a model is loaded. Imports no torch; forms ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.labels.settings import LabelSettings
from diffucurate.generator.models.token_files import token_label
from diffucurate.generator.sources.protocol import LabelRequest
from diffucurate.generator.text.class_names import some_of


def check_request(request: LabelRequest[LabelSettings]) -> None:
    """Refuse options that do not go with each other, with the classes or with the models that painted the images.

    Raises:
        InvalidSetting: concepts without a named model or with tokens or contrast, a background without concepts,
            contrast where several models painted the images, a token that is unknown or finds none of the classes.
        ModelError: a token's file is broken.
    """
    names = ("tokens", "contrast", "model", "by", "background")
    tokens, contrast, model, by, background = (request.options.get(name) for name in names)
    if by == "concepts" and model is None:
        raise InvalidSetting("by", by, "name the model that is to look at the images (model), such as Flux")
    if by == "concepts" and (tokens or contrast):
        raise InvalidSetting("by", by, "concepts go neither with learned tokens nor with contrast; leave these out")
    if by != "concepts" and background:
        raise InvalidSetting("background", background, "only concepts have one; add by 'concepts', or leave it out")
    if contrast and model is None and not tokens:
        painter(request.painters())
    check_tokens(tokens or (), request.classes)


def check_tokens(names: Sequence[str], classes: Mapping[str, Sequence[str]]) -> None:
    """See that each token finds another one of the classes.

    Raises:
        InvalidSetting: one does not, or is unknown.
        ModelError: its file is broken.
    """
    found: set[str] = set()
    for name in names:
        label = token_label(name)
        if label not in classes:
            remedy = f"it finds '{label}', which is none of the classes ({some_of(classes)}); add it to them"
            raise InvalidSetting("tokens", name, remedy)
        if label in found:
            raise InvalidSetting("tokens", name, f"another one finds '{label}' too; name one token for each class")
        found.add(label)


def painter(models: Sequence[str]) -> str | None:
    """The model that painted the images; None where none was painted.

    Raises:
        InvalidSetting: several models did.
    """
    if len(models) > 1:
        several = ", ".join(models)
        raise InvalidSetting(
            "contrast", True, f"{several} painted these images; name the model that is to look at them"
        )
    return models[0] if models else None
