"""Every way to install, one package: wheel, editable install, bare folder in the plugins directory, download."""

from __future__ import annotations

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
MANIFEST: dict[str, Any] = yaml.safe_load((ROOT / "fiftyone.yml").read_text())
SHIPPED = (
    *("pyproject.toml", "README.md", "LICENSE", "__init__.py", "fiftyone.yml", "py.typed"),
    *("assets", "generator", "plugin", "operators"),
)

#: Makes an interpreter forget the installed package, however it was installed.
FORGET = """
    import sys
    from importlib.machinery import PathFinder

    class Forgetful(PathFinder):
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            return None if name == "diffucurate" else super().find_spec(name, path, target)

    for name in [name for name in sys.modules if name.startswith("__editable__")]:
        del sys.modules[name]
    sys.meta_path[:] = [f for f in sys.meta_path if "Editable" not in getattr(f, "__name__", "")]
    sys.meta_path[:] = [Forgetful if f is PathFinder else f for f in sys.meta_path]
    import importlib.util
    assert importlib.util.find_spec("diffucurate") is None
"""

#: Two requests of the App: the entry file runs twice, the classes must be the same.
REGISTER = """
    import fiftyone.operators as foo

    def ours():
        registry = foo.OperatorRegistry()
        assert registry.list_errors() == [], registry.list_errors()
        listed = registry.list_operators(builtin=False)
        return {o.name: o for o in listed if o.plugin_name == "@diffucurate/diffucurate"}

    first, second = ours(), ours()
    import diffucurate
    from diffucurate.generator.errors import RecipeError
    from diffucurate.operators import METRICS, OPERATORS, PANELS
    from diffucurate.operators.label_images import LabelImages
    assert [type(o) for o in first.values()] == [*OPERATORS, *METRICS, *PANELS], first
    assert type(second["label_images"]) is type(first["label_images"]) is LabelImages
    assert diffucurate.Recipe.__module__ == "diffucurate.generator.recipe.recipe"
    try:
        diffucurate.Recipe.parse("dataset: x")
    except RecipeError:
        pass
    print(diffucurate.__file__)
"""


def python(*parts: str, **environment: str) -> str:
    """What ``parts``, run as one script in a Python of its own, print last.

    A ``PYTHONPATH`` of whoever runs the tests may lead to another copy of the package: it is left out.
    """
    script = "\n".join(textwrap.dedent(part) for part in parts)
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**inherited, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def clean_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a clone holds that a build reads, without build leftovers."""
    copy = tmp_path_factory.mktemp("copy") / "diffucurate"
    copy.mkdir()
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def installed(clean_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel was installed, beside the wheel itself."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder), str(clean_copy))
    (wheel,) = folder.glob("*.whl")
    pip("install", "--quiet", "--no-deps", "--no-index", "--target", str(folder / "site"), str(wheel))
    return folder


def test_manifest_lists_exactly_what_registers() -> None:
    from diffucurate.operators import METRICS, OPERATORS, PANELS

    assert MANIFEST["name"] == "@diffucurate/diffucurate"
    assert MANIFEST["py_entry"] == "plugin/__init__.py"
    assert MANIFEST["operators"] == [operator().name for operator in (*OPERATORS, *METRICS)]
    assert MANIFEST["panels"] == [panel().name for panel in PANELS]


def test_versions_agree() -> None:
    import diffucurate

    assert MANIFEST["version"] == PYPROJECT["project"]["version"] == diffucurate.__version__


def test_requirements_are_the_base_dependencies() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    listed = [line for line in lines if line and not line.startswith("#")]
    base = [requirement for requirement in PYPROJECT["project"]["dependencies"] if "fiftyone" not in requirement]
    assert listed == base


def test_both_opencv_packages_are_of_one_version_below_5() -> None:
    """They write one ``cv2/`` folder: of two versions, the files of one would be overwritten by the other's."""
    versions = {metadata.version(name) for name in ("opencv-python", "opencv-python-headless")}
    assert len(versions) == 1
    assert int(versions.pop().partition(".")[0]) < 5


def test_what_is_imported_is_declared() -> None:
    """By distribution; what an extra brings counts too. The doctor asks for torchvision only where it is installed."""
    declared = [*PYPROJECT["project"]["dependencies"]]
    for extra, requirements in PYPROJECT["project"]["optional-dependencies"].items():
        declared += requirements if extra != "dev" else []
    names = {re.split(r"[<>=!~ ]", requirement)[0].replace("_", "-").lower() for requirement in declared}
    owners = metadata.packages_distributions()
    for top in ("__init__.py", "generator", "plugin", "operators"):
        for path in [ROOT / top] if top.endswith(".py") else (ROOT / top).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                modules += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
                for module in {module.partition(".")[0] for module in modules} - sys.stdlib_module_names:
                    distributions = {name.lower().replace("_", "-") for name in owners.get(module, ())}
                    assert module in ("diffucurate", "torchvision") or distributions & names, f"{path}: {module}"


def test_base_install_pulls_in_no_agpl() -> None:
    assert not [r for r in PYPROJECT["project"]["dependencies"] if "ultralytics" in r]
    assert PYPROJECT["project"]["optional-dependencies"]["yolo"][0].startswith("ultralytics")


def test_every_folder_with_code_is_a_listed_package() -> None:
    folders = {path.parent for top in ("generator", "plugin", "operators") for path in (ROOT / top).rglob("*.py")}
    names = {".".join(("diffucurate", *folder.relative_to(ROOT).parts)) for folder in folders}
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == {"diffucurate", *names}
    assert all((folder / "__init__.py").is_file() for folder in folders)


def test_wheel_holds_code_manifest_and_weights(installed: Path, clean_copy: Path) -> None:
    (wheel,) = installed.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("diffucurate/")}
    tops = ("generator", "plugin", "operators")
    files = [path for top in tops for pattern in ("*.py", "*.yaml") for path in (clean_copy / top).rglob(pattern)]
    data = (clean_copy / "generator" / "tiny" / "weights", clean_copy / "assets")
    others = [path for folder in data for path in folder.rglob("*") if path.is_file()]
    names = {path.relative_to(clean_copy).as_posix() for path in (*files, *others)}
    assert held == {f"diffucurate/{name}" for name in ("__init__.py", "fiftyone.yml", "py.typed", *names)}


def test_wheel_imports_and_stays_light(installed: Path) -> None:
    site = installed / "site"
    code = """
        import sys
        import diffucurate as dc
        verb = dc.generate
        assert verb.__module__ == "diffucurate.plugin.generation.generate", verb
        assert "torch" not in sys.modules
        print(dc.__file__)
    """
    assert Path(python(code, PYTHONPATH=str(site))) == site / "diffucurate" / "__init__.py"


@pytest.mark.slow
def test_a_script_with_every_verb_passes_strict_type_checks(installed: Path, tmp_path: Path) -> None:
    import diffucurate as dc

    script = Path(__file__).with_name("typed_script.py")
    used = {node.attr for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.Attribute)}
    verbs = {name for name in dc.__all__ if inspect.isfunction(getattr(dc, name))}
    assert verbs - used == {"register_source"}

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True, timeout=120)
    site = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    others = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    (site / "installed.pth").write_text(f"{installed / 'site'}\n{others}\n")
    # What has no types of its own, or too many to read in a test.
    skipped = "[mypy-fiftyone.*,torch.*,diffusers.*,transformers.*,pymongo.*,bson.*,cv2.*]\nfollow_imports = skip\n"
    (tmp_path / "mypy.ini").write_text(f"[mypy]\n{skipped}ignore_missing_imports = true\n")
    command = [
        *(sys.executable, "-m", "mypy", "--strict", "--config-file", "mypy.ini", "--cache-dir", "cache"),
        *("--python-executable", str(tmp_path / "venv" / "bin" / "python"), str(script)),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stdout
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import diffucurate as dc\ndc.LabelSettings(flor=0.6)\ndc.undo_curation(3, name=4)\n")
    done = subprocess.run([*command[:-1], str(wrong)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert [line.split(":")[1] for line in done.stdout.splitlines() if "error:" in line] == ["2", "3"], done.stdout


def test_editable_install_maps_the_folders(clean_copy: Path, tmp_path: Path) -> None:
    pip(
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--target",
        str(tmp_path),
        "-e",
        str(clean_copy),
    )
    add = f"""
        sys.meta_path[:] = [PathFinder if f is Forgetful else f for f in sys.meta_path]
        import site
        sys.path.insert(0, {str(tmp_path)!r})
        site.addsitedir({str(tmp_path)!r})
        import diffucurate
        from diffucurate.generator.labels import model
        print(model.__file__)
    """
    assert Path(python(FORGET, add)) == clean_copy / "generator" / "labels" / "model.py"


def test_bare_folder_in_the_plugins_directory(clean_copy: Path, tmp_path: Path) -> None:
    (tmp_path / "any-name").symlink_to(clean_copy)
    origin = python(FORGET, REGISTER, FIFTYONE_PLUGINS_DIR=str(tmp_path))
    assert Path(origin) == clean_copy / "__init__.py"


def test_installed_package_wins_over_the_plugin_folder(installed: Path, clean_copy: Path, tmp_path: Path) -> None:
    (tmp_path / "diffucurate").symlink_to(clean_copy)
    site = installed / "site"
    origin = python(REGISTER, FIFTYONE_PLUGINS_DIR=str(tmp_path), PYTHONPATH=str(site))
    assert Path(origin) == site / "diffucurate" / "__init__.py"


def test_installed_package_can_be_the_plugin_folder(installed: Path, tmp_path: Path) -> None:
    site = installed / "site"
    (tmp_path / "diffucurate").symlink_to(site / "diffucurate")
    origin = python(FORGET, REGISTER, FIFTYONE_PLUGINS_DIR=str(tmp_path))
    assert Path(origin) == site / "diffucurate" / "__init__.py"


def test_folder_that_merely_bears_the_name_does_not_count(clean_copy: Path, tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "diffucurate").symlink_to(clean_copy)
    (tmp_path / "elsewhere" / "diffucurate").mkdir(parents=True)
    namesake = f"""
        sys.meta_path[:] = [PathFinder if f is Forgetful else f for f in sys.meta_path]
        sys.path.insert(0, {str(tmp_path / "elsewhere")!r})
    """
    origin = python(FORGET, namesake, REGISTER, FIFTYONE_PLUGINS_DIR=str(tmp_path / "plugins"))
    assert Path(origin) == clean_copy / "__init__.py"


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a zip such as a forge makes: what git would hold, in one folder."""
    folder = tmp_path_factory.mktemp("archive")
    with zipfile.ZipFile(folder / "main.zip", "w") as packed:
        for name in repository_files():
            packed.write(ROOT / name, Path("diffucurate-main") / name)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/main.zip"
    server.shutdown()
    thread.join()
    server.server_close()


def repository_files() -> list[Path]:
    """Relative paths of the files that are in git or would be; all that is no build leftover where git is absent."""
    listing = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    if (ROOT / ".git").exists() and shutil.which("git"):
        done = subprocess.run(listing, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return [Path(name) for name in done.stdout.split("\0") if (ROOT / name).is_file()]
    copies = [ROOT / name for name in (*SHIPPED, "requirements.txt")]
    found = [path for copy in copies for path in (copy.rglob("*") if copy.is_dir() else [copy])]
    return [path.relative_to(ROOT) for path in found if path.is_file() and "__pycache__" not in path.parts]


def fiftyone(*arguments: str, **environment: str) -> str:
    """What FiftyOne's own command says."""
    done = subprocess.run(
        [str(Path(sysconfig.get_path("scripts")) / "fiftyone"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,  # on a busy machine; the test itself may take 600
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_downloaded_by_fiftyones_own_command(archive: str, tmp_path: Path) -> None:
    plugins = {"FIFTYONE_PLUGINS_DIR": str(tmp_path)}
    fiftyone("plugins", "download", archive, **plugins)
    home = tmp_path / "@diffucurate" / "diffucurate"
    assert yaml.safe_load((home / "fiftyone.yml").read_text()) == MANIFEST
    # Without an index every requirement has to be there already: nothing is installed, least of all here.
    # Nor are the requirements' own requirements looked through, which takes pip more than a minute.
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    said = fiftyone("plugins", "requirements", MANIFEST["name"], "--install", **plugins, **offline)
    for line in (home / "requirements.txt").read_text().splitlines():
        assert line.startswith("#") or f"Requirement already satisfied: {Requirement(line)} in" in said
    assert Path(python(FORGET, REGISTER, **plugins)) == home / "__init__.py"
