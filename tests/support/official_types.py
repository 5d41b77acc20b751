"""Holds results of the server against the official MCP types of a revision."""

from functools import cache
from typing import Any

from mcp_types.methods import SERVER_RESULTS
from pydantic import TypeAdapter


@cache
def _adapter(method: str, version: str) -> TypeAdapter[Any] | None:
    surface: Any = SERVER_RESULTS.get((method, version))
    return None if surface is None else TypeAdapter(surface)


def assert_official(method: str, version: str, result: object) -> None:
    """Check that a result has the method's type in the revision, and no field that the type lacks.

    Methods that the official types do not have are not checked. `initialize` may have extensions in any revision: they
    are negotiated in addition to it (SEP-2133).
    """
    adapter = _adapter(method, version)
    if method == "initialize" and isinstance(result, dict) and "capabilities" in result:
        capabilities = {name: value for name, value in result["capabilities"].items() if name != "extensions"}
        result = {**result, "capabilities": capabilities}
    if adapter is not None:
        known = adapter.dump_python(adapter.validate_python(result, by_name=False), by_alias=True, exclude_unset=True)
        assert result == known, f"The result of {method} at {version} has fields that the revision lacks"
