"""The order of the code: a module imports from lower floors only, also inside functions and for type checkers.

``operators`` imports ``plugin``, ``plugin`` imports ``generator``, never the other way round. Within each of them
``FLOORS`` says which folder lies above which.
"""

from __future__ import annotations

import ast
import graphlib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = "diffucurate"
PACKAGES = ("generator", "plugin", "operators")

#: Where FiftyOne enters: it registers the operators, and no module imports anything from it.
ENTRY = "plugin"

#: The folder of doors that may import the library's own front, ``diffucurate``, which names all that is public.
DOORS = "plugin.cli"

#: Package -> its floors, the lowest first. Each entry is a folder, or a module that lies beside the folders; entries
#: that share a floor do not import each other. A new folder goes on the lowest floor above all that it imports.
FLOORS: dict[str, list[set[str]]] = {
    "": [{"generator"}, {"plugin"}, {"operators"}],
    "generator": [
        {"errors", "progress"},
        {"files", "text", "validation"},
        {"captions"},
        {"recipe"},
        {"jobs", "models"},
        {"expansion", "labels"},
        {"attention", "exports", "fusion", "mosaics", "reporting"},
        {"detection"},
        {"painting", "sources"},
        {"inversion", "quality", "segmenters"},
        {"tiny"},
    ],
    "plugin": [
        {"fiftyone_private"},
        {"environment", "store"},
        {"cluster", "zoo"},
        {"appearance", "curation", "provenance"},
        {"comparison", "exporting", "labelling", "statistics"},
        {"evaluation", "review"},
        {"fusion", "generation", "mosaics", "reporting", "segmenters"},
        {"detection", "quality", "tokens"},
        {"augmentation"},
        {"cli"},
    ],
    "operators": [{"forms", "panel"}, {"review", "runtime", "side_by_side"}, {"*"}],  # *: a module for each operator
    "operators.panel": [
        {"charts", "choices", "state", "widgets"},
        {"actions", "clicks", "next_step"},
        {"empty_states"},
        {"pair_clicks", "run_clicks", "tabs", "threshold_clicks"},
        {"panel"},
    ],
}


class Import(NamedTuple):
    """One import statement; modules are named from the library's root, as in ``plugin.store.samples``."""

    importer: str
    imported: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer} imports {self.imported} (line {self.line})"


@cache
def modules() -> dict[str, Path]:
    """Name -> file of every module in the three packages; a package goes by its folder's name."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


@cache
def imports() -> list[Import]:
    """Every import statement of the three packages that imports from the library."""
    found = []
    for name, path in modules().items():
        if name == ENTRY:
            continue
        for imported, line in _imported(path):
            if imported.partition(".")[0] == LIBRARY:
                target = imported.removeprefix(LIBRARY).removeprefix(".")
                # ``from package import name``: of a module where there is one of that name, else of the package.
                target = target if target in modules() else target.rpartition(".")[0]
                if target != name:
                    found.append(Import(name, target, line))
    return found


def _imported(path: Path) -> Iterator[tuple[str, int]]:
    """What a file imports, as ``package.module`` or ``package.module.name``, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write imports with the full name"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def entry_of(module: str, package: str) -> str | None:
    """The folder or module directly inside ``package`` that holds a module; None for what lies elsewhere."""
    inner = module if not package else module.removeprefix(f"{package}.") if module.startswith(f"{package}.") else ""
    return inner.partition(".")[0] or None


def floor_of(entry: str, package: str) -> int | None:
    """The number of an entry's floor; None where the table lacks it. ``*`` stands for modules, not for folders."""
    is_module = (ROOT / package.replace(".", "/") / f"{entry}.py").is_file()
    for number, floor in enumerate(FLOORS[package]):
        if entry in floor or ("*" in floor and is_module):
            return number
    return None


@pytest.mark.parametrize("package", FLOORS)
def test_every_folder_has_a_floor(package: str) -> None:
    entries = {entry for name in modules() if (entry := entry_of(name, package)) is not None}
    homeless = sorted(entry for entry in entries if floor_of(entry, package) is None)
    assert not homeless, (
        f"{', '.join(homeless)} in '{package}': add each to FLOORS['{package}'] in tests/test_floors.py, "
        "on the lowest floor above all that it imports"
    )
    gone = set().union(*FLOORS[package]) - entries - {"*"}
    assert not gone, f"{', '.join(sorted(gone))} in FLOORS['{package}'] of tests/test_floors.py: there is none any more"


@pytest.mark.parametrize("package", FLOORS)
def test_imports_lead_to_lower_floors(package: str) -> None:
    wrong = []
    for each in imports():
        importer, imported = entry_of(each.importer, package), entry_of(each.imported, package)
        if importer is None or imported is None or importer == imported:
            continue
        floors = floor_of(importer, package), floor_of(imported, package)
        if None not in floors and floors[0] <= floors[1]:
            wrong.append(f"{each}: '{importer}' is on floor {floors[0]}, '{imported}' on floor {floors[1]}")
    assert not wrong, "\n".join(wrong)


def test_no_module_imports_the_librarys_own_front() -> None:
    """What imports it imports everything, and would stand above all floors."""
    wrong = [str(each) for each in imports() if not each.imported and not each.importer.startswith(DOORS)]
    assert not wrong, "\n".join(wrong)


def test_no_circle_between_modules() -> None:
    _refuse_circles(imports())


def _packages() -> list[str]:
    """All folders but the panel's, whose modules lie below and above its folder of tabs: ``FLOORS`` orders these."""
    folders = [name for name, path in modules().items() if path.stem == "__init__"]
    return ["", *(name for name in folders if name != "operators.panel")]


@pytest.mark.parametrize("package", _packages())
def test_no_circle_between_the_folders_of_a_package(package: str) -> None:
    """As deep as folders go, with all modules of a folder taken as one."""
    inner = []
    for each in imports():
        importer, imported = entry_of(each.importer, package), entry_of(each.imported, package)
        if importer is not None and imported is not None and importer != imported:
            inner.append(Import(importer, imported, each.line))
    _refuse_circles(inner)


def _refuse_circles(edges: list[Import]) -> None:
    graph: dict[str, set[str]] = defaultdict(set)
    for edge in edges:
        graph[edge.importer].add(edge.imported)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_generator_never_imports_fiftyone() -> None:
    wrong = [
        f"{name}, line {line}"
        for name, path in modules().items()
        if name.startswith("generator")
        for imported, line in _imported(path)
        if imported.partition(".")[0] == "fiftyone"
    ]
    assert not wrong, "\n".join(wrong)
