"""Callers and their scopes.

A scope permits one kind of operation; the scope `tool:NAME` permits a single tool. Every tool requires one scope, and
resources and prompts have their own. Knows neither API keys nor tokens, which determine a caller's scopes.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Literal

from tfo_mcp.value_objects import value_object

TOOLS_READ, TOOLS_WRITE, TOOLS_EXECUTE, TOOLS_AI = "tools:read", "tools:write", "tools:execute", "tools:ai"
RESOURCES_READ, PROMPTS_READ, ADMIN = "resources:read", "prompts:read", "admin"
TELEMETRY_READ, TELEMETRY_SQL = "telemetry:read", "telemetry:sql"

SCOPES: Mapping[str, str] = {
    TOOLS_READ: "tools that only read",
    TOOLS_WRITE: "tools that change something",
    TOOLS_EXECUTE: "tools that run programs",
    TOOLS_AI: "tools that ask a language model, which costs money",
    RESOURCES_READ: "resources and their templates",
    PROMPTS_READ: "prompts",
    TELEMETRY_READ: "stored traces, logs and metrics: tools and resources",
    TELEMETRY_SQL: "SQL over stored telemetry",
    ADMIN: "everything",
}
"""The scopes and what each of them permits."""
READING = frozenset({TOOLS_READ, RESOURCES_READ, PROMPTS_READ})
EVERYTHING_BUT_ADMIN = frozenset(SCOPES) - {ADMIN}
_ONE_TOOL = re.compile(r"tool:[A-Za-z0-9_.-]{1,128}")

Method = Literal["owner", "key", "token", "anonymous"]
"""How a caller was authenticated: as the process owner, by API key, by OAuth token, or not at all."""


def unknown_scopes(scopes: Iterable[str]) -> list[str]:
    """Return the names that are not valid scopes."""
    return [scope for scope in scopes if scope not in SCOPES and not _ONE_TOOL.fullmatch(scope)]


@value_object
class Caller:
    """An authenticated or anonymous caller.

    `name` is the principal, which owns sessions, streams and sealed state. `key_id` is the id of the API key, if one
    was used. `until` is the time when the key or token expires, in seconds since 1970. `claims` are the short texts
    among the claims of the token.
    """

    name: str
    scopes: frozenset[str]
    method: Method = "owner"
    key_id: str | None = None
    until: float | None = None
    claims: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def may(self, scope: str) -> bool:
        """Return whether the caller has a scope."""
        return scope in self.scopes or ADMIN in self.scopes

    def may_use(self, tool: str, scope: str) -> bool:
        """Return whether the caller may see and call a tool that requires this scope."""
        return self.may(scope) or f"tool:{tool}" in self.scopes


OWNER = Caller("owner", frozenset({ADMIN}))
"""The owner of the process."""
