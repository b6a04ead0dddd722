"""A look at an MLflow store before MLflow opens it.

MLflow creates what is missing: a database at a mistyped path, tables in a database of somebody
else, and it migrates a store of an older release without a word. A tool that scores runs must do
none of this, so whatever is not a store of the installed release is refused here.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from dqi_tracking.errors import (
    AuthError,
    ConfigError,
    ReadRejected,
    SchemaMismatch,
    StoreNotFound,
    TransientTrackerError,
)

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError

_SQL_DIALECTS = ("sqlite", "postgresql", "mysql", "mssql")


def check_store(uri: str) -> None:
    """Refuse a tracking URI that holds no store of the installed MLflow release.

    Servers are left to answer for themselves.

    Parameters
    ----------
    uri : str
        MLflow tracking URI.

    Raises
    ------
    StoreNotFound
        When there is no file, folder, database or MLflow table at the address.
    SchemaMismatch
        When the tables are those of an older or a newer release.
    AuthError, TransientTrackerError, ReadRejected, ConfigError
        When the database refuses, is down, is no database, or has no driver here.
    """
    try:
        scheme = urlsplit(uri).scheme
    except ValueError as error:
        raise ConfigError(
            f"the tracking URI `{uri}` cannot be meant: {error}",
            fix="correct --tracking-uri or MLFLOW_TRACKING_URI",
        ) from error
    if scheme.split("+")[0] in _SQL_DIALECTS:
        _check_database(uri)
    elif is_file_store(uri):
        _check_folder(uri)


def is_file_store(uri: str) -> bool:
    """Tell whether the URI is a folder in MLflow's old layout."""
    scheme = urlsplit(uri).scheme
    # a one-letter scheme is a Windows drive
    return scheme in ("", "file") or len(scheme) == 1


def _check_folder(uri: str) -> None:
    parts = urlsplit(uri)
    folder = Path(url2pathname(parts.path) if parts.scheme == "file" else uri)
    # deleted experiments lie in `.trash`
    if not any(any(folder.glob(where)) for where in ("*/meta.yaml", ".trash/*/meta.yaml")):
        raise StoreNotFound(
            f"no MLflow store in folder `{folder}`",
            fix="point --tracking-uri or MLFLOW_TRACKING_URI at the folder that holds the "
            "experiments (usually `mlruns`)",
        )


def _check_database(uri: str) -> None:
    import sqlalchemy
    from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

    try:
        url = sqlalchemy.make_url(uri)
        if url.drivername.startswith("sqlite"):
            _check_sqlite_file(url.database or "")
        if "@" in (url.host or ""):
            # drivers tell the name of a host that they do not find, here with half a password
            raise ConfigError(
                f"the tracking URI `{uri}` has more than one `@`",
                fix="write an `@` of the user name or the password as %40",
            )
        engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.pool.NullPool)
        with engine.connect() as connection:
            tables = set(sqlalchemy.inspect(connection).get_table_names())
            revisions: list[str] = []
            if "alembic_version" in tables:
                select = sqlalchemy.text("SELECT version_num FROM alembic_version")
                revisions = list(connection.execute(select).scalars())
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise ConfigError(
            f"the tracking URI `{uri}` cannot be opened: {error}",
            fix="install the database's driver (for PostgreSQL `pip install psycopg`, for MySQL "
            "`pip install pymysql`), or correct the URI",
        ) from error
    except DBAPIError as error:
        raise _refusal(uri, error) from error
    if "experiments" not in tables or not revisions:
        raise StoreNotFound(
            f"the database `{uri}` holds no MLflow tables",
            fix="correct the database's name, or let `mlflow server` create the store first",
        )
    _check_revision(uri, revisions[0])


def _check_sqlite_file(path: str) -> None:
    if not path or path.startswith(":memory:") or path.startswith("file:"):
        return
    file = Path(path)
    if not file.is_file():
        raise StoreNotFound(
            f"no MLflow store: there is no file `{file}`",
            fix="correct --tracking-uri or MLFLOW_TRACKING_URI (sqlite:////absolute/path.db)",
        )


def _refusal(
    uri: str, error: DBAPIError
) -> AuthError | StoreNotFound | ReadRejected | TransientTrackerError:
    text = str(error.orig).strip()
    said = text.splitlines()[0] if text else type(error).__name__
    lower = text.lower()
    if any(words in lower for words in ("password", "authentication", "permission denied")):
        return AuthError(
            f"the database `{uri}` refused: {said}", fix="correct the user name or the password"
        )
    if "database" in lower and ("does not exist" in lower or "unknown database" in lower):
        return StoreNotFound(
            f"no such database: {said}", fix="correct the database's name in the URI"
        )
    if "not a database" in lower or "malformed" in lower:
        return ReadRejected(
            f"`{uri}` is no SQLite database: {said}", fix="correct the path, or restore a backup"
        )
    if "unable to open" in lower:
        return AuthError(f"`{uri}` cannot be opened", fix="check that you may read the file")
    return TransientTrackerError(
        f"the database `{uri}` is not reached: {said}",
        fix="start the database, or correct host and port in the URI",
    )


def _check_revision(uri: str, found: str) -> None:
    import mlflow.version

    folder = _migrations()
    if _is_head(folder, found):
        return
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(folder)
    if found == scripts.get_current_head():
        return
    known = found in {script.revision for script in scripts.walk_revisions()}
    if known:
        raise SchemaMismatch(
            f"the store `{uri}` has the schema of an older MLflow ({found}) than the installed "
            f"{mlflow.version.VERSION}",
            fix="back it up, then run `mlflow db upgrade` on it, or go through its own server",
        )
    raise SchemaMismatch(
        f"the store `{uri}` has a schema ({found}) that MLflow {mlflow.version.VERSION} does "
        "not know",
        fix="`pip install --upgrade mlflow` here, or go through the store's own server",
    )


def _is_head(folder: str, found: str) -> bool:
    """Tell whether a revision is the last one, from the text of the migrations.

    Importing them all, as alembic does, takes half a second.
    """
    texts = [path.read_text() for path in Path(folder, "versions").glob("*.py")]
    is_known = re.compile(rf"^revision = [\"']{re.escape(found)}[\"']", re.MULTILINE)
    goes_on = re.compile(rf"^down_revision = .*[\"']{re.escape(found)}[\"']", re.MULTILINE)
    return any(map(is_known.search, texts)) and not any(map(goes_on.search, texts))


def _migrations() -> str:
    spec = importlib.util.find_spec("mlflow.store.db_migrations")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            "the installed MLflow has no SQL store", fix="`pip install mlflow`, not a part of it"
        )
    return next(iter(spec.submodule_search_locations))
