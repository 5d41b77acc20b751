"""Defines the section `storage`: where state that outlives the process is stored.

Owns the form of the URL, and its form without secrets. Must not know drivers.
"""

import os
import re
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BeforeValidator, Field, SecretStr

from tfo_mcp.infrastructure.config.sections import Section
from tfo_mcp.infrastructure.config.shapes import Accepts, Seconds, Whole
from tfo_mcp.value_objects import value_object

_SERVER = re.compile(r"(?:[^:/\[\]\s]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


@value_object
class StorageUrl:
    """Where state is stored: in memory, in the SQLite file `path`, or in the PostgreSQL database of `dsn`.

    `dsn` may contain a password; `shown` is its form without user, password and parameters.
    """

    kind: Literal["memory", "sqlite", "postgresql"] = "memory"
    path: Path | None = None
    dsn: SecretStr = field(default_factory=lambda: SecretStr(""))
    shown: str = "memory:"

    def plain(self) -> object:
        """Return the URL without secrets."""
        return self.shown


def _blank_is_unset(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _storage_url(value: object) -> object:
    if isinstance(value, StorageUrl):
        return value
    if not isinstance(value, str):
        raise ValueError("not a URL")
    text = value.strip()
    if text == "memory:":
        return StorageUrl()
    scheme = text.partition("://")[0].lower()
    if scheme == "sqlite":
        return _sqlite(text)
    if scheme in ("postgresql", "postgres"):
        return _postgresql(text)
    raise ValueError("not a URL of a database")


def _sqlite(text: str) -> StorageUrl:
    parts = urlsplit(text)
    path = unquote(parts.path)
    home = path.startswith("/~/")
    if parts.netloc or parts.query or parts.fragment or path.endswith("/") or "\0" in path or not path:
        raise ValueError("not the path of a file")
    absolute = os.path.expanduser(path[1:]) if home else "/" + path.lstrip("/")  # SQLAlchemy writes four slashes
    return StorageUrl("sqlite", Path(absolute), shown=f"sqlite://{absolute}")


def _postgresql(text: str) -> StorageUrl:
    parts = urlsplit(text)
    servers = parts.netloc.rpartition("@")[2]
    has_servers = bool(servers) and all(_SERVER.fullmatch(server) for server in servers.split(","))
    name = parts.path.removeprefix("/")
    is_complete = has_servers or (not servers and "host" in parse_qs(parts.query))
    if not is_complete or not name or re.search("[/@]", name) or parts.fragment:
        raise ValueError("not the URL of a database")
    return StorageUrl("postgresql", dsn=SecretStr(text), shown=f"postgresql://{servers}/{name}")


class StorageSettings(Section):
    """State that outlives the process: API keys, sessions over HTTP, and conversations with Claude."""

    url: Annotated[
        Annotated[StorageUrl, BeforeValidator(_storage_url)] | None,
        BeforeValidator(_blank_is_unset),
        Accepts(
            "`memory:`, `sqlite:///` with an absolute path, `postgresql://user:password@host:port/database`, or null"
        ),
    ] = Field(
        default=None,
        description="Where API keys, sessions and conversations with Claude are stored. With `memory:`, the latter two "
        "end with the process, and keys are in `security.keys_file`. An SQLite file serves the processes of one "
        "machine. It is created, and must not lie beneath a root. The tables of PostgreSQL are created by `tfo-mcp "
        "migrate up`. Unset: `memory:` over stdio and the Unix socket; with a network transport the file "
        "tfo-mcp-PORT.db in the directory of the default `security.keys_file`, in which the keys stay.",
    )
    audit_days: Whole = Field(
        default=90,
        ge=0,
        description="Days that audit entries stay in the database (`security.audit_database`). 0: forever.",
    )
    usage_days: Whole = Field(
        default=400, ge=0, description="Days that the usage of each principal and day is kept. 0: forever."
    )
    ended_keys_days: Whole = Field(
        default=0, ge=0, description="Days that an API key stays after it was revoked or has expired. 0: forever."
    )
    outbox_days: Whole = Field(
        default=0,
        ge=0,
        description="Days that an event waits for the event log before it is deleted. 0: forever, so none is lost.",
    )
    timeout_seconds: Seconds = Field(
        default=2.0,
        description="Maximum seconds of one access to the database. A request that needs it then fails with "
        "`state_unavailable`, and can be repeated.",
    )
