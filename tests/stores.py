"""Real MLflow stores and servers for the tests, each one started and ended by its caller."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import distribution
from pathlib import Path

import psutil
import psycopg

START_SECONDS = 60.0
STOP_SECONDS = 10.0
FOREIGN_PREFIXES = ("MLFLOW_", "_MLFLOW_", "DQI_", "WANDB_", "DATABRICKS_")
FOREIGN_NAMES = {"NETRC", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}


@dataclass(frozen=True)
class Store:
    """A tracking store: its MLflow URI, and where a new experiment has to put its artifacts.

    `artifact_root` is None where the store itself decides that (HTTP servers, file stores).
    """

    name: str
    uri: str
    artifact_root: str | None


@dataclass(frozen=True)
class Server:
    """A running `mlflow server`, with its administrator's credentials if it asks for them."""

    uri: str
    pid: int
    log: Path
    username: str = ""
    password: str = ""


@dataclass(frozen=True)
class PostgresServer:
    """A running PostgreSQL on loopback; `template` names a database with MLflow's schema."""

    port: int
    pid: int
    log: Path
    template: str = "mlflow_template"

    def uri(self, database: str, *, driver: str = "postgresql+psycopg") -> str:
        """Return the URI of a database, for SQLAlchemy unless another driver is named."""
        return f"{driver}://postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        """Run one statement as the superuser, outside a transaction."""
        uri = self.uri("postgres", driver="postgresql")
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute(statement.encode())


def clean_environment() -> dict[str, str]:
    """Return the environment without any tracker's or proxy's settings, telemetry disabled."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(FOREIGN_PREFIXES) and name.upper() not in FOREIGN_NAMES
    }
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    return kept | quiet | {"NO_PROXY": "127.0.0.1,localhost", "GIT_PYTHON_REFRESH": "quiet"}


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended but was not reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def process_tree(pid: int) -> list[int]:
    """Return the ids of a process and all its descendants."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def _wait(ready: Callable[[], bool], seconds: float) -> bool:
    """Poll until `ready` is true, or the seconds are over, and return the last answer."""
    deadline = time.monotonic() + seconds
    while not (answer := ready()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return answer


@contextlib.contextmanager
def running(
    command: list[str],
    *,
    log: Path,
    folder: Path,
    ready: Callable[[], bool],
    stop: signal.Signals = signal.SIGTERM,
    env: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """Run a server in its own process group until it is ready, and end all of it on exit.

    Every descendant is remembered, not the group alone: PostgreSQL's children leave it.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=clean_environment() | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(lambda: process.poll() is not None or ready(), START_SECONDS)
        if process.poll() is not None or not ready():
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
            raise RuntimeError(f"{' '.join(command)} did not start, its log ends with:\n{tail}")
        yield process.pid
    finally:
        tree = process_tree(process.pid) if process.poll() is None else []
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, stop)
        if not _wait(
            lambda: process.poll() is not None and not any(map(alive, tree)), STOP_SECONDS
        ):
            for pid in filter(alive, tree):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)


def make_schema(uri: str) -> None:
    """Migrate an empty database to MLflow's schema, without any experiment."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(uri, "mlflow-artifacts:/")
    with store.engine.begin() as connection:
        # Each store makes its own default experiment, with its own artifact location.
        connection.exec_driver_sql("DELETE FROM experiments")
    store.engine.dispose()


def make_sqlite_template(path: Path) -> Path:
    """Make a SQLite file with MLflow's schema, unless another xdist worker already has."""
    if not path.exists():
        # Two workers may both make it: that costs no more time than one waiting for the other.
        part = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        make_schema(f"sqlite:///{part}")
        part.replace(path)
    return path


@contextlib.contextmanager
def sqlite_store(folder: Path, *, template: Path | None = None) -> Iterator[Store]:
    """Give an empty SQLite store in `folder`, copied from the template where there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "mlflow.db"
    shutil.copyfile(template, database) if template else make_sqlite_template(database)
    yield Store("sqlite", f"sqlite:///{database}", (folder / "artifacts").as_uri())


@contextlib.contextmanager
def file_store(folder: Path) -> Iterator[Store]:
    """Give an empty file store; its readers need `MLFLOW_ALLOW_FILE_STORE=true`."""
    folder.mkdir(parents=True, exist_ok=True)
    yield Store("files", folder.as_uri(), None)


@contextlib.contextmanager
def postgres_server(folder: Path, *, port: int = 0) -> Iterator[PostgresServer]:
    """Run pgserver's PostgreSQL in `folder`, on TCP and without passwords or durability.

    A folder that one has run in before holds its databases: with the same port it is restarted.
    """
    # Importing pgserver warns about XDG_RUNTIME_DIR; its own launcher adds a system user and
    # opens /root for everybody when run by root. Only its programs are needed.
    programs = Path(str(distribution("pgserver").locate_file("pgserver/pginstall/bin")))
    # PostgreSQL refuses to run as root: a user namespace shows it another user id.
    user = ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if not os.geteuid() else []
    folder.mkdir(parents=True, exist_ok=True)
    data, log, port = folder / "data", folder / "postgres.log", port or free_port()
    is_new = not data.exists()
    create = [*user, str(programs / "initdb"), "-D", str(data), "--username=postgres"]
    create += ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
    if is_new:
        made = subprocess.run(create, capture_output=True, text=True, check=False)
        if made.returncode:
            raise RuntimeError(f"{' '.join(create)} failed: {made.stdout}{made.stderr}")
    options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
    options |= {"full_page_writes": "off", "max_connections": "200", "port": str(port)}
    command = [*user, str(programs / "postgres"), "-D", str(data)]
    command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]

    server = PostgresServer(port, 0, log)

    def ready() -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            server.execute("SELECT 1")
            return True
        return False

    # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for MLflow's pooled connections.
    with running(command, log=log, folder=folder, ready=ready, stop=signal.SIGINT) as pid:
        server = PostgresServer(port, pid, log)
        if is_new:
            server.execute(f"CREATE DATABASE {server.template}")
            make_schema(server.uri(server.template))
        yield server


def postgres_database(server: PostgresServer) -> str:
    """Make a database with MLflow's schema and no experiment, and return its URI."""
    name = f"db_{uuid.uuid4().hex}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {server.template}")
    return server.uri(name)


def _healthy(uri: str) -> bool:
    # An opener of its own: the environment's proxies must not see loopback requests.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(OSError, http.client.HTTPException):
        direct.open(f"{uri}/health", timeout=5).close()
        return True
    return False


@contextlib.contextmanager
def mlflow_server(
    backend_uri: str,
    artifacts_folder: Path,
    *,
    app_name: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run the real `mlflow server` over a backend store; its log lies beside the artifacts."""
    artifacts_folder.mkdir(parents=True, exist_ok=True)
    log, port = artifacts_folder.with_name(f"{artifacts_folder.name}.log"), free_port()
    uri = f"http://127.0.0.1:{port}"
    arguments = {"host": "127.0.0.1", "port": str(port), "workers": "1"}
    arguments |= {"backend-store-uri": backend_uri, "artifacts-destination": str(artifacts_folder)}
    arguments |= {"app-name": app_name} if app_name else {}
    command = [sys.executable, "-m", "mlflow", "server"]
    command += [part for name, value in arguments.items() for part in (f"--{name}", value)]
    env = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"} | dict(env or {})
    folder = artifacts_folder.parent
    with running(command, log=log, folder=folder, ready=lambda: _healthy(uri), env=env) as pid:
        yield Server(uri, pid, log)


@contextlib.contextmanager
def basic_auth_server(backend_uri: str, folder: Path) -> Iterator[Server]:
    """Run `mlflow server` with its password check (needs `mlflow[auth]`)."""
    username, password = "admin", "loopback-admin-password"
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "basic_auth.ini"
    settings.write_text(
        "[mlflow]\ndefault_permission = READ\n"
        f"database_uri = sqlite:///{folder / 'basic_auth.db'}\n"
        f"admin_username = {username}\nadmin_password = {password}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    env = {"MLFLOW_AUTH_CONFIG_PATH": str(settings), "MLFLOW_FLASK_SERVER_SECRET_KEY": "test"}
    with mlflow_server(backend_uri, folder / "artifacts", app_name="basic-auth", env=env) as server:
        yield replace(server, username=username, password=password)
