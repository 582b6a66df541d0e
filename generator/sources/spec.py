"""What is known of a label source before it is loaded: one object that all others read.

Forms, the command line, colours, the sidebar and the panel know of a source what stands here, and its name nowhere
else. Light: it names what loads the source and imports nothing of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from pydantic.fields import FieldInfo

from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.labels.settings import SourceSettings
from diffucurate.generator.sources.extras import Extra
from diffucurate.generator.sources.protocol import Labeller, LabelRequest
from diffucurate.generator.validation import limits

S = TypeVar("S", bound=SourceSettings)

#: ``painted``: images beside which class maps are kept, as painting does, from these and without a model.
#: ``any``: images of any origin.
ImageKind = Literal["painted", "any"]

#: The families of ``plugin.appearance.palette``.
ColourFamily = Literal["warm", "cool", "magenta", "green", "grey"]

#: ``text``: a name. ``file``: a path. ``names``: several names. ``pairs``: several texts such as sedan=car.
#: ``switch``: on or off, the source's own choice where nothing was chosen; forms, which have two positions, offer that
#: choice and off. ``trust``: a risk that a person takes knowingly, off where nothing was chosen; forms do not offer it.
OptionKind = Literal["text", "file", "names", "pairs", "switch", "trust"]


@dataclass(frozen=True)
class SourceOption:
    """Something a source is given besides its settings, mostly a model; ``name`` is a keyword of ``label``.

    ``title`` stands in forms, ``description`` in forms and on the command line.
    ``choices`` are what a form proposes. ``check`` is called with a value, one at a time, while a form is filled in,
    so it loads nothing; it raises a ``DiffucurateError`` where the value cannot be used. ``required`` says what
    to give where the source cannot do without it.
    """

    name: str
    title: str
    description: str
    kind: OptionKind = "text"
    choices: Callable[[], Sequence[str]] | None = None
    check: Callable[[str], object] | None = None
    required: str | None = None


class CommandOption(NamedTuple):
    """An option or a setting as the command line has it, with the type that it takes there: bool, int, float, str,
    list[str] or, for pairs, dict[str, str]; ``limits`` are its least and greatest value where it has both."""

    name: str
    is_setting: bool
    type: Any
    description: str
    limits: tuple[float, float] | None = None

    @classmethod
    def of_option(cls, option: SourceOption) -> CommandOption:
        several: dict[OptionKind, Any] = {"names": list[str], "pairs": dict[str, str]}
        kinds: dict[OptionKind, Any] = {"text": str, "file": str, **several, "switch": bool, "trust": bool}
        return cls(option.name, False, kinds[option.kind], option.description)

    @classmethod
    def of_setting(cls, name: str, field: FieldInfo, limits: tuple[float, float] | None) -> CommandOption:
        kind = field.annotation if field.annotation in (bool, int, float) else str
        return cls(name, True, kind, field.description or "", limits)

    def clashes(self, other: CommandOption) -> bool:
        """Whether one option of the command line cannot be both."""
        return (self.name, self.is_setting, self.type) != (other.name, other.is_setting, other.type)


class Workload(NamedTuple):
    """What there is to do: ``images`` in all, of which ``mapped`` keep class maps, with ``options`` as chosen."""

    images: int
    mapped: int
    options: Mapping[str, Any]


@dataclass(frozen=True)
class SourceSpec(Generic[S]):
    """A label source.

    Attributes:
        name: begins the names of its fields; letters, digits and underscores.
        title: how it is written for people.
        summary: what it is, for whoever has to choose.
        images: what it can label. One source at most can label ``painted`` ones, since the fields of class maps bear no
            source's name; it returns maps to be kept for others.
        classes: how what it finds becomes one of the classes asked for; a sentence.
        settings: how labels are made. What has a description can be set on the command line, what has a title too is
            asked for in forms.
        load: makes it ready. Imports and loads whatever is heavy; raises ``ModelError`` where a model cannot be had,
            and ``InvalidSetting`` where the request cannot be met.
        options: what it is given besides settings.
        family: its colours, by its name where None.
        sliders: the settings that make sense over their whole range; others matter near one end and are typed in.
        command_names: setting -> how it is called on the command line, where that is not its name.
        extra: what must be installed for it.
        workload: what labelling will do, in a sentence or several; that all images are looked at by default.
        built_in: whether, with these options, a model that comes with this package looks at images; it knows the world
            of that model only.
        check_request: refuses what it cannot do, before it is loaded; called while a form is filled in, so it loads
            nothing. Raises a ``DiffucurateError``.
        needs_database: whether it asks FiftyOne's database, so that no other machine can do its work.
    """

    name: str
    title: str
    summary: str
    images: tuple[ImageKind, ...]
    classes: str
    settings: type[S]
    load: Callable[[LabelRequest[S]], Labeller]
    options: tuple[SourceOption, ...] = ()
    family: ColourFamily | None = None
    sliders: tuple[str, ...] = ()
    command_names: Mapping[str, str] | None = None
    extra: Extra | None = None
    workload: Callable[[Workload], str] | None = None
    built_in: Callable[[Mapping[str, Any]], bool] | None = None
    check_request: Callable[[LabelRequest[S]], None] | None = None
    needs_database: bool = False

    def command_options(self) -> dict[str, CommandOption]:
        """All that can be set on the command line, by its name there."""
        command_options = {option.name: CommandOption.of_option(option) for option in self.options}
        names = self.command_names or {}
        for name, field in self.settings.model_fields.items():
            if field.description is not None:
                option = CommandOption.of_setting(name, field, limits(self.settings).get(name))
                command_options[names.get(name, name)] = option
        return command_options

    @property
    def keeps_maps(self) -> bool:
        """Whether labels can be made again, and previewed, from class maps that are kept beside an image."""
        return "painted" in self.images

    @property
    def scope(self) -> str:
        """What it can label, in words."""
        if "any" not in self.images:
            return "images that keep heatmaps"
        return "any image, from its heatmaps where it keeps some" if self.keeps_maps else "any image"

    @property
    def missing(self) -> str | None:
        """What has to be installed first, None where nothing is missing."""
        return None if self.extra is None or self.extra.installed else self.extra.remedy(self.title)

    def make_settings(self, values: Mapping[str, Any]) -> S:
        """Its settings from plain values; what is not named has its default.

        Raises:
            InvalidSetting: no setting of that name, or a value outside its range; the field is ``settings.<name>``.
        """
        return self.settings(**values)

    def check(self, options: Mapping[str, Any], settings: SourceSettings | None) -> None:
        """See that it takes these options, of which those that are None were not chosen, and settings.

        Raises:
            ModelError: something has to be installed first, or a model that is named is not there.
            InvalidSetting: an option that it does not take, lacks, or whose value cannot be used, or another source's
                settings.
        """
        known = {option.name for option in self.options}
        for name, value in options.items():
            if value is not None and name not in known:
                raise InvalidSetting(name, value, f"source '{self.name}' does not take it; leave it out")
        if settings is not None and not isinstance(settings, self.settings):
            raise InvalidSetting("settings", settings, f"source '{self.name}' takes {self.settings.__name__}")
        if self.missing is not None:
            raise ModelError(self.missing)
        for option in self.options:
            value = options.get(option.name)
            if option.required is not None and not value:
                raise InvalidSetting(option.name, value, option.required)
            if option.check is not None and value is not None:
                for part in [value] if isinstance(value, str) else value:
                    option.check(part)

    def what_happens(self, workload: Workload) -> str:
        """What labelling will do, for a person who wonders how long it takes."""
        if self.workload is not None:
            return self.workload(workload)
        return f"{images_read(workload.images)} by {self.title}."


def images_read(count: int, noun: str = "image") -> str:
    """``1 image is looked at``, ``2 images are looked at``."""
    return f"{count} {noun}{'' if count == 1 else 's'} {'is' if count == 1 else 'are'} looked at"
