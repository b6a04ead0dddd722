"""The names that users import: all there, documented, and light to import."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dqi_tracking

SOURCE = Path(dqi_tracking.__file__)
HEAVY = ("mlflow", "pandas", "numpy", "scipy", "pyarrow", "pydantic", "typer", "rich", "joblib")


def imported_names() -> list[str]:
    """Return every name of the package that `__init__` imports, for people or type checkers."""
    return [
        alias.asname or alias.name
        for node in ast.walk(ast.parse(SOURCE.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dqi_tracking")
        for alias in node.names
    ]


def fresh(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_the_public_names_are_sorted_and_named_once() -> None:
    assert dqi_tracking.__all__ == sorted(set(dqi_tracking.__all__))


def test_the_public_names_are_those_that_type_checkers_see() -> None:
    assert sorted(imported_names()) == dqi_tracking.__all__


@pytest.mark.parametrize("name", dqi_tracking.__all__)
def test_a_public_name_can_be_imported_and_says_what_it_is(name: str) -> None:
    value = getattr(importlib.import_module("dqi_tracking"), name)
    assert callable(value)
    assert value.__name__ == name
    assert value.__module__.startswith("dqi_tracking.")
    doc = inspect.getdoc(value) or ""
    # a dataclass without one of its own gets its signature
    assert doc.endswith(".") or "\n\n" in doc
    assert not doc.startswith(f"{name}(")


@pytest.mark.parametrize("name", [n for n in dqi_tracking.__all__ if n.islower()])
def test_a_public_function_documents_each_of_its_parameters(name: str) -> None:
    function = getattr(dqi_tracking, name)
    doc = inspect.getdoc(function) or ""
    documented = set(re.findall(r"\w+", doc.partition("Parameters\n")[2].partition("Returns\n")[0]))
    assert set(inspect.signature(function).parameters) <= documented


def test_a_star_import_gives_all_of_them() -> None:
    namespace: dict[str, object] = {}
    exec("from dqi_tracking import *", namespace)
    assert set(dqi_tracking.__all__) <= set(namespace)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dqi_tracking.nothing  # type: ignore[attr-defined]
    with pytest.raises(ImportError):
        exec("from dqi_tracking import nothing")


def test_every_error_is_public_and_of_one_tree() -> None:
    errors = importlib.import_module("dqi_tracking.errors")
    defined = {name for name, _ in inspect.getmembers(errors, inspect.isclass) if name[0] != "_"}
    own = {name for name in defined if getattr(errors, name).__module__ == errors.__name__}
    assert own <= set(dqi_tracking.__all__)
    assert all(issubclass(getattr(errors, name), dqi_tracking.DQIError) for name in own)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, dqi_tracking; print(*sorted(sys.modules))"
    loaded = set(fresh(code).split())
    assert "dqi_tracking" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_scoring_in_memory_loads_no_tracker() -> None:
    code = (
        "import sys, dqi_tracking as d;"
        "s = d.score(d.History(range(50), [1 / (1 + i) for i in range(50)]));"
        "print(s.status, *sorted(sys.modules))"
    )
    status, *loaded = fresh(code).split()
    assert status == "ok"
    assert {"mlflow", "pandas", "pyarrow"}.isdisjoint(loaded)


def test_backfill_stays_the_function_whatever_is_imported_first() -> None:
    code = (
        "import dqi_tracking.backfill.executor, dqi_tracking.backfill.report, dqi_tracking;"
        "import importlib; importlib.import_module('dqi_tracking.backfill');"
        "from dqi_tracking import backfill, Report;"
        "from dqi_tracking.backfill.plan import make_plan;"
        "print(callable(backfill), dqi_tracking.backfill is backfill)"
    )
    assert fresh(code) == "True True"


def test_the_version_is_a_release() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", dqi_tracking.__version__)


def test_the_package_tells_type_checkers_that_it_is_typed() -> None:
    assert SOURCE.with_name("py.typed").is_file()
