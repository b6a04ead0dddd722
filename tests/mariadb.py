"""A real MariaDB for the tests, where the machine has one: MLflow reaches it as MySQL."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pymysql

from tests.stores import Store, free_port, make_schema, running

PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


def program(name: str) -> str | None:
    """Return where a program of MariaDB is; servers are not on everybody's path."""
    return shutil.which(name, path=PLACES)


@contextlib.contextmanager
def mariadb_store(folder: Path) -> Iterator[Store]:
    """Run a server of our own on a free port, with one database of MLflow's schema."""
    server, maker = program("mariadbd"), program("mariadb-install-db")
    assert server is not None
    assert maker is not None
    data, port = folder / "data", free_port()
    user = ["--user=root"] if not os.geteuid() else []
    # both read no settings of the machine's, and tell their own place apart
    made = subprocess.run(
        [maker, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
         "--skip-test-db", *user],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        raise RuntimeError(f"mariadb-install-db failed: {made.stdout}{made.stderr}")
    command = [
        server, "--no-defaults", f"--datadir={data}", f"--port={port}",
        "--bind-address=127.0.0.1", f"--socket={folder / 's'}", f"--pid-file={folder / 'pid'}",
        "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin", *user,
    ]  # fmt: skip

    def connect() -> pymysql.Connection:
        return pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True)

    def ready() -> bool:
        with contextlib.suppress(pymysql.Error):
            connect().close()
            return True
        return False

    with running(command, log=folder / "mariadb.log", folder=folder, ready=ready):
        with contextlib.closing(connect()) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE mlflow CHARACTER SET utf8mb4")
        uri = f"mysql+pymysql://root@127.0.0.1:{port}/mlflow"
        make_schema(uri)
        yield Store("mariadb", uri, (folder / "artifacts").as_uri())
