"""The house itself: exported names, versions, the import rule, the traces check, the wheel."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import socket
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import pytest
from pytest_socket import SocketBlockedError

import geo_engine

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("geo_engine", "api")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def modules_of(packages: tuple[str, ...]) -> list[str]:
    """Dotted names of every module of the packages, by their files."""
    files = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files]


def file_of(module: str) -> Path:
    """Path of a module's source."""
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def public_definitions(source: str) -> set[str]:
    """Names of the functions and classes a module offers: at its top level, no underscore, not registered elsewhere."""
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    nodes = (node for node in ast.parse(source).body if isinstance(node, defined) and not node.name.startswith("_"))
    return {node.name for node in nodes if not any(map(_registers, node.decorator_list))}


def _registers(decorator: ast.expr) -> bool:
    """Say whether a decorator hands the function to a router or command line: nobody imports it by its name."""
    call = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name) and call.value.id in {"app", "router"}


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command and keep what it says."""
    return subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)


# Alembic runs this one by its file, inside an upgrade; it cannot be imported elsewhere.
RUN_BY_ALEMBIC = "geo_engine.store.migrations.env"


@pytest.mark.parametrize("module", [name for name in modules_of(PACKAGES) if name != RUN_BY_ALEMBIC])
def test_a_module_exports_what_it_defines_and_nothing_else(module: str) -> None:
    source = file_of(module).read_text(encoding="utf-8")
    loaded = importlib.import_module(module)
    # A package that is only a docstring has nothing to export; everything else says what it does.
    exported = loaded.__all__ if len(ast.parse(source).body) > 1 else []
    assert [name for name in exported if not hasattr(loaded, name)] == [], "__all__ names what does not exist"
    assert len(set(exported)) == len(exported)
    assert public_definitions(source) <= set(exported)


def test_a_public_definition_outside_all_would_be_found() -> None:
    source = "def shown(): ...\ndef _hidden(): ...\nclass Also: ...\n@app.command('x')\ndef registered(): ...\n"
    assert public_definitions(source) == {"shown", "Also"}


@pytest.mark.parametrize("module", modules_of(PACKAGES))
def test_a_module_says_its_one_job(module: str) -> None:
    assert ast.get_docstring(ast.parse(file_of(module).read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("test_*.py")), ids=lambda path: path.stem)
def test_a_test_file_holds_a_test(path: Path) -> None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    functions = [node.name for node in body if isinstance(node, ast.FunctionDef)]
    # A state machine of hypothesis is a test by assignment: ``TestStore = Machine.TestCase``.
    assigned = [ast.unparse(target) for node in body if isinstance(node, ast.Assign) for target in node.targets]
    assert any(name.startswith(("test_", "Test")) for name in (*functions, *assigned))


def test_the_version_is_said_once_everywhere() -> None:
    heading = re.search(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heading is not None
    assert heading[1] == PROJECT["project"]["version"] == geo_engine.__version__


def test_both_packages_say_that_they_are_typed() -> None:
    assert [package for package in PACKAGES if not (ROOT / package / "py.typed").is_file()] == []


@pytest.mark.parametrize("name", ["service", "analysis", "dev"])
def test_a_lock_file_pins_and_hashes_everything_and_names_no_address(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    blocks = [block for block in re.split(r"\n(?=\S)", text) if block and not block.startswith("#")]
    assert [
        block for block in blocks if not re.match(r"\S+==\S+ .*?--hash=sha256:[0-9a-f]{64}", block, re.DOTALL)
    ] == []
    assert "://" not in text


def test_the_lock_file_holds_every_direct_dependency() -> None:
    locked = set(
        re.findall(
            r"^([\w.-]+)(?:\[[\w,-]+\])?==", (ROOT / "requirements/dev.txt").read_text(encoding="utf-8"), re.MULTILINE
        )
    )
    project = PROJECT["project"]
    asked = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    asked += [entry for group in PROJECT["dependency-groups"].values() for entry in group if isinstance(entry, str)]
    assert {re.match(r"[\w.-]+", entry)[0] for entry in asked} <= locked  # type: ignore[index]  # each entry has a name


# Planted lines are put together from halves, so that this file is not one itself.
PLANTED = [
    "path = '/wo" + "rk/main/zones'",
    "see /ho" + "me/somebody/notes.txt",
    "--extra-index-" + "url something",
    "found with issues sh" + "ow 2",
    "a sub" + "agent wrote this",
]


@pytest.mark.parametrize("line", PLANTED)
def test_a_planted_trace_is_refused_and_named(line: str, tmp_path: Path) -> None:
    planted = tmp_path / "note.md"
    planted.write_text(f"first\n{line}\n", encoding="utf-8")
    result = run(".ci/traces", planted)
    assert result.returncode == 1
    assert f"{planted}:2:" in result.stdout


def test_an_address_in_a_lock_file_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "requirements" / "dev.txt"
    lock.parent.mkdir()
    lock.write_text("numpy @ https://example.org/numpy.whl\n", encoding="utf-8")
    assert run(".ci/traces", lock).returncode == 1


def test_an_address_in_an_ordinary_text_is_not_a_trace(tmp_path: Path) -> None:
    note = tmp_path / "note.md"
    note.write_text("see https://example.org, a session of the database, the User-Agent header\n", encoding="utf-8")
    assert run(".ci/traces", note).returncode == 0


@pytest.fixture(scope="module")
def copy_of_the_house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two packages and the contracts in a folder of their own, where a test may break them."""
    copy = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the import contracts on a copy."""
    return run(Path(sys.executable).with_name("lint-imports"), "--no-cache", cwd=folder)


def test_the_import_contracts_hold(copy_of_the_house: Path) -> None:
    result = lint_imports(copy_of_the_house)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("geo_engine/model.py", "import geo_engine.zones.rule", "Imports in the library go downward only"),
        ("geo_engine/orphan.py", "", "Imports in the library go downward only"),
        ("geo_engine/ingest/__init__.py", "import geo_engine.store", "Imports in the library go downward only"),
        ("geo_engine/zones/rule.py", "import time", "The pure part knows no framework"),
        ("geo_engine/zones/rule.py", "import api", "The application is above the library"),
        ("geo_engine/store/__init__.py", "import pydantic", "The library knows no framework of the application"),
        ("geo_engine/wechat/__init__.py", "import wechatpy", "wechatpy is imported in one module only"),
        ("api/settings.py", "import geopandas", "geopandas is imported in one module only"),
        ("api/orphan.py", "", "Imports in the application go downward only"),
        ("api/settings.py", "import api.cli", "Imports in the application go downward only"),
    ],
)
def test_a_breach_of_the_import_rule_is_named(copy_of_the_house: Path, file: str, line: str, contract: str) -> None:
    target = copy_of_the_house / file
    before = target.read_text(encoding="utf-8") if target.exists() else None
    target.write_text(f"{before or ''}\n{line}\n", encoding="utf-8")
    try:
        result = lint_imports(copy_of_the_house)
    finally:
        target.unlink() if before is None else target.write_text(before, encoding="utf-8")
    assert result.returncode == 1
    assert re.search(rf"^{re.escape(contract)}.*BROKEN", result.stdout, re.MULTILINE), result.stdout


def test_the_serving_path_does_not_import_geopandas() -> None:
    program = "import sys, api.app, api.bootstrap, api.cli; print('geopandas' in sys.modules, 'pandas' in sys.modules)"
    result = run(sys.executable, "-c", program)
    assert (result.stdout.split(), result.stderr) == (["False", "False"], "")


def test_a_unit_test_cannot_open_a_socket() -> None:
    with pytest.warns(UserWarning, match="socket"), pytest.raises(SocketBlockedError):
        socket.socket(socket.AF_INET)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of the project, built from a copy without any download."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    hidden = shutil.ignore_patterns(".*", "__pycache__", "tests", "benchmarks", "var")
    shutil.copytree(ROOT, source, ignore=hidden)
    options: list[str | Path] = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", folder]
    result = run(sys.executable, "-m", "pip", "wheel", *options, source)
    assert result.returncode == 0, result.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


@pytest.mark.slow
def test_the_wheel_carries_both_packages_and_the_example_city(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert {"geo_engine/model.py", "geo_engine/py.typed", "api/cli.py", "api/py.typed"} <= set(names)
    for folder in ("zones", "data"):
        shipped = {path.relative_to(ROOT / folder).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file()}
        assert shipped, f"{folder}/ is empty"
        assert {f"api/_example/{folder}/{name}" for name in shipped} <= set(names)


@pytest.mark.slow
def test_the_wheel_carries_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"geo_engine", "api", f"geo_engine-{PROJECT['project']['version']}.dist-info"}
