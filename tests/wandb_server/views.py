"""Saved views: listed with their project, made and changed by one mutation."""

from __future__ import annotations

import json
from typing import Any

from tests.wandb_server.context import Context
from tests.wandb_server.pages import connection
from tests.wandb_server.store import Project, Refused, SavedView, opaque, stamp

TEXT = ("name", "display_name", "description", "spec")


def node(view: SavedView) -> dict[str, Any]:
    """Return a view as the API hands it out."""
    times = {"created_at": stamp(view.created_at), "updated_at": stamp(view.updated_at)}
    return {name: getattr(view, name) for name in ("id", "type", *TEXT)} | times


def listed(
    project: Project, view_type: str | None = None, view_name: str | None = None
) -> dict[str, Any]:
    """Return the views of a type, or the one of a name."""
    found = [
        view
        for view in project.views.values()
        if view_type in (None, view.type) and view_name in (None, view.name)
    ]
    return connection(found, node)


class ViewMutations:
    """The field of `Mutation` for views."""

    _context: Context

    def upsert_view(self, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        store = self._context.store
        project = store.writable(input.get("entity_name"), input.get("project_name"))
        _checked(input.get("spec"))
        view = project.views.get(input.get("id") or "")
        if input.get("id") and view is None:
            raise Refused("view not found", 404)
        inserted = view is None
        if view is None:
            # what the cloud makes of a second view of one name is not known
            if any(input.get("name") == other.name for other in project.views.values()):
                raise Refused(f"view {input['name']} already exists", 409)
            made = store.now()
            view_id = opaque("View", store.number())
            view = SavedView(view_id, input["name"], input["type"], created_at=made)
            project.views[view.id] = view
            if not self._context.behaviour.keeps_view_names:
                input = input | {"name": f"nw-{made:%H%M%S%f}-v"}  # noqa: A001
        for name in TEXT:
            if input.get(name) is not None:
                setattr(view, name, input[name])
        view.updated_at = store.now()
        return {"view": node(view), "inserted": inserted}


def _checked(spec: str | None) -> None:
    try:
        json.loads(spec or "")
    except ValueError as error:
        raise Refused(f"the spec is no JSON: {error}") from error
