"""The Airflow and Prefect recipes: what they import, what they promise, and what they run.

Neither is installed here: their decorators are stood in for, the program that is started is real.
"""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dqi_tracking.cli.exits import ExitCode
from tests.test_deploy import PROGRAM, check_cron, ended, text_of

AIRFLOW, PREFECT = "airflow/dqi_backfill.py", "prefect/dqi_backfill.py"


class Decorator:
    """Keeps what it is called with, and leaves the function as it is."""

    def __init__(self) -> None:
        self.given: list[dict[str, Any]] = []
        self.functions: list[Callable[[], Any]] = []

    def __call__(self, **given: Any) -> Callable[[Any], Any]:
        def keep(function: Any) -> Any:
            self.given.append(given)
            self.functions.append(function)
            return function

        return keep


def imported(recipe: str) -> dict[str, set[str]]:
    """Return the names that a recipe imports, by module."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(text_of(recipe))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.setdefault(alias.name, set())
        if isinstance(node, ast.ImportFrom):
            found.setdefault(node.module or "", set()).update(alias.name for alias in node.names)
    return found


def executed(recipe: str, modules: dict[str, dict[str, Any]], old: str = "", new: str = "") -> dict:
    """Execute a recipe with stand-ins for the modules that are not installed."""
    with pytest.MonkeyPatch.context() as patch:
        for name, content in modules.items():
            module = types.ModuleType(name)
            vars(module).update(content)
            patch.setitem(sys.modules, name, module)
        scope: dict[str, Any] = {"__name__": "recipe"}
        source = text_of(recipe)
        assert old in source
        exec(compile(source.replace(old, new), recipe, "exec"), scope)
    return scope


def test_the_recipes_import_what_the_releases_they_name_have() -> None:
    outside = {
        recipe: {module: names for module, names in imported(recipe).items() if "." in module}
        | {module: names for module, names in imported(recipe).items() if module == "prefect"}
        for recipe in (AIRFLOW, PREFECT)
    }
    assert outside == {
        AIRFLOW: {"airflow.sdk": {"dag", "task"}},
        PREFECT: {
            "prefect": {"flow", "get_run_logger", "task"},
            "prefect.client.schemas.objects": {
                "ConcurrencyLimitConfig",
                "ConcurrencyLimitStrategy",
            },
            "prefect.states": {"Completed", "State"},
        },
    }


@pytest.fixture
def airflow() -> tuple[Decorator, Decorator]:
    """Give what the DAG and its task were declared with."""
    dag, bash = Decorator(), Decorator()
    executed(AIRFLOW, {"airflow.sdk": {"dag": dag, "task": types.SimpleNamespace(bash=bash)}})
    return dag, bash


def test_the_dag_never_runs_twice_at_once_and_makes_up_for_nothing(
    airflow: tuple[Decorator, Decorator],
) -> None:
    dag, bash = airflow
    assert dag.given[0]["max_active_runs"] == 1
    assert dag.given[0]["catchup"] is False
    assert dag.given[0]["start_date"].tzinfo is not None
    check_cron(dag.given[0]["schedule"])
    assert bash.given[0]["skip_on_exit_code"] == ExitCode.LEASE_HELD


@pytest.mark.parametrize("code", [0, 3, 75])
def test_the_command_of_the_dag_passes_on_environment_and_exit_code(
    airflow: tuple[Decorator, Decorator], tmp_path: Path, code: int
) -> None:
    command = airflow[1].functions[0]()
    # Airflow takes a command that ends so for a file, and braces for a template
    assert not command.endswith((".sh", ".bash"))
    assert "{" not in command
    found, told = ended(command, tmp_path, code, shell="/bin/bash")
    assert (found, told) == (code, "backfill mlflow: https://mlflow.example.com\n")


class Prefect:
    """The Prefect recipe with a program of the test's in place of `dqi`."""

    def __init__(self, program: Path) -> None:
        self.lines: list[str] = []
        self.task, self.flow = Decorator(), Decorator()
        modules = {
            "prefect": {
                "flow": self.flow,
                "task": self.task,
                "get_run_logger": lambda: types.SimpleNamespace(info=self.lines.append),
            },
            "prefect.client.schemas.objects": {
                "ConcurrencyLimitConfig": object,
                "ConcurrencyLimitStrategy": object,
            },
            "prefect.states": {"Completed": lambda **given: given, "State": object},
        }
        self.names = executed(PREFECT, modules, PROGRAM + '", "backfill', f'{program}", "backfill')


@pytest.fixture
def prefect(tmp_path: Path) -> Callable[[str], Prefect]:
    """Give a function that opens the recipe on a shell script."""

    def opened(script: str) -> Prefect:
        (tmp_path / "dqi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "dqi").chmod(0o755)
        return Prefect(tmp_path / "dqi")

    return opened


@pytest.mark.parametrize("code", [0, 1, 2, 3, 75, 143])
def test_the_flow_tells_each_exit_code_for_what_it_is(
    prefect: Callable[[str], Prefect], code: int
) -> None:
    recipe = prefect(f'echo "$@"; exit {code}')
    run = recipe.names["dqi_backfill"]
    if code == ExitCode.DONE:
        assert run() is None
    elif code == ExitCode.LEASE_HELD:
        assert run()["name"] == "Skipped"
    else:
        # what the task itself raises is tried again, what the flow raises is not
        kind = ConnectionError if code == ExitCode.TRACKER else RuntimeError
        with pytest.raises(kind):
            run()
    assert recipe.lines == ["backfill mlflow:"]
    assert recipe.task.given[0]["retries"] == len(recipe.task.given[0]["retry_delay_seconds"]) == 2
    assert recipe.flow.given == [{"name": "dqi-backfill"}]


def test_a_flow_that_is_cancelled_lets_dqi_end_by_itself(
    prefect: Callable[[str], Prefect], tmp_path: Path
) -> None:
    recipe = prefect(
        f"trap 'echo drained > {tmp_path}/end; exit 143' TERM; echo begun; while :; do :; done"
    )

    class Cancelled(BaseException):
        pass

    def cancel(line: str) -> None:
        assert line == "begun"
        raise Cancelled

    recipe.names["get_run_logger"] = lambda: types.SimpleNamespace(info=cancel)
    with pytest.raises(Cancelled):
        recipe.names["run_dqi"]()
    assert (tmp_path / "end").read_text() == "drained\n"


def test_the_flow_is_served_one_at_a_time() -> None:
    (serve,) = (
        node
        for node in ast.walk(ast.parse(text_of(PREFECT)))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "serve"
    )
    given = {each.arg: getattr(each.value, "value", None) for each in serve.keywords}
    check_cron(given["cron"])
    assert given["limit"] == 1
    assert "global_limit" in given
    assert "ConcurrencyLimitConfig(limit=1, " in text_of(PREFECT)
