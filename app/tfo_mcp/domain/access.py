"""Who calls, and what a caller may do.

A scope is a word that allows one kind of work, or `tool:` and a tool's name for that tool alone. Every tool needs one
scope; resources and prompts have theirs. Knows neither keys nor tokens: those give callers their scopes.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

TOOLS_READ, TOOLS_WRITE, TOOLS_EXECUTE, TOOLS_AI = "tools:read", "tools:write", "tools:execute", "tools:ai"
RESOURCES_READ, PROMPTS_READ, ADMIN = "resources:read", "prompts:read", "admin"

SCOPES: Mapping[str, str] = {
    TOOLS_READ: "tools that only read",
    TOOLS_WRITE: "tools that change something",
    TOOLS_EXECUTE: "tools that run programs",
    TOOLS_AI: "tools that ask a language model, which costs money",
    RESOURCES_READ: "resources and their templates",
    PROMPTS_READ: "prompts",
    ADMIN: "everything",
}
"""The scopes, and what each allows."""
READING = frozenset({TOOLS_READ, RESOURCES_READ, PROMPTS_READ})
EVERYTHING_BUT_ADMIN = frozenset(SCOPES) - {ADMIN}
_ONE_TOOL = re.compile(r"tool:[A-Za-z0-9_.-]{1,128}")

Method = Literal["owner", "key", "token", "anonymous"]
"""How a caller is known: as the owner of the process, by an API key, by an OAuth token, or not at all."""


def unknown_scopes(scopes: Iterable[str]) -> list[str]:
    """Return those that are no scopes."""
    return [scope for scope in scopes if scope not in SCOPES and not _ONE_TOOL.fullmatch(scope)]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    `name` is the principal: the owner of sessions, streams and sealed state. `key_id` is the API key that was shown, if
    it was one; `until` the time (seconds since 1970) after which a token is no longer good.
    """

    name: str
    scopes: frozenset[str]
    method: Method = "owner"
    key_id: str | None = None
    until: float | None = None

    def may(self, scope: str) -> bool:
        """Tell whether the caller has a scope."""
        return scope in self.scopes or ADMIN in self.scopes

    def may_use(self, tool: str, scope: str) -> bool:
        """Tell whether the caller may see and call a tool that needs this scope."""
        return self.may(scope) or f"tool:{tool}" in self.scopes


OWNER = Caller("owner", frozenset({ADMIN}))
"""The owner of the process."""
