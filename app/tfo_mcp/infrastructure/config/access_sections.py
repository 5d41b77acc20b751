"""Defines the sections `security` and `limits`: authentication, authorization, audit log, rates and quotas.

Continues `sections`, under the same rules: must not know files, environment variables or how values are merged.
"""

from typing import Literal

from pydantic import Field

from tfo_mcp.infrastructure.config.sections import Section
from tfo_mcp.infrastructure.config.shapes import (
    OptionalKey,
    OptionalOAuth,
    OptionalPath,
    OptionalSwitch,
    OptionalWhole,
    Switch,
    ToolRates,
    Whole,
)


class SecuritySettings(Section):
    """Authentication and authorization of network callers, and the audit log."""

    require_key: OptionalSwitch = Field(
        default=None,
        description="Whether network callers need an API key or a token. Unset: required if the server is not bound "
        "to the loopback interface, if `server.trusted_proxies` is set, if `server.allowed_hosts` has a name that is "
        "not a loopback name, and for requests that a proxy has forwarded. On stdio and the Unix socket the caller is "
        "the owner of the process.",
    )
    anonymous: Literal["none", "read", "all"] = Field(
        default="read",
        description="What network callers may do without credentials, if none are required: `none` nothing, `read` "
        "resources, prompts and tools that only read, `all` everything but administration.",
    )
    keys_file: OptionalPath = Field(
        default=None,
        description="File of the API keys, created by `tfo-mcp keys` and accessible only to its owner (mode 0600). "
        "Unset: keys.json in $XDG_STATE_HOME/tfo-mcp or ~/.local/state/tfo-mcp.",
    )
    key_pepper: OptionalKey = Field(
        default=None,
        description="Secret that API keys are hashed with, so that `keys_file` alone does not allow guessing. Unset: "
        "one is generated and stored next to that file. Changing it invalidates all keys.",
    )
    oauth: OptionalOAuth = Field(
        default=None,
        description="Authorization server whose access tokens are accepted, too: `issuer`, `audience` (this server's "
        "URL), `jwks_url`, and the `algorithms` of its signatures (default: RS256 and ES256).",
    )
    audit: Switch = Field(
        default=True,
        description="Whether an audit log records access decisions and the calls that change or run something.",
    )
    audit_file: OptionalPath = Field(
        default=None,
        description="File of the audit log, as JSON lines. Unset: audit.jsonl in the directory of the default "
        "`keys_file`.",
    )
    audit_max_bytes: Whole = Field(
        default=64 * 1024 * 1024,
        ge=0,
        description="Bytes above which the audit log is rotated: it is renamed to .1, older ones to .2 and so on. "
        "0 leaves rotation to another program.",
    )
    audit_files: Whole = Field(
        default=5, ge=1, le=1000, description="Number of rotated audit logs to keep; older ones are deleted."
    )
    audit_database: Switch = Field(
        default=False,
        description="Whether the entries of the audit log are also stored in the database of `storage.url`, within a "
        "second, for queries over all replicas. The file stays the record that `audit_required` depends on.",
    )
    audit_required: Switch = Field(
        default=False,
        description="Whether tools that change or run something, and changes of API keys, fail while the audit log "
        "cannot be written. If true, their start is recorded, too.",
    )


class LimitsSettings(Section):
    """Rate limits and quotas of network callers. Where 0 is allowed, it means no limit, as unset does on loopback."""

    calls_per_minute: OptionalWhole = Field(
        default=None, description="Maximum calls per minute of one caller with an API key or a token. Unset: 6000."
    )
    anonymous_calls_per_minute: OptionalWhole = Field(
        default=None, description="Maximum calls per minute without credentials from one address. Unset: 600."
    )
    burst: Whole = Field(default=100, ge=1, description="Maximum burst of both rates: calls that are accepted at once.")
    tool_calls_per_minute: ToolRates = Field(
        default=[], description="Maximum calls per minute of a tool by one caller, e.g. `execute_command=30`."
    )
    calls_at_once: OptionalWhole = Field(default=None, description="Maximum concurrent calls of one caller. Unset: 64.")
    claude_tokens_per_day: Whole = Field(
        default=0,
        ge=0,
        description="Maximum tokens per day of one caller in claude_conversation; used ones are restored evenly over "
        "the day.",
    )
    streams: Whole = Field(
        default=1_000,
        ge=1,
        description="Maximum WebSockets, event streams and subscriptions of one client at once. A client is a caller "
        "with credentials; without credentials it is an IPv4 address or an IPv6 /64 prefix.",
    )
    subscriptions: Whole = Field(
        default=4_096, ge=1, description="Maximum resources that one client is subscribed to at once."
    )
    history_bytes: Whole = Field(
        default=16 * 1024 * 1024,
        ge=1,
        description="Maximum bytes of events kept for one client to resume its streams; the oldest are dropped.",
    )
    request_bytes: Whole = Field(
        default=16 * 1024 * 1024,
        ge=1,
        description="Maximum bytes of one client's requests in flight: being received, queued or running.",
    )
    response_bytes: Whole = Field(
        default=16 * 1024 * 1024,
        ge=1,
        description="Maximum bytes of responses that one client has not read yet; beyond it, calls fail.",
    )
    wrong_credentials_per_minute: Whole = Field(
        default=20,
        ge=1,
        description="Wrong API keys or tokens per minute, and at once, from one address that are answered 401; beyond "
        "it 429. Valid credentials are always accepted.",
    )
