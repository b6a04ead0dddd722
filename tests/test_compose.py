"""docker-compose.yml as text: what it promises, and what `docker-compose` makes of it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from graphlib import TopologicalSorter
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

import dqi_tracking
from dqi_tracking.backfill.schedule import interval_of
from dqi_tracking.config import Settings
from tests.compose_stack import COMPOSE, ROOT, Stack, services, values, variables
from tests.test_deploy import COMMANDS

PROFILES = ("wandb", "wandb-backfill")
ONCE = ("bucket",)
NEEDS_COMPOSE = pytest.mark.skipif(
    not shutil.which("docker-compose"),
    reason="docker-compose (Debian: docker-compose) is not there",
)
NEEDS_SCHEMA = pytest.mark.skipif(
    not find_spec("check_jsonschema"), reason="check-jsonschema is not installed"
)


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    """Give the file, as YAML has it."""
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))


@pytest.fixture
def filled() -> dict[str, str]:
    """Give what stands in a .env with its passwords."""
    return values()


def configured(
    folder: Path, env: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Ask docker-compose, which needs no engine for it, what the file comes to."""
    shutil.copy(COMPOSE, folder)
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in env.items()))
    profiles = [f"--profile={each}" for each in PROFILES]
    return subprocess.run(
        ["docker-compose", *profiles, "config", *arguments], cwd=folder, timeout=60,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@NEEDS_COMPOSE
def test_docker_compose_reads_the_file_as_the_tests_do(
    tmp_path: Path, filled: dict[str, str]
) -> None:
    done = configured(tmp_path, filled)
    assert (done.returncode, done.stderr) == (0, "")
    theirs, ours = yaml.safe_load(done.stdout)["services"], services(filled)
    assert theirs.keys() == ours.keys()
    for name, service in ours.items():
        # it writes a dollar as two, so that its output is a compose file again
        told = yaml.safe_load(yaml.safe_dump(theirs[name]).replace("$$", "$"))
        for key in ("image", "command", "entrypoint", "environment", "profiles", "restart"):
            assert told.get(key) == service.get(key), (name, key)
        if "healthcheck" in service:
            assert told["healthcheck"] == service["healthcheck"]


@NEEDS_COMPOSE
@pytest.mark.parametrize("empty", [True, False])
@pytest.mark.parametrize("name", [n for n, (kind, _) in variables().items() if kind == "?"])
def test_nothing_starts_without_a_password_and_it_is_told_where_it_goes(
    tmp_path: Path, filled: dict[str, str], name: str, empty: bool
) -> None:
    del filled[name]
    done = configured(tmp_path, filled | ({name: ""} if empty else {}), "--quiet")
    assert done.returncode != 0
    assert name in done.stderr
    assert "set it in .env, see .env.example" in done.stderr
    with pytest.raises(KeyError, match=name):
        services(filled)


def validated(path: Path) -> subprocess.CompletedProcess[str]:
    """Hold a file against the schema of the Compose Specification that check-jsonschema ships."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    return subprocess.run(
        [*command, str(path)], capture_output=True, text=True, timeout=60, check=False
    )


@NEEDS_SCHEMA
def test_the_file_keeps_to_the_compose_specification() -> None:
    done = validated(COMPOSE)
    assert done.returncode == 0, done.stdout + done.stderr


@NEEDS_SCHEMA
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("stop_grace_period:", "stop_grace:"),
        ("condition: service_healthy", "condition: healthy"),
        ("retries: 12", "retries: [12]"),
    ],
)
def test_a_mistake_in_the_file_is_seen(tmp_path: Path, old: str, new: str) -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    assert old in text
    spoiled = tmp_path / "docker-compose.yml"
    spoiled.write_text(text.replace(old, new))
    assert validated(spoiled).returncode == 1


def test_no_secret_has_a_value_in_the_file() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    secret = re.findall(
        r"^ *(\w*(?:PASSWORD|SECRET_ACCESS_KEY|API_KEY|LICENSE)): *(.*)$", text, re.M
    )
    assert len(secret) == 6
    for name, value in secret:
        # what only some use may be missing; what all need must not
        kind, _ = variables()[re.fullmatch(r"\$\{(\w+):.*\}", value)[1]]  # type: ignore[index]
        assert kind == "?" or name in {"WANDB_API_KEY", "LICENSE"}
    assert not re.search(r"://[^/\s@]*:[^/\s@]*@", text)


def test_the_example_of_the_environment_has_every_variable_and_no_value() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"(#?)([A-Z_]+)=(\S*)", line) for line in lines]
    told = {match[2]: (bool(match[1]), match[3]) for match in found if match}
    assert all(
        match or not line or line.startswith("# ") for match, line in zip(found, lines, strict=True)
    )
    assert told.keys() == variables().keys()
    for name, (kind, default) in variables().items():
        # what is needed waits to be filled in; the rest stands there with its default
        assert told[name] == ((False, "") if kind == "?" else (True, default)), name


def test_every_port_is_of_this_machine_alone(content: dict[str, Any]) -> None:
    ports = {name: each.get("ports", []) for name, each in content["services"].items()}
    assert {name for name, published in ports.items() if published} == {"mlflow", "wandb"}
    for published in ports.values():
        assert all(str(port).startswith("127.0.0.1:") for port in published)
    assert not any("network_mode" in each for each in content["services"].values())


def test_every_image_has_an_exact_version(content: dict[str, Any]) -> None:
    images = {each["image"] for each in content["services"].values()}
    exact = r"[\w./-]+:(\d+\.\d+(\.\d+)?(-bookworm)?|RELEASE\.[\dTZ-]+)"
    assert [each for each in images if not re.fullmatch(exact, each)] == []
    assert f"dqi-tracking:{dqi_tracking.__version__}" in images
    # one builds it, the others take what was built
    built = [name for name, each in content["services"].items() if "build" in each]
    assert built == ["mlflow"]
    assert (ROOT / content["services"]["mlflow"]["build"] / "Dockerfile").is_file()


def test_what_is_written_lies_on_named_volumes(content: dict[str, Any]) -> None:
    mounts = [
        volume.split(":")
        for each in content["services"].values()
        for volume in each.get("volumes", [])
    ]
    assert {name for name, _ in mounts} == content["volumes"].keys()
    assert "state_dir" in Settings.model_fields
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert f"DQI_STATE_DIR={dict(mounts)['backfill-state']}" in text


def test_what_stays_is_watched_restarted_and_started_in_order(content: dict[str, Any]) -> None:
    found = content["services"]
    for name, each in found.items():
        assert ("healthcheck" in each) == (name not in ONCE), name
        assert each["restart"] == ("no" if name in ONCE else "unless-stopped"), name
        for other, how in dict(each.get("depends_on") or {}).items():
            expected = "completed_successfully" if other in ONCE else "healthy"
            assert how == {"condition": f"service_{expected}"}, (name, other)
    order = TopologicalSorter(
        {name: dict(each.get("depends_on") or {}) for name, each in found.items()}
    )
    begun = [name for name in order.static_order() if name not in PROFILES]
    assert begun.index("minio") < begun.index("bucket") < begun.index("mlflow")
    assert begun.index("postgres") < begun.index("mlflow")
    assert begun[-1] == "backfill"


@pytest.mark.parametrize(
    ("name", "address"), [("backfill", "mlflow:"), ("wandb-backfill", "wandb:team/p")]
)
def test_a_backfill_is_a_command_of_dqi_that_may_finish_and_harm_nothing(
    name: str, address: str
) -> None:
    each = services(values(WANDB_ENTITY="team", WANDB_PROJECT="p", DQI_EVERY="2h"))[name]
    asked, checked = (
        COMMANDS[program].make_context(program, list(arguments)).params
        for program, *arguments in (each["command"], each["healthcheck"]["test"][2:])
    )
    assert asked["address"] == checked["address"] == address
    assert interval_of(asked["every"]) == 7200
    assert each["stop_grace_period"] == "10m"
    assert (each["init"], each["read_only"], each["cap_drop"]) == (True, True, ["ALL"])
    assert (each["tmpfs"], each["security_opt"]) == (["/tmp"], ["no-new-privileges:true"])


class _Ready(BaseHTTPRequestHandler):
    """Answers as told, at the path that tells whether W&B is ready."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/ready" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def ready() -> Iterator[HTTPServer]:
    """Give a server that says that it is ready."""
    with HTTPServer(("127.0.0.1", 0), type("Ready", (_Ready,), {})) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_health_check_of_wandb_tells_ready_from_not(
    ready: HTTPServer, filled: dict[str, str], tmp_path: Path
) -> None:
    stack = Stack(services(filled), tmp_path)
    assert not stack.is_healthy("wandb")
    stack.ports["wandb:8080"] = ready.server_port
    assert stack.is_healthy("wandb")
    ready.RequestHandlerClass.status = 503  # type: ignore[attr-defined]
    assert not stack.is_healthy("wandb")
