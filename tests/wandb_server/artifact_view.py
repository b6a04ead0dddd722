"""Artifacts, their collections, memberships, files and manifests as the schema describes them."""

from __future__ import annotations

from typing import Any

from tests.wandb_server import run_view
from tests.wandb_server.context import Context
from tests.wandb_server.nodes import file_node, project_node
from tests.wandb_server.pages import connection
from tests.wandb_server.store import Artifact, Collection, opaque, stamp


def named(
    context: Context, ids: list[str], after: str | None = None, first: int | None = None
) -> dict[str, Any]:
    """Return a page of the artifacts with these ids that still exist."""
    known = context.store.artifacts
    found = [known[i] for i in ids if i in known and known[i].state == "COMMITTED"]
    return connection(found, lambda artifact: ArtifactView(context, artifact), after, first)


def version_of(collection: Collection, alias: str) -> Artifact | None:
    """Return the version that an alias or `v3` names."""
    if found := collection.aliases.get(alias):
        return found
    committed = (v for v in collection.versions if v.state == "COMMITTED")
    return next((v for v in committed if alias == f"v{v.index}"), None)


class CollectionView:
    """A sequence of versions."""

    graphql_type = "ArtifactSequence"

    def __init__(self, context: Context, collection: Collection) -> None:
        self._context = context
        self._collection = collection
        self.id = collection.id
        self.name = collection.name
        self.description = None
        self.created_at = self.updated_at = stamp(collection.created_at)
        self.state = "READY"
        self.default_artifact_type = {
            "id": opaque("Type", collection.type),
            "name": collection.type,
        }
        self.tags: dict[str, list[Any]] = {"edges": []}

    @property
    def project(self) -> dict[str, Any]:
        return project_node(self._collection.project)

    @property
    def latest_artifact(self) -> ArtifactView | None:
        latest = self._collection.latest
        return ArtifactView(self._context, latest) if latest else None

    @property
    def digest_algorithm(self) -> str | None:
        latest = self._collection.latest
        return latest.digest_algorithm if latest else None

    def artifact_membership(self, alias_name: str) -> MembershipView | None:
        found = version_of(self._collection, alias_name)
        return MembershipView(self._context, found) if found else None

    def artifacts(
        self,
        after: str | None = None,
        first: int | None = None,
        order: str | None = None,
        filters: str | None = None,
    ) -> dict[str, Any]:
        found = [v for v in self._collection.versions if v.state == "COMMITTED"]
        found.sort(key=lambda version: version.index or 0, reverse=order != "+createdAt")
        return connection(found, lambda v: ArtifactView(self._context, v), after, first)


class ArtifactView:
    """A version; fields that are computed are methods here, others come from the artifact."""

    ttl_duration_seconds = -1
    ttl_is_inherited = False
    commit_hash = None
    graphql_type = "Artifact"

    def __init__(self, context: Context, artifact: Artifact) -> None:
        self._context = context
        self._artifact = artifact

    def __getattr__(self, name: str) -> Any:
        return getattr(self._artifact, name)

    @property
    def artifact_sequence(self) -> CollectionView:
        return CollectionView(self._context, self._artifact.collection)

    @property
    def artifact_type(self) -> dict[str, Any]:
        return self.artifact_sequence.default_artifact_type

    @property
    def version_index(self) -> int | None:
        return self._artifact.index

    @property
    def size(self) -> int:
        return sum(self.size_of(name) for name in self._artifact.files)

    def size_of(self, name: str) -> int:
        return len(self._context.blobs.get(self._artifact.files[name]["blob"]) or b"")

    @property
    def file_count(self) -> int:
        return len(self._artifact.files)

    @property
    def created_at(self) -> str:
        return stamp(self._artifact.created_at)

    @property
    def updated_at(self) -> str:
        return self.created_at

    @property
    def tags(self) -> list[dict[str, str]]:
        return [{"id": opaque("Tag", tag), "name": tag} for tag in self._artifact.tags]

    @property
    def aliases(self) -> list[dict[str, Any]]:
        collection = self._artifact.collection
        return [
            {
                "id": opaque("Alias", collection.id, alias),
                "alias": alias,
                "artifact_collection": self.artifact_sequence,
            }
            for alias, version in collection.aliases.items()
            if version is self._artifact
        ]

    @property
    def current_manifest(self) -> dict[str, Any] | None:
        manifests = self._artifact.manifests
        return self.manifest(manifests[-1]) if manifests else None

    def manifest(self, key: str) -> dict[str, Any]:
        url = self._context.blobs.url(key)
        file = {"id": key, "direct_url": url, "upload_url": url, "upload_headers": []}
        return {"id": key, "file": file}

    def _run(self, name: str | None) -> run_view.RunView | None:
        run = self._artifact.collection.project.runs.get(name or "")
        return run_view.RunView(self._context, run) if run else None

    @property
    def created_by(self) -> run_view.RunView | None:
        return self._run(self._artifact.created_by)

    @property
    def used_by(self) -> dict[str, Any]:
        runs = self._artifact.collection.project.runs.values()
        users = [run for run in runs if self._artifact.id in run.used_artifacts]
        return connection(users, lambda run: run_view.RunView(self._context, run))

    @property
    def artifact_memberships(self) -> dict[str, Any]:
        return {"edges": [{"node": MembershipView(self._context, self._artifact)}]}

    def file(self, name: str) -> dict[str, Any]:
        entry, blobs = self._artifact.files[name], self._context.blobs
        key = entry["blob"]
        return file_node(
            blobs,
            key,
            id=opaque("ArtifactFile", self._artifact.id, name),
            name=name,
            display_name=name,
            # What is there need not be uploaded again.
            upload_url=blobs.url(key) if blobs.get(key) is None else None,
            upload_headers=[],
            upload_multipart_urls=None,
            storage_path=key,
            mimetype=entry["mimetype"],
            updated_at=self.created_at,
            digest=entry["md5"],
            md5=entry["md5"],
            artifact=self,
        )


class MembershipView:
    """A version's place in its collection."""

    def __init__(self, context: Context, artifact: Artifact) -> None:
        self.artifact = ArtifactView(context, artifact)
        self.id = opaque("Membership", artifact.id)
        self.version_index = artifact.index
        self.created_at = self.artifact.created_at
        self.aliases = self.artifact.aliases
        self.artifact_collection = self.artifact.artifact_sequence

    def files(
        self,
        names: list[str] | None = None,
        after: str | None = None,
        first: int | None = None,
    ) -> dict[str, Any]:
        found = [name for name in sorted(self.artifact.files) if not names or name in names]
        return connection(found, self.artifact.file, after, first)
