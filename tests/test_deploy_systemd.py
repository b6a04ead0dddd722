"""The systemd recipe: its sections and settings, and what `systemd-analyze` says of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dqi_tracking.cli.exits import ExitCode
from tests.test_deploy import DEPLOY, ENV, PROGRAM

UNITS = ("dqi-backfill.service", "dqi-backfill.timer")
SECTIONS = {
    "dqi-backfill.service": ["Unit", "Service"],
    "dqi-backfill.timer": ["Unit", "Timer", "Install"],
}
YES = {
    "DynamicUser",
    "LockPersonality",
    "NoNewPrivileges",
    "Persistent",
    "PrivateDevices",
    "PrivateTmp",
    "ProtectClock",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
}
TEXT = r"[^\s#].*"
SPAN = r"\d+(s|min|h)"
PATH = r"(/|%S/)\S+"
FORMS = {
    "Description": TEXT,
    "Wants": r"network-online\.target",
    "After": r"network-online\.target",
    "Type": "oneshot",
    "ExecStart": rf"{PROGRAM} backfill \S+",
    "EnvironmentFile": re.escape(ENV),
    "Environment": rf"\w+={PATH}( \w+={PATH})*",
    "SuccessExitStatus": r"\d+( \d+)*",
    "KillMode": "mixed",
    "TimeoutStopSec": SPAN,
    "RandomizedDelaySec": SPAN,
    "Nice": r"1?\d",
    "StateDirectory": r"\w+",
    "WorkingDirectory": PATH,
    "UMask": r"0\d{3}",
    "ProtectSystem": "strict",
    "CapabilityBoundingSet": "",
    "RestrictAddressFamilies": r"AF_\w+( AF_\w+)*",
    "SystemCallArchitectures": "native",
    "SystemCallFilter": r"@[\w-]+",
    "OnCalendar": r"\*:\d+/\d+",
    "WantedBy": r"timers\.target",
    **dict.fromkeys(YES, "yes"),
}


def sections(unit: str, text: str) -> dict[str, dict[str, str]]:
    """Parse a unit as strictly as systemd: no space around names, no comment after a value."""
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] | None = None
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if header := re.fullmatch(r"\[(\w+)\]", line):
            assert header[1] not in found, line
            current = found[header[1]] = {}
            continue
        setting = re.fullmatch(r"([A-Z][A-Za-z]+)=(.*)", line)
        assert setting, line
        assert current is not None, line
        assert setting[1] not in current, f"{setting[1]} twice"
        assert re.fullmatch(FORMS[setting[1]], setting[2]), line
        current[setting[1]] = setting[2]
    assert list(found) == SECTIONS[unit]
    return found


def parsed(unit: str) -> dict[str, dict[str, str]]:
    return sections(unit, (DEPLOY / "systemd" / unit).read_text(encoding="utf-8"))


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_has_only_known_settings_with_values_of_their_kind(unit: str) -> None:
    parsed(unit)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ProtectClock=yes", "ProtectClok=yes"),
        ("ProtectClock=yes", "ProtectClock=yes # and more"),
        ("ProtectClock=yes", "ProtectClock = yes"),
        ("ProtectClock=yes", "PrivateTmp=yes"),
        ("[Service]", "[Servce]"),
        ("Type=oneshot", "Type=onceshot"),
    ],
)
def test_a_mistake_in_a_unit_is_seen(old: str, new: str) -> None:
    text = (DEPLOY / "systemd" / UNITS[0]).read_text(encoding="utf-8")
    assert old in text
    with pytest.raises((AssertionError, KeyError)):
        sections(UNITS[0], text.replace(old, new))


def test_the_service_is_stopped_gently_and_its_good_ends_are_no_failures() -> None:
    service = parsed(UNITS[0])["Service"]
    good = {int(code) for code in service["SuccessExitStatus"].split()}
    assert good == {ExitCode.LEASE_HELD, ExitCode.TERMINATED}
    # the other processes of its group are told nothing until dqi has ended
    assert service["KillMode"] == "mixed"
    home = f"%S/{service['StateDirectory']}"
    assert service["WorkingDirectory"] == home
    assert service["Environment"] == f"HOME={home} DQI_STATE_DIR={home}"


def test_the_timer_starts_the_service_of_its_name() -> None:
    timer = parsed(UNITS[1])["Timer"]
    assert Path(UNITS[0]).stem == Path(UNITS[1]).stem
    every = int(timer["OnCalendar"].rpartition("/")[2])
    assert int(re.sub(r"\D", "", timer["RandomizedDelaySec"])) < every


@pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze (Debian: systemd) is not there"
)
def test_systemd_itself_finds_nothing_to_say(tmp_path: Path) -> None:
    for unit in UNITS:
        text = (DEPLOY / "systemd" / unit).read_text(encoding="utf-8")
        # a program that is not installed here is a fault to systemd
        (tmp_path / unit).write_text(text.replace(PROGRAM, "/bin/true"))
    for unit in UNITS:
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        # an unknown setting is told, and ends with 0 all the same
        mine = [line for line in done.stderr.splitlines() if "dqi-backfill" in line]
        assert (done.returncode, mine) == (0, []), done.stderr
