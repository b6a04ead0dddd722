"""Executing a request against the schema: graphql-core parses, checks and walks it."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    execute_sync,
    parse,
    validate,
)

from tests.wandb_server.store import Refused

SCHEMA = ("schema.graphql", "artifacts.graphql", "mutations.graphql", "views.graphql")
WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake(name: str) -> str:
    """Return a field's name as Python names it: `clientIDMapping` is `client_id_mapping`."""
    return WORD.sub("_", name).lower()


def json_string(value: Any) -> str:
    """Return a JSONString that a client sent, refused where it is not JSON (NaN, Infinity)."""

    def refuse(token: str) -> None:
        raise GraphQLError(f"invalid JSON: {token}")

    try:
        json.loads(value, parse_constant=refuse)
    except (TypeError, ValueError) as error:
        raise GraphQLError(f"invalid JSON: {error}") from error
    return str(value)


@lru_cache(maxsize=1)
def schema() -> GraphQLSchema:
    """Return the schema, read once."""
    folder = Path(__file__).parent
    built = build_schema("".join((folder / name).read_text(encoding="utf-8") for name in SCHEMA))
    scalar = built.type_map["JSONString"]
    assert isinstance(scalar, GraphQLScalarType)
    scalar.parse_value = json_string  # type: ignore[method-assign]
    return built


@lru_cache(maxsize=256)
def parsed(query: str) -> DocumentNode:
    """Return the document of a query's text."""
    return parse(query)


@lru_cache(maxsize=256)
def problems(query: str) -> tuple[GraphQLError, ...]:
    """Return what the schema does not allow in a query: unknown fields, arguments, types."""
    return tuple(validate(schema(), parsed(query)))


def operation(query: str) -> tuple[str, str]:
    """Return the kind and the name of what a query asks: ("mutation", "UpsertBucket")."""
    try:
        definitions = parsed(query).definitions
    except GraphQLError:
        return "query", ""
    for node in definitions:
        if isinstance(node, OperationDefinitionNode):
            return node.operation.value, node.name.value if node.name else ""
    return "query", ""


def arguments(value: Any) -> Any:
    """Return arguments with the names that Python gives them, in input objects too."""
    if isinstance(value, dict):
        return {snake(key): arguments(item) for key, item in value.items()}
    return [arguments(item) for item in value] if isinstance(value, list) else value


def resolve(source: Any, info: GraphQLResolveInfo, **given: Any) -> Any:
    """Return a field: of a dictionary its item, of an object its attribute or method's answer."""
    name = snake(info.field_name)
    found = source.get(name) if isinstance(source, dict) else getattr(source, name)
    return found(**arguments(given)) if callable(found) else found


def resolve_type(value: Any, *_: Any) -> str:
    """Return the name of the type of an object behind an interface or a union."""
    return str(value.graphql_type)


def answer(root: Any, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and the body of the answer to a request."""
    query = body.get("query", "")
    try:
        found = problems(query)
    except GraphQLError as error:
        found = (error,)
    if found:
        return 400, {"errors": [error.formatted for error in found]}
    result = execute_sync(
        schema(),
        parsed(query),
        root_value=root,
        variable_values=body.get("variables") or {},
        operation_name=body.get("operationName") or None,
        field_resolver=resolve,
        type_resolver=resolve_type,
    )
    return status_of(result), {
        "data": result.data,
        **({"errors": [error.formatted for error in result.errors]} if result.errors else {}),
    }


def status_of(result: ExecutionResult) -> int:
    """Return the status of an answer: that of what was refused, 400 for bad variables."""
    for error in result.errors or []:
        if isinstance(error.original_error, Refused):
            return error.original_error.status
        if error.original_error is None or isinstance(error.original_error, GraphQLError):
            return 400
    return 500 if result.errors else 200
