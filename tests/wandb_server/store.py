"""What the server knows: projects with their runs, files, and artifacts, all in memory."""

from __future__ import annotations

import base64
import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)
# Never the same again, in no store: the client keeps artifacts by their ids.
NUMBERS = itertools.count(1)

Row = dict[str, Any]


class Refused(Exception):
    """A request that the server turns down, with the status of its HTTP answer."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def opaque(kind: str, *parts: object) -> str:
    """Return an id as W&B makes them: base64 of what it stands for."""
    return base64.b64encode(":".join([kind, "v1", *map(str, parts)]).encode()).decode()


def stamp(moment: datetime) -> str:
    """Return a time as the API writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class RunFile:
    """A file of a run; `blob` is None until it is uploaded."""

    name: str
    id: str
    blob: str | None = None
    marked: bool = False
    updated_at: datetime = EPOCH


@dataclass
class Run:
    """A run: `name` is what the client calls its id; `exported` rows are in parquet, not live."""

    project: Project = field(repr=False)
    name: str
    created_at: datetime
    heartbeat_at: datetime
    display_name: str | None = None
    state: str = "running"
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    notes: str | None = None
    description: str | None = None
    group: str | None = None
    job_type: str | None = None
    commit: str | None = None
    history: list[Row] = field(default_factory=list, repr=False)
    events: list[Row] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    exported: int = 0
    line_count: int | None = None
    history_keys_null: bool = False
    exit_code: int | None = None
    files: dict[str, RunFile] = field(default_factory=dict)
    artifacts: list[str] = field(default_factory=list)
    used_artifacts: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The storage id, which mutations name the run by."""
        return opaque("Run", self.name, self.project.name, self.project.entity)


@dataclass
class Artifact:
    """A version of an artifact, in its collection."""

    id: str
    collection: Collection = field(repr=False)
    digest: str
    digest_algorithm: str
    created_at: datetime
    created_by: str | None = None
    index: int | None = None
    state: str = "PENDING"
    description: str | None = None
    metadata: str | None = None
    history_step: int | None = None
    tags: list[str] = field(default_factory=list)
    pending_aliases: list[str] = field(default_factory=list)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    manifests: list[str] = field(default_factory=list)


@dataclass
class Collection:
    """A named sequence of versions of one type; an alias points at one of them."""

    id: str
    project: Project = field(repr=False)
    name: str
    type: str
    created_at: datetime
    versions: list[Artifact] = field(default_factory=list)
    aliases: dict[str, Artifact] = field(default_factory=dict)

    @property
    def latest(self) -> Artifact | None:
        """The newest committed version."""
        committed = [version for version in self.versions if version.state == "COMMITTED"]
        return max(committed, key=lambda version: version.index or 0, default=None)


@dataclass
class SavedView:
    """A saved view of a project; `name` is what its link calls it, `spec` is the app's own JSON."""

    id: str
    name: str
    type: str
    created_at: datetime
    updated_at: datetime = EPOCH
    display_name: str = ""
    description: str = ""
    spec: str = "{}"


@dataclass
class Project:
    """A project; a `private` one of another entity is hidden, other foreign ones are read-only."""

    internal_id: int
    entity: str
    name: str
    created_at: datetime
    private: bool = False
    runs: dict[str, Run] = field(default_factory=dict, repr=False)
    deleted: set[str] = field(default_factory=set)
    collections: dict[str, Collection] = field(default_factory=dict, repr=False)
    views: dict[str, SavedView] = field(default_factory=dict, repr=False)

    @property
    def id(self) -> str:
        """The id of the project."""
        return opaque("Project", self.name, self.entity)


class Store:
    """All state behind one lock; `entities` are those that the key may write to."""

    def __init__(self, user: str, entities: set[str]) -> None:
        self.lock = threading.RLock()
        self.user = user
        self.entities = entities
        self.projects: dict[tuple[str, str], Project] = {}
        self.artifacts: dict[str, Artifact] = {}
        self.manifests: dict[str, tuple[Artifact, str]] = {}
        self._seeded = itertools.count()

    def number(self) -> int:
        """Return the next number for an id."""
        return next(NUMBERS)

    def seed_time(self) -> datetime:
        """Return a time of creation for a seeded run: each a minute after the last."""
        return EPOCH + timedelta(minutes=next(self._seeded))

    def now(self) -> datetime:
        """Return the time of a request."""
        return datetime.now(timezone.utc)

    def visible(self, entity: str | None, name: str | None) -> Project | None:
        """Return a project that the key may read, else None, as the API answers."""
        project = self.projects.get((entity or self.user, name or ""))
        hidden = project is None or (project.private and project.entity not in self.entities)
        return None if hidden else project

    def writable(self, entity: str | None, name: str | None, *, create: bool = False) -> Project:
        """Return a project that the key may write to, or refuse."""
        entity, name = entity or self.user, name or "uncategorized"
        project = self.projects.get((entity, name))
        if entity not in self.entities:
            known = any(entity == other for other, _ in self.projects)
            raise Refused(
                "permission denied" if known else f"entity {entity} not found",
                403 if known else 404,
            )
        if project is None and create:
            project = self.add_project(entity, name)
        if project is None:
            raise Refused(f"project {entity}/{name} not found", 404)
        return project

    def add_project(self, entity: str, name: str, *, private: bool = False) -> Project:
        """Return the project, made if it is not there."""
        return self.projects.setdefault(
            (entity, name),
            Project(self.number(), entity, name, self.seed_time(), private),
        )

    def all_runs(self) -> Iterator[Run]:
        """Iterate over the runs of all projects."""
        return itertools.chain.from_iterable(p.runs.values() for p in self.projects.values())

    def run_by_id(self, storage_id: str) -> Run:
        """Return the run with this storage id that the key may write to, or refuse."""
        run = next((run for run in self.all_runs() if run.id == storage_id), None)
        if run is None:
            raise Refused("could not find run", 404)
        self.writable(run.project.entity, run.project.name)
        return run

    def run(self, project: Project, name: str, *, create: bool = False) -> tuple[Run, bool]:
        """Return the named run and whether it was made for this request, or refuse."""
        if run := project.runs.get(name):
            return run, False
        if name in project.deleted:
            raise Refused(f"run {name} was previously created and deleted; try a new run name", 410)
        if not create:
            raise Refused(f"run {project.entity}/{project.name}/{name} not found", 404)
        now = self.now()
        project.runs[name] = Run(project, name, now, now)
        return project.runs[name], True

    def delete_run(self, run: Run) -> None:
        """Forget a run; its name cannot be used again."""
        del run.project.runs[run.name]
        run.project.deleted.add(run.name)
