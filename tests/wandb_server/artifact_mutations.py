"""Writing artifacts: create, upload, commit, alias, use, delete."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tests.wandb_server.artifact_view import ArtifactView, CollectionView
from tests.wandb_server.context import Context
from tests.wandb_server.pages import connection
from tests.wandb_server.store import Artifact, Collection, Project, Refused, opaque


class ArtifactMutations:
    """The fields of `Mutation` for artifacts."""

    _context: Context

    def _collection(self, project: Project, name: str, kind: str) -> Collection:
        store = self._context.store
        if found := project.collections.get(name):
            if found.type != kind:
                raise Refused(
                    f"artifact {name} already exists with type {found.type}, not {kind}", 409
                )
            return found
        number = opaque("ArtifactCollection", store.number())
        return project.collections.setdefault(
            name, Collection(number, project, name, kind, store.now())
        )

    def _artifact(self, artifact_id: str) -> Artifact:
        artifact = self._context.store.artifacts.get(artifact_id)
        if artifact is None or artifact.state == "DELETED":
            raise Refused("artifact not found", 404)
        project = artifact.collection.project
        self._context.store.writable(project.entity, project.name)
        return artifact

    def _payload(self, artifact: Artifact) -> dict[str, Any]:
        return {"artifact": ArtifactView(self._context, artifact)}

    def point(self, artifact: Artifact, aliases: Iterable[str]) -> None:
        """Point aliases at a version, away from others of its collection."""
        for alias in aliases:
            artifact.collection.aliases[alias] = artifact

    def create_artifact(self, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        store = self._context.store
        project = store.writable(input["entity_name"], input["project_name"])
        names = input.get("artifact_collection_names") or [input.get("artifact_collection_name")]
        if not names[0]:
            raise Refused("an artifact needs a name")
        collection = self._collection(project, names[0], input["artifact_type_name"])
        aliases = [alias["alias"] for alias in input.get("aliases") or []]
        artifact = None
        if input.get("enable_digest_deduplication"):
            same = (v for v in collection.versions if v.digest == input["digest"])
            artifact = next((v for v in same if v.state == "COMMITTED"), None)
        if artifact:
            self.point(artifact, aliases)
        else:
            artifact = Artifact(
                id=opaque("Artifact", store.number()),
                collection=collection,
                digest=input["digest"],
                digest_algorithm=input.get("digest_algorithm") or "MANIFEST_MD5",
                created_at=store.now(),
                created_by=input.get("run_name"),
                description=input.get("description"),
                metadata=input.get("metadata"),
                history_step=input.get("history_step"),
                tags=[tag["tag_name"] for tag in input.get("tags") or []],
                pending_aliases=aliases,
            )
            collection.versions.append(artifact)
            store.artifacts[artifact.id] = artifact
        if run_name := input.get("run_name"):
            run, _ = store.run(project, run_name)
            if artifact.id not in run.artifacts:
                run.artifacts.append(artifact.id)
        return self._payload(artifact)

    def create_artifact_manifest(self, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        artifact = self._artifact(input["artifact_id"])
        key = self._context.blobs.new_key(input["name"])
        artifact.manifests.append(key)
        self._context.store.manifests[key] = (artifact, input["digest"])
        return {"artifact_manifest": ArtifactView(self._context, artifact).manifest(key)}

    def update_artifact_manifest(self, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        key = input["artifact_manifest_id"]
        if key not in self._context.store.manifests:
            raise Refused("manifest not found", 404)
        artifact, _ = self._context.store.manifests[key]
        self._context.store.manifests[key] = (artifact, input.get("digest") or "")
        return {"artifact_manifest": ArtifactView(self._context, artifact).manifest(key)}

    def create_artifact_files(self, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        made = []
        for spec in input["artifact_files"]:
            artifact = self._artifact(spec["artifact_id"])
            key = self._context.blobs.new_key(spec["name"])
            entry = {"blob": key, "md5": spec["md5"], "mimetype": spec.get("mimetype")}
            artifact.files[spec["name"]] = entry
            made.append((ArtifactView(self._context, artifact), spec["name"]))
        count = len(made)
        return {"files": connection(made, lambda item: item[0].file(item[1]), first=count)}

    def commit_artifact(self, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        artifact = self._artifact(input["artifact_id"])
        blobs = self._context.blobs
        manifest = blobs.get(artifact.manifests[-1]) if artifact.manifests else None
        if manifest is None:
            raise Refused("the artifact's manifest was not uploaded", 409)
        for name in json.loads(manifest)["contents"]:
            if name not in artifact.files or blobs.get(artifact.files[name]["blob"]) is None:
                raise Refused(f"the artifact's file {name} was not uploaded", 409)
        if artifact.state == "PENDING":
            taken = [v.index for v in artifact.collection.versions if v.index is not None]
            artifact.index = max(taken, default=-1) + 1
            artifact.state = "COMMITTED"
            self.point(artifact, ["latest", *artifact.pending_aliases])
        return self._payload(artifact)

    def use_artifact(self, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        artifact = self._artifact(input["artifact_id"])
        project = self._context.store.writable(input["entity_name"], input["project_name"])
        run, _ = self._context.store.run(project, input["run_name"])
        if artifact.id not in run.used_artifacts:
            run.used_artifacts.append(artifact.id)
        return self._payload(artifact)

    def update_artifact(self, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        artifact = self._artifact(input["artifact_id"])
        for name in ("description", "metadata"):
            if input.get(name) is not None:
                setattr(artifact, name, input[name])
        removed = {tag["tag_name"] for tag in input.get("tags_to_delete") or []}
        added = [tag["tag_name"] for tag in input.get("tags_to_add") or []]
        artifact.tags = [tag for tag in [*artifact.tags, *added] if tag not in removed]
        return self._payload(artifact)

    def add_aliases(self, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        self.point(
            self._artifact(input["artifact_id"]), [alias["alias"] for alias in input["aliases"]]
        )
        return {"success": True}

    def delete_aliases(self, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        artifact = self._artifact(input["artifact_id"])
        for alias in input["aliases"]:
            artifact.collection.aliases.pop(alias["alias"], None)
        return {"success": True}

    def drop(self, artifact: Artifact) -> None:
        """Delete a version; `latest` falls back to the one before."""
        collection = artifact.collection
        artifact.state = "DELETED"
        for name in [name for name, v in collection.aliases.items() if v is artifact]:
            del collection.aliases[name]
        if collection.latest:
            collection.aliases.setdefault("latest", collection.latest)
        for run in collection.project.runs.values():
            run.artifacts = [i for i in run.artifacts if i != artifact.id]
            run.used_artifacts = [i for i in run.used_artifacts if i != artifact.id]

    def delete_artifact(self, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        artifact = self._artifact(input["artifact_id"])
        aliased = any(version is artifact for version in artifact.collection.aliases.values())
        if aliased and not input.get("delete_aliases"):
            raise Refused("cannot delete artifact with an existing alias", 409)
        self.drop(artifact)
        return self._payload(artifact)

    def delete_artifact_sequence(self, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        for project in self._context.store.projects.values():
            for collection in list(project.collections.values()):
                if collection.id == input["artifact_sequence_id"]:
                    for artifact in collection.versions:
                        self.drop(artifact)
                    del project.collections[collection.name]
                    view = CollectionView(self._context, collection)
                    view.state = "DELETED"
                    return {"artifact_collection": view}
        raise Refused("artifact collection not found", 404)
