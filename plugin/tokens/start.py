"""What keeps tokens and words from being learned, before an image is read or a model loaded; writes nothing.

Every run begins here, and forms ask the same at every keystroke.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import fiftyone as fo

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.inversion.amount import check_count
from diffucurate.generator.inversion.earlier import check_name
from diffucurate.generator.inversion.files import WordFiles, word_name
from diffucurate.generator.inversion.settings import Inversion
from diffucurate.generator.models.adapter_checks import check_learns_words, check_new_word
from diffucurate.generator.models.names import locate
from diffucurate.generator.models.token_files import token_path
from diffucurate.generator.text.class_names import some_of
from diffucurate.plugin.store.label_fields import LabelField, label_field, labels_of, learnable_field
from diffucurate.plugin.store.samples import dataset_of

#: Images that a token is learned from at most: their queries are held in memory, and a few good masks are enough.
MOST = 50

#: The model that learns where none is named.
_BUILT_IN = "tiny"


def check_token(
    samples: fo.Dataset | fo.DatasetView,
    field: str,
    classes: str | Sequence[str] | None = None,
    *,
    name: str | None = None,
    model: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> None:
    """Refuse what ``learn_token`` with the same arguments cannot begin with.

    Raises:
        DatasetError: no such field, too few or too many labelled samples, or none that shows a class.
        InvalidSetting: a name that cannot be one, or is taken.
        ModelError: there is no such model.
    """
    trusted = learnable_field(dataset_of(samples), field)
    check_labelled_count(len(samples.exists(field)), field)
    token_paths(wanted_labels(classes, labels_of(samples, trusted), field), name, folder, overwrite=overwrite)
    locate(model or _BUILT_IN)


def check_word(
    samples: fo.Dataset | fo.DatasetView,
    settings: Inversion,
    *,
    field: str | None = None,
    label: str | None = None,
    crop: bool = True,
    caption_field: str | None = None,
    name: str | None = None,
    model: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> WordFiles:
    """The files of a word that ``train_token`` with the same arguments can begin to learn.

    Raises:
        InvalidSetting: the name is taken or can be none, the placeholder is a word already, or captions of whole images
            for objects that are cut out.
        DatasetError: no such field or label.
        ImageError: too few or too many examples.
        ModelError: there is no such model, or it learns no words.
    """
    files = WordFiles.of(name or word_name(settings.placeholder), folder)
    dataset = dataset_of(samples)
    if caption_field is not None and field is not None and crop:
        remedy = "its texts describe whole images; leave it out, or do not cut objects out (crop)"
        raise InvalidSetting("caption_field", caption_field, remedy)
    if caption_field is not None and not isinstance(dataset.get_field(caption_field), fo.StringField):
        texts = [each for each, kind in dataset.get_field_schema().items() if isinstance(kind, fo.StringField)]
        remedy = f"dataset '{dataset.name}' has no field of that name with texts; there are {some_of(texts) or 'none'}"
        raise InvalidSetting("caption_field", caption_field, remedy)
    chosen = model or _BUILT_IN
    locate(chosen)
    check_learns_words(chosen)
    check_new_word(settings.placeholder, chosen, "placeholder")
    check_count(_examples(samples, None if field is None else label_field(dataset, field), label, crop))
    check_name(files, settings, overwrite=overwrite)
    return files


def check_labelled_count(count: int, field: str) -> None:
    """See that a token can be learned from so many labelled samples.

    Raises:
        DatasetError: they are none or too many.
    """
    if not 0 < count <= MOST:
        samples_have = "no sample has" if not count else f"{count} samples have"
        raise DatasetError(f"{samples_have} labels in '{field}'; choose one to {MOST} whose masks are right")


def wanted_labels(classes: str | Sequence[str] | None, present: Sequence[str], field: str) -> list[str]:
    """The classes to learn, by default all that are ``present``.

    Raises:
        DatasetError: one of them is not, or there are none.
    """
    wanted = list(present) if classes is None else [classes] if isinstance(classes, str) else list(classes)
    missing = [each for each in wanted if each not in present]
    if missing or not wanted:
        there = some_of(present) or "nothing"
        what = f"'{missing[0]}'" if missing else "any class"
        raise DatasetError(f"no sample shows {what} in '{field}', which holds {there}; choose other samples or classes")
    return wanted


def token_paths(
    wanted: Sequence[str], name: str | None, folder: str | os.PathLike[str] | None, *, overwrite: bool
) -> Mapping[str, Path]:
    """Name -> file of each class's token.

    Raises:
        InvalidSetting: a name that cannot be one, or is taken.
    """
    if name == "":
        raise InvalidSetting("name", name, "give a name, or leave it out to call tokens by their classes")
    names = [name] if name and len(wanted) == 1 else [f"{name}-{each}" if name else each for each in wanted]
    paths = {each: token_path(each, folder) for each in names}
    for each, path in paths.items():
        if path.exists() and not overwrite:
            raise InvalidSetting("name", each, "a token of that name is there; choose another, or have it replaced")
    return paths


def wanted_label(samples: fo.Dataset | fo.DatasetView, field: LabelField, label: str | None) -> str:
    """Which of a field's labels the word is to mean; it need not be named where there is one only.

    Raises:
        DatasetError: it is not there, or has to be named.
    """
    there = labels_of(samples, field)
    if label is None and len(there) == 1:
        return there[0]
    if label is None or label not in there:
        what = "which of the labels is learned" if label is None else f"no sample shows '{label}'"
        raise DatasetError(f"'{field.name}' holds {some_of(there) or 'nothing'}: {what}; name one as `label`")
    return label


def _examples(samples: fo.Dataset | fo.DatasetView, field: LabelField | None, label: str | None, crop: bool) -> int:
    """How many examples there are, of a segmentation at most: whether it shows the label is seen when it is read."""
    if field is None:
        return len(samples)
    wanted = wanted_label(samples, field, label)
    kind = samples.get_field(field.name).document_type
    inner = {fo.Detections: "detections", fo.Polylines: "polylines"}.get(kind)
    if inner is None:
        return len(samples.exists(field.name))
    labels = samples.values(f"{field.name}.{inner}.label")
    counts = [each.count(wanted) for each in labels if each]
    return sum(counts) if crop else sum(count > 0 for count in counts)
