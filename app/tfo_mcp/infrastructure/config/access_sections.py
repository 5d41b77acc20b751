"""The sections of the settings that say who may call, and how much: security and limits. See `sections`."""

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
    """Who may call over the network, what they may do, and what is written down of it."""

    require_key: OptionalSwitch = Field(
        default=None,
        description="Whether network callers need an API key or a token. Unset: when the server is not bound to the "
        "loopback interface, `server.trusted_proxies` is set, `server.allowed_hosts` has a name that is not the "
        "loopback's, or a request shows that a proxy has forwarded it. On stdio and the Unix socket the caller is the "
        "owner of the process.",
    )
    anonymous: Literal["none", "read", "all"] = Field(
        default="read",
        description="What network callers without credentials may do, where they need none: nothing, what only reads, "
        "or everything.",
    )
    keys_file: OptionalPath = Field(
        default=None,
        description="File of the API keys, its owner's alone (0600); `tfo-mcp keys` makes it. Unset: keys.json in "
        "$XDG_STATE_HOME/tfo-mcp, or ~/.local/state/tfo-mcp.",
    )
    key_pepper: OptionalKey = Field(
        default=None,
        description="Secret under which the digests of API keys are made, so that the file alone is of no use. Unset: "
        "one is made, and kept beside the file. Another one makes all keys invalid.",
    )
    oauth: OptionalOAuth = Field(
        default=None,
        description="Authorization server whose tokens are taken, too: `issuer`, `audience` (this server's URL), "
        "`jwks_url`, and the `algorithms` of its signatures (RS256 and ES256).",
    )
    audit: Switch = Field(
        default=True, description="Whether decisions, and calls that change or run something, are written down."
    )
    audit_file: OptionalPath = Field(
        default=None,
        description="File that the audit log is appended to, as lines of JSON. Unset: audit.jsonl beside the default "
        "`keys_file`.",
    )
    audit_max_bytes: Whole = Field(
        default=64 * 1024 * 1024,
        ge=0,
        description="Size in bytes above which the audit log is rotated: renamed to .1, older ones to .2 and so on. "
        "0 leaves rotation to another program.",
    )
    audit_files: Whole = Field(
        default=5, ge=1, le=1000, description="Number of rotated audit logs to keep; older ones are deleted."
    )
    audit_required: Switch = Field(
        default=False,
        description="Whether tools that change or run something, and changes of keys, are refused while the audit log "
        "cannot be written. Their start is recorded, too.",
    )


class LimitsSettings(Section):
    """How much callers of the network may ask for; 0 is no limit, and on the loopback interface so is unset."""

    calls_per_minute: OptionalWhole = Field(
        default=None, description="Calls of one caller with a key or token, each minute. Unset: 6000."
    )
    anonymous_calls_per_minute: OptionalWhole = Field(
        default=None, description="Calls without credentials from one address, each minute. Unset: 600."
    )
    burst: Whole = Field(default=100, ge=1, description="How many of these calls may come at once.")
    tool_calls_per_minute: ToolRates = Field(
        default=[], description="Calls of single tools by one caller, each minute, e.g. `execute_command=30`."
    )
    calls_at_once: OptionalWhole = Field(
        default=None, description="Calls of one caller that may run at the same time. Unset: 64."
    )
    claude_tokens_per_day: Whole = Field(
        default=0,
        ge=0,
        description="Tokens that one caller may use with claude_conversation in a day; they come back evenly.",
    )
    streams: Whole = Field(
        default=1_000,
        ge=1,
        description="Maximum WebSockets, event streams and subscriptions of one client at once. A client is a caller "
        "with credentials, or without them one network: an IPv4 address or an IPv6 /64.",
    )
    subscriptions: Whole = Field(
        default=4_096, ge=1, description="Maximum resources that one client subscribes to at once."
    )
    history_bytes: Whole = Field(
        default=16 * 1024 * 1024,
        ge=1,
        description="Maximum bytes of events kept for one client to resume its streams; the oldest are dropped.",
    )
    request_bytes: Whole = Field(
        default=16 * 1024 * 1024,
        ge=1,
        description="Maximum bytes of one client's requests that are being received, wait or run.",
    )
    response_bytes: Whole = Field(
        default=16 * 1024 * 1024,
        ge=1,
        description="Maximum bytes of responses that one client has not read yet; further calls get an error.",
    )
    wrong_credentials_per_minute: Whole = Field(
        default=20,
        ge=1,
        description="Wrong keys or tokens of one address, each minute and at once, that are answered 401; further ones "
        "get 429. Good ones are always taken.",
    )
