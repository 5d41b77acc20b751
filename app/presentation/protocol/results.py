"""Results as JSON, checked and trimmed by the official wire types of the revision."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from mcp_types.methods import SERVER_RESULTS
from pydantic import TypeAdapter

from app.presentation import jsonrpc


def encode_result(method: str, version: str, result: Mapping[str, Any]) -> bytes:
    """Return the result as compact JSON; fields that the revision does not know are left out.

    Raises:
        pydantic.ValidationError: the result does not have the method's shape in the revision: an error of ours.
    """
    adapter = _adapter(method, version)
    if adapter is None:  # a method of the product's own
        return jsonrpc.encode_value(result)
    checked = adapter.validate_python(result, by_name=False)
    return adapter.dump_json(checked, by_alias=True, exclude_unset=True)


@cache
def _adapter(method: str, version: str) -> TypeAdapter[Any] | None:
    surface = SERVER_RESULTS.get((method, version))
    adapter: TypeAdapter[Any] | None = None if surface is None else TypeAdapter(surface)  # type: ignore[arg-type]
    return adapter
