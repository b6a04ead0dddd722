"""`dqi show`: what it says of a run on each kind of terminal, and what --plot leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dqi_tracking.cli import main
from dqi_tracking.report.meaning import (
    CHECKS_WORTH,
    NO_FINDING,
    STATE_WORTH,
    STATES,
    WEAKEST,
    WHAT_IT_IS,
)
from tests.namespaces import MOUNTS, Namespaced, allowed, namespaced

DQI = [sys.executable, "-m", "dqi_tracking"]
STYLE = re.compile(r"\x1b\[[\d;]*m")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")
BRAILLE = re.compile(r"[\u2801-\u28ff]")
STEPS = np.arange(300)
LOSS = 3 * np.exp(-STEPS / 60) + 1 + 0.05 * np.sin(STEPS**2)
HOSTILE = "\x1b[31mred\x1b]0;t\x07 $x_1$ <b>&\u202e تدريب 训练 🚀 [bold]y[/]"

Dqi = Callable[..., tuple[int, str, str]]


def curve_file(
    path: Path, loss: np.ndarray, *, run: str = "", norm: np.ndarray | None = None
) -> str:
    """Write a curve file and return its name."""
    columns = {"step": np.arange(loss.size), "loss": loss}
    columns |= {} if norm is None else {"grad_norm": norm}
    lines = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    head = ",".join(columns)
    if run:
        quoted = '"' + run.replace('"', '""') + '"'
        head, lines = f"run,{head}", [f"{quoted},{line}" for line in lines]
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return path.name


@pytest.fixture
def dqi(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dqi:
    """Give a function that runs a command line in the test's folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        return (main(list(arguments)), *capsys.readouterr())

    return run


@pytest.fixture
def run(dqi: Dqi, tmp_path: Path) -> str:
    """Give a curve file with a loss and a gradient norm."""
    return curve_file(tmp_path / "run.csv", LOSS, norm=1 + np.cos(STEPS))


def shown(folder: Path, *arguments: str, terminal: bool = True, **environment: str) -> str:
    """Run `dqi show` as a process and return all that it showed, on a terminal or in a pipe."""
    env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    env |= {"TERM": "xterm-256color", **environment}
    command = [*DQI, "show", *arguments]
    if not terminal:
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout.decode(environment.get("PYTHONIOENCODING", "utf-8"))
    mine, its = pty.openpty()
    with subprocess.Popen(
        command, cwd=folder, env=env, stdin=its, stdout=its, stderr=its
    ) as process:
        os.close(its)
        found = b""
        # Linux answers EIO once the other side is closed
        with contextlib.suppress(OSError):
            while part := os.read(mine, 65_536):
                found += part
        os.close(mine)
    assert process.returncode == 0
    return found.decode().replace("\r\n", "\n")


def test_show_says_what_is_weak_in_which_phase_and_what_that_means(dqi: Dqi, run: str) -> None:
    code, out, err = dqi("show", run)
    assert (code, err) == (0, "")
    assert re.search(r"^ +loss$", out, re.MULTILINE)
    assert re.search(r"^ +grad_norm$", out, re.MULTILINE)
    (row,) = map(json.loads, dqi("show", run, "--json")[1].splitlines())
    text = " ".join(out.split())
    for phase in ("early", "mid", "late"):
        weak = min(WEAKEST, key=lambda component: row[f"dqi_{phase}_{component}"])
        assert re.search(rf"^{phase} +0\.\d{{4}} .*◂", out, re.MULTILINE)
        assert re.search(
            rf"{phase}: steps [\d,]+ to [\d,]+, \d+ points; weakest {weak} [\d.]+", text
        )
        assert WEAKEST[weak] in text
    assert f"weakest: {row['dqi_weakest']}. {WEAKEST[row['dqi_weakest']]}" in text
    # and what it does not mean
    assert WHAT_IT_IS in text
    assert "higher does not mean better" in WHAT_IT_IS
    assert f"▒ mid from {row['dqi_boundary_early_mid']:g} " in out
    assert f"▓ late from {row['dqi_boundary_mid_late']:g}\n" in out


def test_show_says_what_the_run_does_at_its_end_and_what_that_is_worth(dqi: Dqi, run: str) -> None:
    _, out, _ = dqi("show", run)
    (row,) = map(json.loads, dqi("show", run, "--json")[1].splitlines())
    text = " ".join(out.split())
    assert f"{STATES[row['dqi_state']]}: the loss fell by" in text
    assert text.index(STATES[row["dqi_state"]]) < text.index("phase DQI")
    assert STATE_WORTH[row["dqi_state"]] in text
    assert (row["dqi_checks"], row["dqi_findings"]) == (0.0, "")
    assert f"direct checks: {NO_FINDING}" in text


def test_show_names_each_finding_with_its_steps(dqi: Dqi, tmp_path: Path) -> None:
    loss = LOSS.copy()
    loss[200] += 4
    file = curve_file(tmp_path / "spike.csv", loss)
    _, out, _ = dqi("show", file)
    (row,) = map(json.loads, dqi("show", file, "--json")[1].splitlines())
    assert (row["dqi_checks"], row["dqi_findings"]) == (1.0, "spike")
    assert re.search(r"^found: spike: .* times the noise around it at step 200$", out, re.MULTILINE)
    assert CHECKS_WORTH in " ".join(out.split())


@pytest.mark.parametrize("columns", ["60", "80", "100", "200"])
def test_nothing_is_wider_than_the_terminal(tmp_path: Path, run: str, columns: str) -> None:
    lines = STYLE.sub("", shown(tmp_path, run, COLUMNS=columns)).splitlines()
    assert max(map(len, lines)) <= int(columns)
    (axis,) = [line for line in lines if "└" in line]
    assert len(axis) == min(int(columns), 120)
    for phase in ("early", "mid", "late"):
        (bars,) = [line for line in lines if re.match(rf"{phase} +0\.", line)]
        assert len(re.findall(r"[\d<]?\.\d\d [█▉▊▋▌▍▎▏·]{4,}", bars)) == 4


def test_colour_is_for_terminals_that_have_it_and_people_who_want_it(
    tmp_path: Path, run: str
) -> None:
    coloured = shown(tmp_path, run)
    plain = STYLE.sub("", coloured)
    assert STYLE.search(coloured)
    assert BRAILLE.search(plain)
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert shown(tmp_path, run, **environment) == plain
    assert shown(tmp_path, run, terminal=False) == plain


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "iso-8859-1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["ascii", "latin-1", "locale"],
)
def test_an_output_without_braille_gets_plain_characters(
    tmp_path: Path, dqi: Dqi, environment: dict[str, str]
) -> None:
    name = curve_file(tmp_path / "run.csv", LOSS, run="naïve 训练", norm=np.cos(STEPS))
    out = shown(tmp_path, name, terminal=False, **environment)
    assert out.isascii() or "latin" in str(environment) or "iso" in str(environment)
    assert out.startswith("naïve ??  (" if "8859" in str(environment) else "na?ve ??  (")
    assert re.search(r"^ *\d+ \+.*[.:']{9}", out, re.MULTILINE)
    assert re.search(r" \.+=+#+\n +\. early +=+ mid from \d+ +# late from \d+\n", out)
    assert re.search(r"^early +0\.\d{4} +\d\.\d\d #+", out, re.MULTILINE)
    assert "weakest: " in out


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        ([3, 2, 1.5], "too few for a shape"),
        ([3, 2, 1.5, 1.4, 1.2], "too few for a shape"),
        ([np.nan] * 20, "Values that are not finite were logged"),
        ([2.0] * 50, "The curve is constant"),
        ([1e300, -1e300] * 20, "weakest: "),
        ([1.7e308, 1.0, -1.7e308] * 9, "weakest: "),
        ([4, np.nan, np.inf, 3, 2, 1] * 9, "× not finite, first at step 1"),
    ],
    ids=["3", "5", "nan", "flat", "1e300", "largest", "holes"],
)
def test_any_curve_is_shown(dqi: Dqi, tmp_path: Path, loss: list[float], says: str) -> None:
    name = curve_file(tmp_path / "run.csv", np.array(loss))
    code, out, err = dqi("show", name)
    assert (code, err) == (0, "")
    assert says in out


def test_spikes_of_a_long_noisy_run_are_seen(
    dqi: Dqi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    loss = np.random.default_rng(3).normal(size=100_000)
    loss[71_000], loss[30_000] = 40.0, -40.0
    lines = dqi("show", curve_file(tmp_path / "run.csv", loss))[1].splitlines()
    plot = [line for line in lines if "│" in line or "┤" in line]
    assert [len(BRAILLE.findall(line)) for line in (plot[0], plot[-1])] == [1, 1]
    # the band of noise lies between
    assert max(len(BRAILLE.findall(line)) for line in plot) > 90


def test_hostile_names_do_no_harm_in_text_or_picture(dqi: Dqi, tmp_path: Path) -> None:
    name = curve_file(tmp_path / "run.csv", LOSS, run=HOSTILE)
    code, out, err = dqi("show", name, "--plot", "\x1b[31mred.svg")
    assert (code, CONTROL.search(out + err)) == (0, None)
    assert "[31mred]0;t $x_1$ <b>& تدريب 训练 🚀 [bold]y[/]" in out
    assert err == "plot: [31mred.svg\n"
    svg = (tmp_path / "\x1b[31mred.svg").read_text(encoding="utf-8")
    assert any(
        "$x_1$ <b>& تدريب 训练 🚀" in "".join(each.itertext()) for each in ET.fromstring(svg).iter()
    )
    assert not CONTROL.search(svg)


@pytest.mark.parametrize(
    ("name", "starts"),
    [("a.png", b"\x89PNG\r\n"), ("a.SVG", b"<?xml"), ("deep/a b.pdf", b"%PDF-1.4")],
)
@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]], ids=["table", "json", "csv"])
def test_plot_is_beside_the_normal_output(
    dqi: Dqi, tmp_path: Path, run: str, name: str, starts: bytes, form: list[str]
) -> None:
    (tmp_path / "deep").mkdir()
    without = re.sub(r"20\d\d-\S+?Z", "", dqi("show", run, *form)[1])
    code, out, err = dqi("show", run, "--plot", name, *form)
    assert (code, err) == (0, f"plot: {name}\n")
    assert re.sub(r"20\d\d-\S+?Z", "", out) == without
    assert (tmp_path / name).read_bytes().startswith(starts)
    assert [path.name for path in (tmp_path / name).parent.glob(".*")] == []


def test_a_plot_replaces_what_stood_there_and_follows_a_link(
    dqi: Dqi, tmp_path: Path, run: str
) -> None:
    (tmp_path / "real.svg").write_text("old")
    (tmp_path / "link.svg").symlink_to("real.svg")
    assert dqi("show", run, "--plot", "link.svg")[0] == 0
    first = (tmp_path / "real.svg").read_bytes()
    assert (tmp_path / "link.svg").is_symlink()
    assert b"run" in first
    (tmp_path / "made").touch()
    modes = {(tmp_path / name).stat().st_mode for name in ("made", "real.svg")}
    assert len(modes) == 1
    assert dqi("show", run, "--plot", "real.svg")[0] == 0
    assert (tmp_path / "real.svg").read_bytes() == first
    assert dqi("show", run, "--plot", "real.svg", "--plot-size", "7,3")[0] == 0
    assert b'width="504pt" height="216pt"' in (tmp_path / "real.svg").read_bytes()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--plot", "a.jpg"],
        ["--plot", "a"],
        ["--plot", ""],
        ["--plot", "none/a.png"],
        ["--plot", "run.csv/a.png"],
        ["--plot", "folder.png"],
        ["--plot", f"{'n' * 300}.png"],
        ["--plot", "~nobody-of-this-name/a.png"],
        ["--plot", "a.png", "--plot-size", "3"],
        ["--plot", "a.png", "--plot-size", "3,nan"],
        ["--plot", "a.png", "--plot-size", "3,1000"],
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_a_plot_that_cannot_be_meant_is_told_before_anything_is_read(
    dqi: Dqi, tmp_path: Path, run: str, arguments: list[str]
) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / run).chmod(0)
    code, out, err = dqi("show", run, *arguments)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"error: .+\nfix: .+\n", err)
    assert not (tmp_path / "a.png").exists()


def test_where_there_is_nothing_to_draw_the_rest_is_said_all_the_same(
    dqi: Dqi, tmp_path: Path
) -> None:
    name = curve_file(tmp_path / "run.csv", np.full(9, np.nan))
    code, out, err = dqi("show", name, "--plot", "a.png")
    assert code == 1
    assert "status nan" in out
    assert re.fullmatch(r"error: .*no finite value.*\nfix: .+\n", err)
    assert not (tmp_path / "a.png").exists()


@pytest.fixture
def mounts() -> Iterator[Namespaced]:
    """Give a `dqi` that may mount."""
    if not allowed():
        pytest.skip("namespaces are not allowed here")
    with namespaced(MOUNTS) as process:
        yield process


@pytest.mark.xdist_group("disk")
@pytest.mark.parametrize(
    ("mount", "why"),
    [
        ("mount -t tmpfs -o size=8k none '{0}'; echo old > '{0}/a.png'", "No space left on device"),
        (
            "echo old > '{0}/a.png'; mount --bind '{0}' '{0}'; mount -o remount,bind,ro '{0}'",
            "Read-only file system",
        ),
    ],
    ids=["full", "read-only"],
)
def test_a_disk_that_takes_no_plot_keeps_the_old_one_and_costs_only_the_plot(
    mounts: Namespaced, tmp_path: Path, run: str, mount: str, why: str
) -> None:
    (folder := tmp_path / "disk").mkdir()
    plot = ["--json", "--plot", f"{folder}/a.png"]
    said = mounts.dqi("show", str(tmp_path / run), *plot, after=mount.format(folder))
    assert said.code == 3
    assert [row["name"] for row in said.rows] == ["run"]
    assert re.fullmatch(rf"error: .*{why}\nfix: .+\n", said.stderr)
    kept = f"test \"$(ls -A '{folder}')\" = a.png; test \"$(cat '{folder}/a.png')\" = old"
    assert mounts.dqi("show", str(tmp_path / run), "--json", after=kept).code == 0
