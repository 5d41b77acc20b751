"""Generates the JSON Schemas that the server validates messages with, from the models of mcp-types.

Run as a module (`make schemas`) it writes the package's data file. The file holds, for each era, the params of every
request that a client may send, and the results of the server; and the client's answers to the server's questions.
Titles, descriptions and defaults are left out. The official models of all handshake revisions are the same.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from mcp_types import CreateMessageResult, ElicitResult, ListRootsResult
from mcp_types.methods import CLIENT_REQUESTS, SERVER_RESULTS
from pydantic import BaseModel, TypeAdapter

import tfo_mcp.presentation.protocol.validation as validation
from tfo_mcp.presentation.protocol.revisions import REVISIONS

FILE = Path(validation.__file__).with_name("schemas.json")
ANSWERS: Mapping[str, type[BaseModel]] = {
    "elicitation/create": ElicitResult,
    "sampling/createMessage": CreateMessageResult,
    "roots/list": ListRootsResult,
}
_ERAS = {"handshake": True, "stateless": False}
_TEXTS = frozenset({"title", "description", "default", "examples"})


def requests(handshake: bool) -> dict[str, type[BaseModel]]:
    """Return the models of an era's requests by their methods."""
    return {method: model for (method, version), model in CLIENT_REQUESTS.items() if _has(version, handshake)}


def _has(version: str, handshake: bool) -> bool:
    return REVISIONS[version].handshake == handshake


def results(handshake: bool) -> dict[str, Any]:
    """Return the models of an era's results by the methods of the requests, and of the result that asks for input."""
    unions = {method: model for (method, version), model in SERVER_RESULTS.items() if _has(version, handshake)}
    models: dict[str, Any] = {}
    for method, union in unions.items():
        for model in get_args(union) or (union,):
            models["input_required" if model.__name__ == "InputRequiredResult" else method] = model
    return models


def generate() -> dict[str, Any]:
    """Return the contents of the file."""
    groups = {"answers": _schemas(ANSWERS)}
    for era, handshake in _ERAS.items():
        groups[f"{era} requests"] = _of_params(_schemas(requests(handshake)))
        groups[f"{era} results"] = _schemas(results(handshake))
    return groups


def text(schemas: Mapping[str, Any]) -> str:
    """Return the contents as they are written."""
    return json.dumps(schemas, indent=1, sort_keys=True) + "\n"


def _schemas(models: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of each model by its method, and the definitions that they refer to."""
    inputs = [(method, "validation", TypeAdapter(model)) for method, model in models.items()]
    schemas, definitions = TypeAdapter.json_schemas(inputs)  # type: ignore[arg-type]
    return {
        "methods": {method: _without_texts(schema) for (method, _), schema in schemas.items()},
        "$defs": {name: _without_texts(shape) for name, shape in definitions["$defs"].items()},
    }


def _of_params(group: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schemas of the params of requests, without the definitions that only the requests refer to."""
    shapes = group["$defs"]
    methods = {method: shapes[_name(schema)]["properties"]["params"] for method, schema in group["methods"].items()}
    return {"methods": methods, "$defs": {name: shapes[name] for name in _reachable(list(methods.values()), shapes)}}


def _without_texts(schema: Any) -> Any:
    """Return a schema without texts for people, but with properties of the same names."""
    if isinstance(schema, list):
        return [_without_texts(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: {key: _without_texts(value) for key, value in member.items()}
        if name == "properties"
        else _without_texts(member)
        for name, member in schema.items()
        if name not in _TEXTS
    }


def _reachable(waiting: list[Any], definitions: Mapping[str, Any]) -> list[str]:
    """Return the names of the definitions that the schemas refer to, directly or through others."""
    found: set[str] = set()
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            waiting.extend(item.values())
            reference = item.get("$ref")
            if isinstance(reference, str) and (name := _name({"$ref": reference})) not in found:
                found.add(name)
                waiting.append(definitions[name])
    return sorted(found)


def _name(reference: Mapping[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


if __name__ == "__main__":
    FILE.write_text(text(generate()))
