"""The recipes in `deploy/`: their commands are taken by `dqi`, and their exit codes are its own."""

from __future__ import annotations

import ast
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from dqi_tracking.backfill.schedule import interval_of
from dqi_tracking.cli.app import app
from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.config import Settings

DEPLOY = Path(__file__).parents[1] / "deploy"
PROGRAM = "/opt/dqi/venv/bin/dqi"
ENV = "/etc/dqi/env"
RECIPES = [
    "cron/dqi.crontab",
    "systemd/dqi-backfill.service",
    "kubernetes/cronjob.yaml",
    "airflow/dqi_backfill.py",
    "prefect/dqi_backfill.py",
]
# what ends a command in a line of a file: a quote, a pipe, a redirection, a table's bar
_IN_TEXT = re.compile(
    r"(?<![\w./-])((?:/opt/dqi/venv/bin/)?dqi [^|\"'`;>#\n]*?)(?= *(?:2>|[|\"'`;>#\n]|$))"
)
_IN_YAML = re.compile(r"args: (\[.*\])")
_CODE = re.compile(r"(?:TRACKER|HELD) = (\d+)|skip_on_exit_code=(\d+)")


def text_of(recipe: str) -> str:
    return (DEPLOY / recipe).read_text(encoding="utf-8")


def commands(recipe: str) -> list[list[str]]:
    """Return the arguments of each `dqi` in a recipe, those in comments included."""
    text = text_of(recipe)
    found = [shlex.split(command)[1:] for command in _IN_TEXT.findall(text)]
    found += [list(map(str, yaml.safe_load(args))) for args in _IN_YAML.findall(text)]
    if recipe.endswith(".py"):
        lists = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.List))
        values = [[getattr(item, "value", None) for item in each.elts] for each in lists]
        found += [value[1:] for value in values if value and value[0] == PROGRAM]
    return [each for each in found if each and each[0] in COMMANDS]


COMMANDS = typer.main.get_command(app).commands


def ended(command: str, tmp_path: Path, code: int, *, shell: str = "/bin/sh") -> tuple[int, str]:
    """Run a recipe's shell command for real, on a program that tells its environment and ends so.

    Returns the exit code, and what the program was given: its arguments and the tracker.
    """
    program, env, log = tmp_path / "dqi", tmp_path / "env", tmp_path / "told"
    program.write_text(
        f'#!/bin/sh\necho "$* $MLFLOW_TRACKING_URI" >> {log}\necho said; exit {code}\n'
    )
    (tmp_path / "logger").write_text(f"#!/bin/sh\ncat >> {tmp_path}/logged\n")
    for each in (program, tmp_path / "logger"):
        each.chmod(0o755)
    env.write_text((DEPLOY / "env.example").read_text())
    placed = command.replace(PROGRAM, str(program)).replace(ENV, str(env))
    assert placed != command
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([shell, "-c", placed], env=path, cwd=tmp_path, timeout=30)
    return done.returncode, log.read_text()


@pytest.mark.parametrize("recipe", [*RECIPES, "README.md"])
def test_every_command_in_a_recipe_is_one_that_dqi_takes(recipe: str) -> None:
    found = commands(recipe)
    addresses = []
    for name, *arguments in found:
        context = COMMANDS[name].make_context(name, list(arguments))
        addresses.append(context.params["address"])
        if every := context.params.get("every"):
            interval_of(every)
    assert all(re.fullmatch(r"mlflow:|wandb:ENTITY/PROJECT|ADDRESS", each) for each in addresses)
    if recipe in RECIPES:
        assert {each[0] for each in found} == {"backfill"}
        assert set(addresses) == {"mlflow:", "wandb:ENTITY/PROJECT"}


def test_every_option_in_the_recipes_is_in_the_help_of_backfill() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dqi_tracking", "backfill", "--help"],
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    )
    known = set(re.findall(r"--[a-z][a-z-]+", done.stdout))
    used = {
        word
        for recipe in [*RECIPES, "README.md"]
        for name, *words in commands(recipe)
        for word in words
        if word.startswith("--") and name == "backfill"
    }
    assert {"--max-requests-per-minute", "--dry-run", "--every"} <= used
    assert used <= known


def test_every_exit_code_in_the_recipes_is_one_of_dqi() -> None:
    codes = {int(code) for code in ExitCode}
    for recipe in RECIPES:
        named = {int(one or other) for one, other in _CODE.findall(text_of(recipe))}
        assert named <= codes, recipe
    prefect = dict(re.findall(r"(\w+) = (\d+)\n", text_of("prefect/dqi_backfill.py")))
    assert int(prefect["TRACKER"]) == ExitCode.TRACKER
    assert int(prefect["HELD"]) == ExitCode.LEASE_HELD


def test_the_table_of_exit_codes_has_all_that_a_backfill_ends_with() -> None:
    rows = [line.split("|") for line in text_of("README.md").splitlines() if line.startswith("|")]
    told = [int(row[1]) for row in rows if row[1].strip().isdigit()]
    # 130 is a person's Ctrl-C, 141 a reader that went away: neither comes from a scheduler
    assert told == sorted(set(ExitCode) - {ExitCode.INTERRUPTED, ExitCode.BROKEN_PIPE})
    assert len({len(row) for row in rows if row[1].strip().isdigit()}) == 1


def test_the_readme_links_every_recipe_and_nothing_that_is_not_there() -> None:
    linked = set(re.findall(r"\]\(([^)]+)\)", text_of("README.md")))
    there = {str(path.relative_to(DEPLOY)) for path in DEPLOY.rglob("*") if path.is_file()}
    above = {"../docker-compose.yml", "../Dockerfile"}
    assert all((DEPLOY / each).is_file() for each in above)
    assert {each for each in there if "__pycache__" not in each} | above == linked | {"README.md"}


def test_no_recipe_holds_a_secret_or_a_path_of_somebodys_machine() -> None:
    for path in DEPLOY.rglob("*"):
        if not path.is_file() or path.suffix == ".pyc":
            continue
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"/home/|/Users/|/root/|://[^/\s@]*:[^/\s@]*@", text), path
        assert not re.search(r"(PASSWORD|KEY|TOKEN|password|api_key)[=:] *\w", text), path
        assert not path.stat().st_mode & stat.S_IXUSR, path


def test_the_environment_file_is_read_alike_by_a_shell_and_by_systemd() -> None:
    lines = [line for line in text_of("env.example").splitlines() if not line.startswith("# ")]
    names = [re.fullmatch(r"#?([A-Z_]+)=([^\s'\"$\\`#]*)", line) for line in lines]
    assert all(names)
    own = {f"DQI_{name.upper()}" for name in Settings.model_fields}
    for name in (match[1] for match in names if match):
        assert name.startswith(("MLFLOW_TRACKING_", "WANDB_")) or name in own
    code = 'set -a; . "$0"; env'
    shown = subprocess.run(
        ["/bin/sh", "-c", code, str(DEPLOY / "env.example")],
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "MLFLOW_TRACKING_URI=https://mlflow.example.com" in shown.stdout.splitlines()


FIELDS = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]


def check_cron(schedule: str) -> None:
    """Fail where five fields of cron are none: numbers, lists, ranges and steps."""
    fields = schedule.split()
    assert len(fields) == 5
    for field, (low, high) in zip(fields, FIELDS, strict=True):
        for part in field.split(","):
            match = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/(\d+))?", part)
            assert match, field
            first, last, step = (int(each) if each else None for each in match.groups())
            assert low <= (first if first is not None else low) <= (last or high) <= high
            assert step is None or (1 <= step <= high and (last is not None or part[0] == "*"))


@pytest.mark.parametrize(
    "wrong", ["* * * *", "60 * * * *", "*/0 * * * *", "5-1 * * * *", "7/15 * * * *", "a * * * *"]
)
def test_what_is_no_schedule_of_cron_is_seen(wrong: str) -> None:
    with pytest.raises(AssertionError):
        check_cron(wrong)


def crontab() -> list[tuple[str, str]]:
    """Return schedule and command of each line, the ready ones in comments included."""
    found = []
    for line in text_of("cron/dqi.crontab").splitlines():
        if line.strip() and (PROGRAM in line or not line.startswith("#")):
            *fields, command = line.removeprefix("#").split(None, 5)
            found.append((" ".join(fields), command))
    return found


def test_each_line_of_the_crontab_is_one(tmp_path: Path) -> None:
    lines = crontab()
    assert len(lines) == 2
    for number, (schedule, command) in enumerate(lines):
        check_cron(schedule)
        assert not schedule.startswith(("0", "*")), "all machines of the world at once"
        assert "%" not in command, "cron ends the command there"
        folder = tmp_path / str(number)
        folder.mkdir()
        _, told = ended(command, folder, 75)
        assert (folder / "logged").read_text() == "said\n"
        arguments = commands("cron/dqi.crontab")[number]
        uri = "https://mlflow.example.com" if ENV in command else ""
        assert told == f"{' '.join(arguments)} {uri}\n"


def test_a_crontab_without_its_environment_file_starts_nothing(tmp_path: Path) -> None:
    command = crontab()[0][1].replace(ENV, str(tmp_path / "missing"))
    (tmp_path / "dqi").write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    (tmp_path / "dqi").chmod(0o755)
    placed = command.replace(PROGRAM, str(tmp_path / "dqi"))
    subprocess.run(["/bin/sh", "-c", placed], stderr=subprocess.DEVNULL, timeout=30)
    assert not (tmp_path / "started").exists()
