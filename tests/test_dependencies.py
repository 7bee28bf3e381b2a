"""What is imported is declared: nothing comes in by way of somebody else's dependency."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OURS = {"engine", "nadtui", "presets", "tests"}


def imported(*folders: str) -> dict[str, str]:
    """Every top-level package that our sources import, with one of the files that do; inside functions too."""
    found: dict[str, str] = {}
    for folder in folders:
        for file in (ROOT / folder).rglob("*.py"):
            for name in _names(ast.parse(file.read_text(encoding="utf-8"))):
                found.setdefault(name.partition(".")[0], str(file.relative_to(ROOT)))
    return {name: file for name, file in found.items() if name not in {*sys.stdlib_module_names, *OURS}}


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def declared(requirements: list[str]) -> set[str]:
    """The distributions' names, as they are compared."""
    return {_plain(re.split(r"[\[<>=!~; ]", text)[0]) for text in requirements}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def undeclared(packages: dict[str, str], known: set[str]) -> dict[str, str]:
    distributions = packages_distributions()
    return {
        name: file
        for name, file in packages.items()
        if not {_plain(each) for each in distributions.get(name, [name])} & known
    }


def test_everything_the_program_imports_is_a_dependency_of_its_own():
    extras = PROJECT["optional-dependencies"]
    optional = [each for name, wanted in extras.items() if name not in ("test", "dev") for each in wanted]
    known = declared([*PROJECT["dependencies"], *optional])
    assert undeclared(imported("engine", "nadtui"), known) == {}


def test_everything_the_tests_import_is_declared_too():
    extras = PROJECT["optional-dependencies"]
    own = next(text for text in extras["test"] if text.startswith("nadtui["))
    with_it = [each for name in re.findall(r"[\w-]+", own.partition("[")[2]) for each in extras[name]]
    known = declared([*PROJECT["dependencies"], *extras["test"], *with_it])
    assert undeclared(imported("tests"), known) == {}


def test_an_import_that_nobody_declared_is_found():
    assert undeclared({"numpy": "engine/some.py"}, declared(["torch>=2"])) == {"numpy": "engine/some.py"}
