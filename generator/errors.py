"""Everything Diffucurate raises for a reason the user can do something about.

DiffucurateError
├── InvalidSetting   an argument of a call or a value of its settings; names field, value and remedy
│   └── RecipeError  a key of a recipe, or what it names
├── ModelError       a model that cannot be loaded or traced; says what was tried and how to get it
├── LabelError       labels that cannot be made or do not fit together
├── ImageError       an image or mask to paint from that is missing or cannot be used; one of many
│   └── BlackedOutError  a painted image that the model's safety checker blacked out
├── DatasetError     a dataset, view or field that is missing or lacks what a step needs
└── ExportError      a target folder or format that cannot be written
"""

from __future__ import annotations


class DiffucurateError(Exception):
    """The base of all: one clear message for the person, who made the input."""


class InvalidSetting(DiffucurateError, ValueError):  # noqa: N818  (it says what is wrong, as users read it)
    """A setting is wrong: ``field`` is its dotted name, ``value`` what was given, ``remedy`` what would be right."""

    def __init__(self, field: str, value: object, remedy: str) -> None:
        self.field, self.value, self.remedy = field, value, remedy
        shown, place = repr(value), " ".join(field.split())  # which may hold a key as somebody wrote it
        super().__init__(f"{place}: {shown if len(shown) <= 120 else shown[:117] + '...'} - {remedy}")

    def __reduce__(self) -> tuple[type[InvalidSetting], tuple[str, object, str]]:
        """Copied as it was made: another process may raise it."""
        return type(self), (self.field, self.value, self.remedy)


class RecipeError(InvalidSetting):
    """A key of a recipe is wrong, or a file that it names, or that does not suit its model."""


class ModelError(DiffucurateError):
    """A model cannot be loaded, made to fit or traced."""


class LabelError(DiffucurateError):
    """Labels cannot be made, or their parts do not fit together."""


class ImageError(DiffucurateError):
    """One image or mask to paint from is missing or cannot be used; others may well be fine."""


class BlackedOutError(ImageError):
    """A painted image was blacked out by the model's safety checker; another seed may lead to one that is not."""


class DatasetError(DiffucurateError):
    """A FiftyOne dataset, view or field is missing, or lacks what the step needs."""


class ExportError(DiffucurateError):
    """An export cannot be written."""
