"""What docker-compose.yml describes, as processes on 127.0.0.1: its commands, its environments.

No container runs. Names of services in addresses become ports of this machine, and all else is
taken from the file as it stands.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import yaml

from tests.stores import PostgresServer, clean_environment, free_port, running

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "docker-compose.yml"
SECONDS = 60.0
PROGRAMS = {
    "dqi": [sys.executable, "-m", "dqi_tracking"],
    "mlflow": [sys.executable, "-m", "mlflow"],
    "python": [sys.executable],
    "bash": ["bash"],
    "pg_isready": [str(distribution("pgserver").locate_file("pgserver/pginstall/bin/pg_isready"))],
}
"""Programs of the images, and where they are here."""
ADDRESSES = ("postgres:5432", "minio:9000", "mlflow:5000", "wandb:8080")
_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+):([-?])([^}]*)\})")
_ADDRESS = re.compile(r"(?<=[/@])(127\.0\.0\.1|postgres|minio|mlflow|wandb)([:/])(\d+)\b")


def variables() -> dict[str, tuple[str, str]]:
    """Return each variable of the file: `?` with the message, or `-` with the default."""
    text = COMPOSE.read_text(encoding="utf-8")
    return {name: (kind, rest) for _, name, kind, rest in _VARIABLE.findall(text) if name}


def _interpolated(node: Any, values: Mapping[str, str]) -> Any:
    def value(match: re.Match[str]) -> str:
        dollar, name, kind, rest = match.groups()
        if dollar:
            return "$"
        if kind == "?" and not values.get(name):
            raise KeyError(name)
        return values.get(name) or rest

    if isinstance(node, dict):
        return {key: _interpolated(each, values) for key, each in node.items()}
    if isinstance(node, list):
        return [_interpolated(each, values) for each in node]
    return _VARIABLE.sub(value, node) if isinstance(node, str) else node


def services(values: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the services of the file with these values in place of its variables."""
    content = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return _interpolated(content["services"], values)


def values(**given: str) -> dict[str, str]:
    """Return what a filled-in .env holds: a password wherever one is asked for."""
    needed = [name for name, (kind, _) in variables().items() if kind == "?"]
    return {name: secrets.token_hex(12) for name in needed} | given


@dataclass(frozen=True)
class Stack:
    """The services, each with a port here, and a folder for what they write."""

    services: dict[str, dict[str, Any]]
    folder: Path
    ports: dict[str, int] = field(default_factory=lambda: {each: free_port() for each in ADDRESSES})

    def uri(self, address: str) -> str:
        """Return where a service listens, such as that of `mlflow:5000`."""
        return f"http://127.0.0.1:{self.ports[address]}"

    def command(self, service: str, *instead: str) -> list[str]:
        """Return what a service runs, or the command that is given in place of its own."""
        asked = self.services[service]
        # the entry point of the Dockerfile
        words = [*asked.get("entrypoint", ["dqi"]), *(instead or asked["command"])]
        port = self.ports["mlflow:5000"]
        bound = {"--host=0.0.0.0": "--host=127.0.0.1", "--port=5000": f"--port={port}"}
        return self._program([bound.get(word, word) for word in words], service)

    def health(self, service: str) -> list[str]:
        """Return the command that tells whether a service is well."""
        kind, *words = self.services[service]["healthcheck"]["test"]
        assert kind == "CMD"
        return self._program(words, service)

    def environment(self, service: str) -> dict[str, str]:
        """Return the variables of a service, and the state folder that its volume stands for."""
        given = self.services[service].get("environment", {})
        placed = {name: self._placed(str(value), service) for name, value in given.items()}
        return {
            **clean_environment(),
            # the tests' own clients, too, give a server up within seconds
            **{name: os.environ[name] for name in os.environ if name.startswith("MLFLOW_HTTP_")},
            "HOME": str(self.folder),
            "DQI_STATE_DIR": str(self.folder / "state"),
            "PGPORT": str(self.ports["postgres:5432"]),
            **placed,
        }

    def run(self, service: str, *instead: str) -> subprocess.CompletedProcess[str]:
        """Run a service, or another command in its place, to its end."""
        return self._run(self.command(service, *instead), service)

    def is_healthy(self, service: str) -> bool:
        """Ask a service as its health check does."""
        return self._run(self.health(service), service).returncode == 0

    @contextlib.contextmanager
    def started(self, service: str, ready: Callable[[str], bool]) -> Iterator[int]:
        """Run a service until what it has said is enough, and end it; gives its process id."""
        log = self.folder / f"{service}.log"
        with running(
            self.command(service),
            log=log,
            folder=self.folder,
            ready=lambda: ready(log.read_text(errors="replace")),
            env=self.environment(service),
        ) as pid:
            yield pid

    def _run(self, command: list[str], service: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self.environment(service), cwd=self.folder, timeout=SECONDS,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def _program(self, words: list[str], service: str) -> list[str]:
        return [*PROGRAMS[words[0]], *(self._placed(word, service) for word in words[1:])]

    def _placed(self, text: str, service: str) -> str:
        """Lead addresses to this machine's ports; a bare name, as in a list of hosts, stays."""

        def place(match: re.Match[str]) -> str:
            host, separator, port = match.groups()
            name = service if host == "127.0.0.1" else host
            here = self.ports.get(f"{name}:{port}")
            return f"127.0.0.1{separator}{here}" if here else match[0]

        return _ADDRESS.sub(place, text)


@contextlib.contextmanager
def postgres_of(stack: Stack, instance: PostgresServer) -> Iterator[None]:
    """Make the user and the database that PostgreSQL's image makes, with the password asked for."""
    asked = stack.services["postgres"]["environment"]
    user, database = asked["POSTGRES_USER"], asked["POSTGRES_DB"]
    rules = instance.log.parent / "data" / "pg_hba.conf"
    before = rules.read_text()
    stack.ports["postgres:5432"] = instance.port
    instance.execute(f"CREATE ROLE {user} SUPERUSER LOGIN PASSWORD '{asked['POSTGRES_PASSWORD']}'")
    instance.execute(f"CREATE DATABASE {database} OWNER {user}")
    rules.write_text(f"host all {user} 127.0.0.1/32 scram-sha-256\n{before}")
    instance.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        instance.execute(f"DROP DATABASE {database} WITH (FORCE)")
        instance.execute(f"DROP ROLE {user}")
        rules.write_text(before)


@contextlib.contextmanager
def s3_of(stack: Stack) -> Iterator[None]:
    """Run moto's S3 where the file has MinIO."""
    port = stack.ports["minio:9000"]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    log = stack.folder / "s3.log"
    with running(
        command, log=log, folder=stack.folder, ready=lambda: "Running on" in log.read_text()
    ):
        yield
