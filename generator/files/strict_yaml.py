"""YAML or JSON text as plain data, in which a key may come only once, and back. Knows nothing of what it means."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from diffucurate.generator.errors import RecipeError

#: The most values that a document may hold with its aliases written out; more captions go to a file of their own.
MOST_VALUES = 1_000_000


def read_text(path: str | Path, field: str = "recipe", what: str = "a YAML or JSON file") -> str:
    """The text of a UTF-8 file; ``field`` is where its name was given, ``what`` what it should be.

    Raises:
        RecipeError: the file cannot be read.
    """
    try:
        if Path(path).exists() and not (Path(path).is_file() or Path(path).is_dir()):
            raise RecipeError(field, str(path), f"this is a pipe or a device, without an end; give the path of {what}")
        return Path(path).read_text(encoding="utf-8-sig")
    except RecipeError:  # which is a ValueError too
        raise
    except FileNotFoundError:
        raise RecipeError(field, str(path), f"there is no such file; give the path of {what}") from None
    except IsADirectoryError:
        raise RecipeError(field, str(path), f"this is a folder; give the path of {what}") from None
    except UnicodeDecodeError:
        raise RecipeError(field, str(path), "the file is not UTF-8 text; save it as UTF-8") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise RecipeError(field, str(path), f"the file cannot be read ({reason.lower()})") from None


def read_yaml(text: str) -> Any:
    """The data of one YAML or JSON document; no tags, so no objects but plain ones.

    Raises:
        RecipeError: the text is neither; ``field`` is the line, where it is known.
    """
    if text.lstrip().startswith("{"):
        # JSON is almost YAML; tabs, for one, are not.
        try:
            return json.loads(text, object_pairs_hook=_unique_keys)
        except RecipeError:  # which is a ValueError too
            raise
        except (ValueError, RecursionError):  # no JSON, or a number of too many digits
            pass
    try:
        return _loaded(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark else 0
        lines = text.splitlines()
        shown = lines[line].strip() if line < len(lines) else "end of the text"
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        remedy = f"this is not valid YAML ({problem}); check indentation, colons, quotes and brackets"
        raise RecipeError(f"line {line + 1}", shown, remedy) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise RecipeError(f"line {line}", text[error.position], "YAML allows no such character; remove it") from None
    except RecursionError:
        raise RecipeError("recipe", text[:200], "brackets are nested too deeply; close them") from None
    except RecipeError:
        raise
    except ValueError as error:
        # An impossible date, as in 2024-02-31, or a number of thousands of digits.
        remedy = "YAML takes a value for a date that does not exist, or for a number of too many digits; quote it"
        raise RecipeError("recipe", str(error), remedy) from None


def write_yaml(data: Any) -> str:
    """Plain data as YAML that ``read_yaml`` reads back the same: keys in their order, plain lists on one line."""
    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, default_flow_style=None, width=1000))


def _loaded(text: str) -> Any:
    """The data of one document, once it is known how large it is: an alias stands for all that its anchor holds."""
    loader = _StrictLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        size = _expanded(node, {}, ())
        if size > MOST_VALUES:
            remedy = f"its aliases (*name) stand for more than {MOST_VALUES:,} values; write the recipe without them"
            raise RecipeError("recipe", "&, *", remedy)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _expanded(node: yaml.Node, known: dict[int, int], above: tuple[int, ...]) -> int:
    """How many values a node holds with its aliases written out; beyond every bound where it holds itself."""
    if id(node) in above:
        return MOST_VALUES + 1
    if id(node) not in known:
        inside = above if isinstance(node, yaml.ScalarNode) else (*above, id(node))
        items = node.value if isinstance(node, yaml.SequenceNode) else ()
        if isinstance(node, yaml.MappingNode):
            items = [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_expanded(item, known, inside) for item in items)
    return known[id(node)]


class _StrictLoader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"the key '{key.value}' comes twice"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for key, times in Counter(key for key, _ in pairs).items():
        if times > 1:
            raise RecipeError(key, f"{times} times", "a key may come only once; keep one of them")
    return dict(pairs)
