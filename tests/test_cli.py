"""The command line as a whole: help, errors, exit codes, and what goes to which stream."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import dqi_tracking
from dqi_tracking.cli import main
from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.report.printable import printable
from tests.stores import Store, free_port

COMMANDS = (
    "demo", "score", "backfill", "unscore", "rank", "view", "report", "show", "forecast",
    "validate", "doctor", "population", "weights",
)  # fmt: skip
README = Path(__file__).parents[1] / "README.md"
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
HOSTILE = "\x1b[31mred\x1b]0;title\x07\nnext <script>alert(1)</script> [bold]x[/] =1+1 \u202egpj"
CURVE = "step,loss\n" + "".join(f"{step},{1 / (1 + step)}\n" for step in range(40))

Dqi = Callable[..., tuple[int, str, str]]


@pytest.fixture
def dqi(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dqi:
    """Give a function that runs a command line in the test's folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        return (main(list(arguments)), *capsys.readouterr())

    return run


@pytest.fixture
def curve(tmp_path: Path) -> str:
    (tmp_path / "curve.csv").write_text(CURVE)
    return "curve.csv"


def test_the_commands_are_those_that_help_lists_and_the_readme_shows(dqi: Dqi) -> None:
    code, out, err = dqi("--help")
    listed = re.findall(r"^  (\w+) {2,}\S", out.partition("Commands:")[2], re.MULTILINE)
    assert (code, err, listed) == (0, "", list(COMMANDS))
    readme = README.read_text()
    assert [name for name in COMMANDS if f"dqi {name}" not in readme] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_and_its_options(dqi: Dqi, command: str) -> None:
    code, out, err = dqi(command, "-h")
    assert (code, err) == (0, "")
    assert f"Usage: dqi {command}" in out
    sentence = out.split("\n\n")[1].strip()
    assert sentence.endswith(".")
    for option in re.findall(r"^  (-.*)$", out.partition("Options:")[2], re.MULTILINE):
        assert re.search(r"\S {2,}\S", option) or "--no-" in option or "<" in option, option
    assert dqi(command, "--help") == (code, out, err)


def test_no_arguments_print_the_help(dqi: Dqi) -> None:
    assert dqi() == dqi("-h") == dqi("--help")


def test_the_version_is_told(dqi: Dqi) -> None:
    assert dqi("--version") == (0, f"dqi {dqi_tracking.__version__}\n", "")


def test_help_loads_neither_trackers_nor_tables() -> None:
    code = (
        "import sys\nfrom dqi_tracking.cli import main\nmain(['backfill', '--help'])\n"
        "print('loaded:', *sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = done.stdout.partition("loaded:")[2].split()
    assert "dqi_tracking.cli.backfill" in loaded
    assert {"mlflow", "pandas", "scipy", "pyarrow", "sqlalchemy"}.isdisjoint(loaded)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["score"],
        ["score", "--nothing"],
        ["backfill"],
        ["backfill", "a.csv", "b.csv"],
        ["backfill", "curve.csv", "--jobs", "many"],
        ["backfill", "curve.csv", "--jobs", "0"],
        ["backfill", "curve.csv", "--limit", "0"],
        ["backfill", "curve.csv", "--since", "yesterday"],
        ["backfill", "curve.csv", "--reprocess", "some"],
        ["backfill", "curve.csv", "--max-requests-per-minute", "0"],
        ["unscore"],
        ["unscore", "curve.csv", "--where", "metrics.dqi > 0.3"],
        ["unscore", "curve.csv", "--json", "--csv"],
        ["rank", "curve.csv", "--top", "-1"],
        ["rank", "curve.csv", "--sort", "loss"],
        ["rank", "curve.csv", "--where", "metrics.dqi > 0.3"],
        ["score", "curve.csv", "--json", "--csv"],
        ["score", "curve.csv", "--units", "metric"],
        ["score", "curve.csv", "--nan-policy", "drop"],
        ["score", "curve.txt"],
        ["score", "neptune:me/project"],
        ["show", "two.csv"],
        ["show", "runs:/"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_a_usage_error_with_its_fix(
    dqi: Dqi, tmp_path: Path, curve: str, arguments: list[str]
) -> None:
    (tmp_path / "two.csv").write_text("run,step,loss\na,0,1\nb,0,1\n")
    code, out, err = dqi(*arguments)
    lines = err.splitlines()
    assert (code, out, len(lines)) == (2, "", 2)
    assert lines[0].startswith("error: ")
    assert re.match(r"fix: \S", lines[1])


def test_a_wrong_setting_is_a_usage_error(
    dqi: Dqi, curve: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("DQI_UNITS", "metric"), ("DQI_WEIGHTS", "[1, 1, 1]"), ("DQI_JOBS", "x")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            code, out, err = dqi("score", curve)
            assert (code, out, err.splitlines()[1][:5]) == (2, "", "fix: ")


def test_a_tracker_that_is_not_there_or_not_reached_is_told(dqi: Dqi, tmp_path: Path) -> None:
    missing = f"sqlite:///{tmp_path}/none.db"
    down = f"http://127.0.0.1:{free_port()}"
    for command in ("score", "backfill", "rank"):
        for arguments in (
            ["mlflow:x", "--tracking-uri", missing],
            ["mlflow:x", "--tracking-uri", down],
            ["none.csv"],
        ):
            code, out, err = dqi(command, *arguments)
            assert (code, out) == (3, "")
            assert re.fullmatch(r"error: .+\nfix: .+\n", err)
    assert not (tmp_path / "none.db").exists()


def test_a_run_that_cannot_be_scored_is_a_failed_run(dqi: Dqi, tmp_path: Path, curve: str) -> None:
    (tmp_path / "bad.csv").write_text("step,loss\n0,1\n,2\n")
    (tmp_path / "other.csv").write_text("step,accuracy\n0,1\n")
    assert dqi("score", "bad.csv")[0] == dqi("show", "bad.csv")[0] == ExitCode.SOME_FAILED
    assert dqi("show", "other.csv")[0] == ExitCode.SOME_FAILED
    code, _, err = dqi("backfill", curve)
    assert (code, "--json" in err) == (ExitCode.SOME_FAILED, True)
    assert dqi("score", "other.csv")[0] == ExitCode.DONE


def test_the_worst_of_several_addresses_is_the_exit_code_and_the_others_are_scored(
    dqi: Dqi, tmp_path: Path, curve: str
) -> None:
    (tmp_path / "bad.csv").write_text("step,loss\n0,1\n,2\n")
    code, out, err = dqi("score", "none.csv", curve, "bad.csv", "--json")
    outcomes = {row["name"]: row["outcome"] for row in map(json.loads, out.splitlines())}
    assert (code, outcomes) == (3, {"curve": "scored", "bad": "failed"})
    assert "no file `none.csv`" in err
    assert dqi("score", curve, "bad.csv", "--json")[0] == 1


def test_data_goes_to_stdout_and_talk_to_stderr_without_any_colour(dqi: Dqi, curve: str) -> None:
    for form in ([], ["--json"], ["--csv"]):
        for command in ("score", "show", "rank"):
            code, out, err = dqi(command, curve, *form)
            assert code == 0
            assert "\x1b" not in out + err
            assert bool(out) == (command != "rank" or form == ["--csv"])
            # the notes on single runs are talk; --json and --csv have them among the data
            assert bool(err) == (command == "rank" or (command == "score" and not form))
    _, _, err = dqi("rank", curve)
    assert err == "1 run is not scored: `dqi score curve.csv`\n"


@pytest.mark.parametrize(
    ("status", "losses"),
    [("ok", "4 3 2.5 2.2"), ("nan", "4 nan 2"), ("too_short", "4 2"), ("flat", "2 2 2")],
)
def test_show_tells_each_status(dqi: Dqi, tmp_path: Path, status: str, losses: str) -> None:
    rows = (f"{step},{loss}\n" for step, loss in enumerate(losses.split()))
    (tmp_path / "curve.csv").write_text("step,loss\n" + "".join(rows))
    code, out, err = dqi("show", "curve.csv")
    assert (code, err) == (0, "")
    assert f"status {status} " in out
    assert ("weakest: " in out) == (status == "ok")
    assert ("DQI –" in out) == (status == "nan")
    (row,) = map(json.loads, dqi("show", "curve.csv", "--json")[1].splitlines())
    assert row["dqi_status"] == status
    assert (row["dqi"] is None) == (status == "nan")


def test_a_run_shown_by_an_id_from_a_file_does_no_harm(dqi: Dqi, tmp_path: Path) -> None:
    rows = (f"\x1b[31mred,{step},{3 - step}\n" for step in range(3))
    (tmp_path / "curve.csv").write_text("run,step,loss\n" + "".join(rows))
    for command in ("show", "score"):
        code, out, _ = dqi(command, "curve.csv")
        assert (code, "[31mred" in out) == (0, True)
        assert not CONTROL.search(out)


@pytest.mark.parametrize("command", ["score", "backfill"])
@pytest.mark.parametrize("form", ["--table", "--json", "--csv"])
def test_names_from_a_tracker_do_no_harm_in_any_output(
    dqi: Dqi,
    fresh_sqlite: Store,
    log_run: Callable[..., str],
    tmp_path: Path,
    command: str,
    form: str,
) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=fresh_sqlite.uri)
    root = f"{fresh_sqlite.artifact_root}/x"
    experiment = client.create_experiment(HOSTILE.replace("\n", " "), artifact_location=root)
    run_id = log_run(fresh_sqlite, experiment, name=HOSTILE, metrics={"loss": [(0, 3.0), (1, 2.0)]})
    # an artifact folder that is a file lets the run fail, and its name go to stderr
    folder = tmp_path / "fresh_sqlite" / "artifacts" / "x" / run_id
    folder.mkdir(parents=True)
    (folder / "artifacts").write_text("in the way")
    write = ["--write"] if command == "score" else []
    shown = [] if form == "--table" else [form]
    where = ["mlflow:", "--tracking-uri", fresh_sqlite.uri]
    code, out, err = dqi(command, *where, *write, *shown)
    assert code == ExitCode.SOME_FAILED
    assert run_id in err
    assert "fix: " in err
    # CSV ends its lines as RFC 4180 says
    assert not CONTROL.search(out.replace("\r\n", "\n") + err)
    assert "\u202e" not in out + err
    if form == "--json":
        assert json.loads(out)["name"] == HOSTILE
    elif command == "score" or form == "--csv":
        assert len([line for line in out.splitlines() if "[31mred" in line]) == 1
        assert printable(HOSTILE)[:40] in out
