"""Compact output schemas of the built-in tools: the members that clients need, with their types.

Every model that sees the tools pays for their definitions, so descriptions and what is required are left out, and
results may have further members.
"""

from collections.abc import Mapping
from typing import Any


def members(**types: str) -> Mapping[str, Any]:
    """Return the schema of an object with these members; the name of a type that may be null ends with `?`."""
    properties = {name: {"type": [kind[:-1], "null"] if kind.endswith("?") else kind} for name, kind in types.items()}
    return {"type": "object", "properties": properties}
