"""Nodes that several views hand out: entities, projects, files."""

from __future__ import annotations

from typing import Any

from tests.wandb_server.blobs import Blobs, md5_of
from tests.wandb_server.store import Project, opaque


def entity_node(name: str) -> dict[str, Any]:
    """Return an entity."""
    return {"id": opaque("Entity", name), "name": name, "xxhash_digests_enabled": False}


def project_node(project: Project) -> dict[str, Any]:
    """Return what runs and artifacts tell of their project."""
    return {
        "id": project.id,
        "internal_id": project.internal_id,
        "name": project.name,
        "entity": entity_node(project.entity),
    }


def file_node(blobs: Blobs, key: str, **fields: Any) -> dict[str, Any]:
    """Return a file that is, or will be, the blob under a key; `fields` add to it or differ."""
    url, data = blobs.url(key), blobs.get(key)
    return {
        "url": lambda upload=False: url,
        "direct_url": url,
        "size_bytes": len(data or b""),
        "mimetype": "application/octet-stream",
        "md5": "0" if data is None else md5_of(data),
        **fields,
    }
