"""What makes the content of a recipe wrong although every value has the right type.

Each rule raises a ``RecipeError`` with one remedy. Knows the fields of a recipe, not the model that holds them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Any

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.text.class_mentions import find_phrases, phrase_forms
from diffucurate.generator.text.class_names import name_problem, twin_of
from diffucurate.generator.text.templates import attributes_of, fill, fixed_in, pieces
from diffucurate.generator.validation import suggestion

Lists = Mapping[str, Sequence[str]]

#: Class ids live in a uint8 mask beside 0 (background) and 255 (ignore).
MAX_CLASSES = 254
MAX_DATASET_NAME = 100
#: Attributes are stored in an embedded document; these names are taken there.
RESERVED_ATTRIBUTES = frozenset({
    "clean", "clear_field", "copy", "fancy_repr", "field_names", "field_to_mongo", "field_to_python", "from_dict",
    "from_json", "get_field", "get_text_score", "has_field", "id", "iter_fields", "merge", "my_metaclass", "pk",
    "set_field", "to_dict", "to_json", "to_mongo", "validate",
})  # fmt: skip
_ATTRIBUTE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_HALF = re.compile("[\ud800-\udfff]")
_DATASET = re.compile(r"[\w+ .\-]+")
# Prompts searched for a mention of a class; where there are more, a class counts as mentioned.
_PROMPTS_SEARCHED = 2_000


def refuse_repeats(field: str, values: Sequence[Any]) -> None:
    """No value may be listed twice."""
    for value, times in Counter(values).items():
        if times > 1:
            raise RecipeError(field, value, f"it is listed {times} times; list it once")


def check_texts(content: Any) -> None:
    """No text anywhere may hold half of a character: neither a database nor a file takes one."""
    waiting: list[tuple[str, Any]] = [("", content)]
    seen: set[int] = set()  # lists and mappings that hold themselves have no end
    while waiting:
        field, value = waiting.pop()
        if isinstance(value, Mapping | list | tuple):
            if id(value) in seen:
                continue
            seen.add(id(value))
        if isinstance(value, str) and not value.isascii() and _HALF.search(value):
            raise RecipeError(field or "recipe", value, "it holds half of a character (a surrogate); write it whole")
        if isinstance(value, Mapping):
            waiting += [(f"{field}.{name}".lstrip("."), item) for name, item in value.items()]
            waiting += [(field, name) for name in value]
        elif isinstance(value, list | tuple):
            waiting += [(f"{field}[{index}]", item) for index, item in enumerate(value)]


def check_dataset(name: str) -> None:
    """The name must suit FiftyOne, which makes a URL of it, and must be safe as the name of a folder."""
    if not _DATASET.fullmatch(name) or name[0] in ". " or name[-1] in ". " or ".." in name:
        remedy = "use letters, digits, '-', '_', '+', and single dots and spaces inside"
        raise RecipeError("dataset", name, remedy)
    if not re.search(r"[A-Za-z0-9]", name):
        raise RecipeError("dataset", name, "use at least one letter from A to Z or digit")
    if len(name) > MAX_DATASET_NAME:
        raise RecipeError("dataset", name, f"use at most {MAX_DATASET_NAME} characters")


def check_classes(classes: Lists) -> None:
    """Names must be able to end a field's name, and a phrase can mean one class only."""
    if not classes:
        raise RecipeError("classes", {}, "name at least one class with its phrases, as in {car: [car, sedan]}")
    if len(classes) > MAX_CLASSES:
        raise RecipeError("classes", f"{len(classes)} classes", f"use at most {MAX_CLASSES}")
    owners: dict[tuple[str, ...], tuple[str, str]] = {}
    for label, phrases in classes.items():
        if problem := name_problem(label):
            raise RecipeError("classes", label, problem)
        if other := twin_of(label, list(classes)[: list(classes).index(label)]):
            remedy = f"it differs from '{other}' only in capitals, or in what is between words; choose another name"
            raise RecipeError("classes", label, remedy)
        _check_phrases(f"classes.{label}", label, phrases, owners)


def _check_phrases(
    field: str, label: str, phrases: Sequence[str], owners: dict[tuple[str, ...], tuple[str, str]]
) -> None:
    """``owners``: a form of a phrase -> (its class, the phrase); this class's forms are added."""
    if not phrases:
        raise RecipeError(field, [], f"list at least one phrase that means the class, as in [{label}]")
    refuse_repeats(field, phrases)
    singular: dict[tuple[str, ...], str] = {}
    for phrase in phrases:
        forms = phrase_forms(phrase)
        if not forms:
            raise RecipeError(field, phrase, "a phrase needs at least one letter or digit")
        if forms[0] in singular:
            raise RecipeError(field, phrase, f"it means the same as '{singular[forms[0]]}'; list it once")
        singular[forms[0]] = phrase
        for form in forms:
            owner, other = owners.setdefault(form, (label, phrase))
            if owner != label:
                remedy = f"class '{owner}' has '{other}' already and a phrase can mean one class only; remove one"
                raise RecipeError(field, phrase, remedy)


def check_attributes(attributes: Lists) -> None:
    """Names must be able to be keys of an embedded document, values must differ."""
    for name, values in attributes.items():
        _check_attribute("attributes", name)
        field = f"attributes.{name}"
        if not values:
            raise RecipeError(field, [], "list at least one value, or remove the attribute")
        for index, value in enumerate(values):
            if not value.strip():
                raise RecipeError(f"{field}[{index}]", value, "a value must not be blank; write a text or remove it")
        refuse_repeats(field, values)


def _check_attribute(field: str, name: str) -> None:
    if name in RESERVED_ATTRIBUTES:
        raise RecipeError(field, name, "the name is reserved; choose another")
    if not _ATTRIBUTE.fullmatch(name):
        remedy = "an attribute must be small letters, digits and underscores and begin with a letter"
        raise RecipeError(field, name, remedy)


def check_templates(templates: Sequence[str], attributes: Lists, others: Sequence[str] = ()) -> None:
    """Templates use exactly the attributes there are, some of which only ``others`` may use, and do nothing else."""
    if not templates:
        raise RecipeError("templates", [], "list at least one prompt, as in 'a photo of a {colour} car'")
    for index, template in enumerate(templates):
        field = f"templates[{index}]"
        if not template.strip():
            raise RecipeError(field, template, "a template must not be blank; write a prompt or remove it")
        try:
            used, fixed = attributes_of(template), fixed_in(template)
        except ValueError as error:
            raise RecipeError(field, template, str(error)) from None
        for name in fixed:
            _check_attribute(field, name)
        for name in used:
            if name not in attributes:
                hint = suggestion(name, attributes) or "; add it under attributes or remove it from the template"
                raise RecipeError(field, template, f"'{{{name}}}' is not an attribute{hint}")
    refuse_repeats("templates", templates)
    used_anywhere = {name for text in (*templates, *others) for name in attributes_of(text)}
    for name in attributes:
        if name not in used_anywhere:
            raise RecipeError("attributes", name, f"no template uses it; write {{{name}}} in one or remove it")


def check_negative_prompt(negative_prompt: str, templates: Sequence[str]) -> None:
    """It may use what has a value in every prompt, whichever template that comes from."""
    try:
        used, fixed = attributes_of(negative_prompt), fixed_in(negative_prompt)
    except ValueError as error:
        raise RecipeError("negative_prompt", negative_prompt, str(error)) from None
    if fixed:
        name, value = next(iter(fixed.items()))
        raise RecipeError("negative_prompt", negative_prompt, f"write '{value}' instead of '{{{name}={value}}}'")
    for name in used:
        for template in templates:
            if name not in attributes_of(template) and name not in fixed_in(template):
                remedy = f"'{{{name}}}' has no value where the template is '{template}'; use it there too or remove it"
                raise RecipeError("negative_prompt", negative_prompt, remedy)


def check_mentions(classes: Lists, templates: Sequence[str], attributes: Lists) -> None:
    """Every class must occur in some prompt of the full product."""
    missing = dict.fromkeys(classes)
    families = [_words_of(phrase) for phrases in classes.values() for phrase in phrases]
    searched = 0
    for label, phrases in classes.items():
        if label not in missing:
            continue
        for prompt in _deciding_prompts(phrases, families, templates, attributes):
            for mentioned in find_phrases(prompt, classes):
                missing.pop(mentioned, None)
            searched += 1
            if searched == _PROMPTS_SEARCHED:
                return
            if label not in missing:
                break
        else:
            remedy = "none of its phrases occurs in any prompt"
            remedy += "; use one in a template or an attribute, or remove the class"
            raise RecipeError(f"classes.{label}", list(phrases), remedy)


def _related(words: set[str], families: Sequence[frozenset[str]]) -> set[str]:
    """All words that can decide whether one of ``words`` counts: a longer phrase may claim it, and so on."""
    grown = words
    while True:
        before = grown
        grown = before.union(*(family for family in families if not family.isdisjoint(before)))
        if grown == before:
            return grown


def _deciding_prompts(
    phrases: Sequence[str], families: Sequence[frozenset[str]], templates: Sequence[str], attributes: Lists
) -> Iterator[str]:
    """Prompts among which one mentions one of ``phrases`` if any prompt does, the likely ones first.

    Values that hold no related word are all alike, so one of them stands for all: a product of many attributes
    shrinks to what matters.
    """
    own = [frozenset(phrase_forms(phrase)[0]) for phrase in phrases]
    words = _related({word for phrase in phrases for word in _words_of(phrase)}, families)
    for template in templates:
        names, glued = attributes_of(template), _glued(template)
        choices = []
        for name in names:
            deciding = [value for value in attributes[name] if name in glued or not words.isdisjoint(_words_of(value))]
            plain = [value for value in attributes[name] if value not in deciding]
            deciding.sort(key=lambda value: not any(phrase <= _words_of(value) for phrase in own))
            choices.append([*deciding, *plain[:1]])
        for choice in product(*choices):
            yield fill(template, dict(zip(names, choice, strict=True)))


@lru_cache(maxsize=4096)
def _words_of(text: str) -> frozenset[str]:
    return frozenset(word for form in phrase_forms(text) for word in form)


def _glued(template: str) -> set[str]:
    """The attributes that touch a letter or one another: their values become parts of longer words."""
    parts = pieces(template)
    glued: set[str] = set()
    for index, (text, name) in enumerate(parts):
        before = parts[index - 1].attribute if index else None
        if before is not None and (text[:1].isalnum() or not text):
            glued.add(before)
        if name is not None and (text[-1:].isalnum() or (not text and before is not None)):
            glued.add(name)
    return glued
