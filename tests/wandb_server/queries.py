"""The roots of queries: who asks, what the server offers, and its projects."""

from __future__ import annotations

from typing import Any

from tests.wandb_server import artifact_view, views
from tests.wandb_server.context import Context
from tests.wandb_server.filters import select
from tests.wandb_server.nodes import entity_node
from tests.wandb_server.pages import connection
from tests.wandb_server.run_view import RunView
from tests.wandb_server.store import Project, opaque, stamp


class ProjectView:
    """A project with its runs and artifacts."""

    description = None
    access = "PRIVATE"
    views = "{}"
    is_benchmark = False

    def __init__(self, context: Context, project: Project) -> None:
        self._context = context
        self._project = project
        self.id = project.id
        self.internal_id = project.internal_id
        self.name = project.name
        self.entity_name = project.entity
        self.entity = entity_node(project.entity)
        self.created_at = stamp(project.created_at)
        self.read_only = project.entity not in context.store.entities

    @property
    def user(self) -> dict[str, Any]:
        return Queries(self._context).viewer

    def run(self, name: str) -> RunView | None:
        run = self._project.runs.get(name)
        return RunView(self._context, run) if run else None

    def bucket(self, name: str, missing_ok: bool = False) -> RunView | None:
        return self.run(name)

    def _select(self, filters: str | None, order: str | None = None) -> list[Any]:
        return select(self._project.runs.values(), filters, order, self._context.behaviour)

    def run_count(self, filters: str | None = None) -> int:
        return len(self._select(filters))

    def runs(
        self,
        filters: str | None = None,
        after: str | None = None,
        first: int | None = None,
        order: str | None = None,
    ) -> dict[str, Any]:
        found = self._select(filters, order)
        return connection(found, lambda run: RunView(self._context, run), after, first)

    def all_views(
        self,
        view_type: str | None = None,
        view_name: str | None = None,
        user_name: str | None = None,
    ) -> dict[str, Any]:
        wanted = view_name if self._context.behaviour.filters_views else None
        return views.listed(self._project, view_type, wanted)

    def artifact_collection(self, name: str) -> artifact_view.CollectionView | None:
        found = self._project.collections.get(name)
        return artifact_view.CollectionView(self._context, found) if found else None

    def artifact_collection_membership(self, name: str) -> artifact_view.MembershipView | None:
        collection, _, alias = name.partition(":")
        found = self.artifact_collection(collection)
        return found.artifact_membership(alias or "latest") if found else None

    def artifact(self, name: str) -> artifact_view.ArtifactView | None:
        found = self.artifact_collection_membership(name)
        return found.artifact if found else None

    def _type(self, name: str) -> dict[str, Any]:
        def collection(name: str, kind: str = name) -> artifact_view.CollectionView | None:
            found = self._project.collections.get(name)
            return self.artifact_collection(name) if found and found.type == kind else None

        return {
            "id": opaque("Type", name),
            "name": name,
            "description": None,
            "created_at": self.created_at,
            "artifact_collection": collection,
        }

    def artifact_type(self, name: str) -> dict[str, Any] | None:
        known = {collection.type for collection in self._project.collections.values()}
        return self._type(name) if name in known else None

    def artifact_types(self, after: str | None = None, first: int | None = None) -> Any:
        known = sorted({collection.type for collection in self._project.collections.values()})
        return connection(known, self._type, after, first)


class Queries:
    """The fields of `Query`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def viewer(self) -> dict[str, Any]:
        store = self._context.store
        teams = sorted(store.entities - {store.user})
        return {
            "id": opaque("User", store.user),
            "name": store.user,
            "username": store.user,
            "email": f"{store.user}@example.com",
            "entity": store.user,
            "admin": False,
            "flags": "{}",
            "deleted_at": None,
            "api_keys": {"edges": []},
            "teams": {"edges": [{"node": self.entity(team)} for team in teams]},
        }

    @property
    def server_info(self) -> dict[str, Any]:
        names = sorted(self._context.behaviour.features)
        return {"features": [{"name": name, "is_enabled": True} for name in names]}

    def entity(self, name: str | None = None) -> dict[str, Any] | None:
        known = {entity for entity, _ in self._context.store.projects}
        if name is None or name not in known | self._context.store.entities:
            return None
        return entity_node(name)

    def project(
        self, name: str | None = None, entity_name: str | None = None
    ) -> ProjectView | None:
        found = self._context.store.visible(entity_name, name)
        return ProjectView(self._context, found) if found else None

    model = project

    def models(
        self, entity_name: str | None = None, after: str | None = None, first: int | None = None
    ) -> dict[str, Any]:
        store = self._context.store
        wanted = entity_name or store.user
        keys = [key for key in store.projects if key[0] == wanted and store.visible(*key)]
        found = [store.projects[key] for key in keys]
        return connection(found, lambda p: ProjectView(self._context, p), after, first)

    def artifact(self, id: str) -> artifact_view.ArtifactView | None:  # noqa: A002
        found = self._context.store.artifacts.get(id)
        return artifact_view.ArtifactView(self._context, found) if found else None
