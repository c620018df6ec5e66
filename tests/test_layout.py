"""The shape of the repository: directions of imports, pinned names, nothing executable in stored data, module sizes."""

from __future__ import annotations

import ast
import inspect
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

import lineside.errors
import lineside.schema

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = sorted(p.parent.name for p in ROOT.glob("*/__init__.py") if p.parent.name != "tests")
MODULES = sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))
EXECUTABLE_FORMATS = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
WARN_LINES, MAX_LINES = 400, 600


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(tree: ast.AST) -> Iterator[str]:
    """Top-level names of every module that is imported anywhere in the tree, relative imports excepted."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def test_imports_run_one_way(capsys: pytest.CaptureFixture[str]) -> None:
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_logo=True)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_every_package_is_installed_typed_and_held_by_the_import_contracts() -> None:
    patterns = PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    assert sorted(pattern.removesuffix("*") for pattern in patterns) == PACKAGES
    assert sorted(PYPROJECT["tool"]["mypy"]["packages"]) == PACKAGES
    assert sorted(PYPROJECT["tool"]["importlinter"]["root_packages"]) == PACKAGES


def test_public_names_of_the_contract_are_pinned() -> None:
    classes = {name for name, value in vars(lineside.schema).items() if _is_own_class(value, lineside.schema)}
    assert classes == {
        "Answer",
        "AnswerRequest",
        "AnswerSentence",
        "Citation",
        "Degradation",
        "ErrorBody",
        "Evidence",
        "Filters",
        "LabelVote",
        "Retrieval",
        "RetrieveRequest",
        "TelemetrySeries",
    }


def test_public_names_of_errors_are_pinned_and_form_one_tree() -> None:
    classes = {name: value for name, value in vars(lineside.errors).items() if _is_own_class(value, lineside.errors)}
    assert sorted(classes) == [
        "BelowBar",
        "ConfigurationError",
        "Conflict",
        "DataError",
        "DeadlineExceeded",
        "GenerationError",
        "IntegrityError",
        "InvalidRequest",
        "LinesideError",
        "NotFound",
        "NotReady",
        "Overloaded",
        "ParseError",
        "RequestError",
        "ShardError",
        "StoreUnavailable",
        "TooLarge",
        "Unavailable",
        "UnsupportedImage",
    ]
    assert all(issubclass(error, lineside.errors.LinesideError) for error in classes.values())


def _is_own_class(value: object, module: object) -> bool:
    return (
        inspect.isclass(value)
        and value.__module__ == getattr(module, "__name__", None)
        and not value.__name__.startswith("_")
    )


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_module_loads_nothing_executable(path: Path) -> None:
    """No module imports pickle or a relative; numpy.load says allow_pickle=False, torch.load weights_only=True."""
    tree = ast.parse(path.read_text())
    assert not set(imported(tree)) & EXECUTABLE_FORMATS
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load", "torch.load"):
            wanted = ("weights_only", True) if "torch" in ast.unparse(node.func) else ("allow_pickle", False)
            said = {(k.arg, k.value.value) for k in node.keywords if isinstance(k.value, ast.Constant)}
            assert wanted in said, f"{relative(path)}:{node.lineno} must say {wanted[0]}={wanted[1]}"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_module_says_why_it_exists_unless_empty(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not tree.body or ast.get_docstring(tree)


@pytest.mark.filterwarnings("default")
def test_no_module_grows_past_what_one_reason_needs() -> None:
    lines = {relative(path): path.read_text().count("\n") for path in MODULES}
    for name, count in lines.items():
        if count > WARN_LINES:
            warnings.warn(f"{name} has {count} lines: what second thing lives there?", stacklevel=1)
    assert not {name: count for name, count in lines.items() if count > MAX_LINES}
