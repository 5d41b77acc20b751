"""The five protocol revisions, each defined by its differences from the previous one.

Read from top to bottom, the module follows the specification's changelogs. No other module contains revision dates or
version checks; all other code asks a `Revision` for its features.
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from types import MappingProxyType

from tfo_mcp.domain.errors import Kind
from tfo_mcp.value_objects import value_object


class Feature(StrEnum):
    """A feature that some revisions have and that affects the messages that are sent."""

    AUDIO = "audio"
    TOOL_HINTS = "tool_hints"
    PROGRESS_MESSAGE = "progress_message"
    COMPLETIONS_CAPABILITY = "completions_capability"
    TITLES = "titles"
    STRUCTURED_OUTPUT = "structured_output"
    RESOURCE_LINKS = "resource_links"
    ICONS = "icons"
    ELICITATION_MODES = "elicitation_modes"
    ANY_STRUCTURE = "any_structure"
    METADATA = "metadata"
    """`_meta` of definitions, content and resource contents, and extensions among the server's capabilities."""


@value_object
class Revision:
    """One revision of the protocol.

    `methods` are the methods that a client may request; `input_methods` those that may end with `input_required`, and
    `cacheable_methods` those whose results have cache hints.
    `error_codes` and `http_statuses` map a fault's kind to a number (HTTP status 200 if not listed). `null_error_id`:
    an unknown id is null in an error, otherwise omitted. `resumable`: streams have event ids. `priming`: streams begin
    with an empty event.
    """

    version: str
    handshake: bool
    methods: frozenset[str]
    features: frozenset[Feature]
    error_codes: Mapping[Kind, int]
    http_statuses: Mapping[Kind, int]
    input_methods: frozenset[str] = frozenset()
    cacheable_methods: frozenset[str] = frozenset()
    batches: bool = False
    null_error_id: bool = True
    resumable: bool = False
    priming: bool = False

    def http_status(self, kind: Kind | None) -> int:
        """Return the HTTP status of a response; `kind` is None for a result."""
        return 200 if kind is None else self.http_statuses.get(kind, 200)

    def has(self, feature: Feature) -> bool:
        """Return whether the revision has the feature."""
        return feature in self.features


_HANDSHAKE_CODES: Mapping[Kind, int] = MappingProxyType(
    {
        Kind.PARSE_ERROR: -32700,
        Kind.INVALID_REQUEST: -32600,
        Kind.METHOD_NOT_FOUND: -32601,
        Kind.INVALID_PARAMS: -32602,
        Kind.INVALID_META: -32602,
        Kind.INTERNAL: -32603,
        Kind.OPERATION_FAILED: -32603,
        Kind.TOOL_NOT_FOUND: -32001,
        Kind.RESOURCE_NOT_FOUND: -32002,
        Kind.PROMPT_NOT_FOUND: -32003,
        Kind.SESSION_NOT_FOUND: -32600,
        Kind.MISSING_CAPABILITY: -32600,
        Kind.HEADER_MISMATCH: -32600,
        Kind.UNSUPPORTED_VERSION: -32600,
        Kind.TOO_LARGE: -32600,
        Kind.NOT_ACCEPTABLE: -32600,
        Kind.TIMEOUT: -31001,
        Kind.UNAUTHENTICATED: -31002,
        Kind.DRAINING: -31003,
        Kind.SHUTTING_DOWN: -31003,
        Kind.TOO_MANY_SESSIONS: -31004,
        Kind.SESSIONS_EXHAUSTED: -31004,
        Kind.RATE_LIMITED: -31005,
        Kind.AUDIT_UNAVAILABLE: -31006,
        Kind.STATE_UNAVAILABLE: -31007,
        Kind.MISSING_SCOPE: -31008,
    }
)
"""Codes from -31001 to -31008 are specific to this product, outside the range that JSON-RPC reserves."""

_HANDSHAKE_STATUSES: Mapping[Kind, int] = MappingProxyType(
    {
        Kind.PARSE_ERROR: 400,
        Kind.INVALID_REQUEST: 400,
        Kind.UNSUPPORTED_VERSION: 400,
        Kind.HEADER_MISMATCH: 400,
        Kind.UNAUTHENTICATED: 401,
        Kind.MISSING_SCOPE: 403,
        Kind.SESSION_NOT_FOUND: 404,
        Kind.NOT_ACCEPTABLE: 406,
        Kind.TOO_LARGE: 413,
        Kind.TOO_MANY_SESSIONS: 429,
        Kind.RATE_LIMITED: 429,
        Kind.SESSIONS_EXHAUSTED: 503,
        Kind.AUDIT_UNAVAILABLE: 503,
        Kind.STATE_UNAVAILABLE: 503,
        Kind.DRAINING: 503,
    }
)

REVISION_2024_11_05 = Revision(
    version="2024-11-05",
    handshake=True,
    methods=frozenset(
        {
            "initialize",
            "ping",
            "shutdown",
            "tools/list",
            "tools/call",
            "resources/list",
            "resources/read",
            "resources/templates/list",
            "resources/subscribe",
            "resources/unsubscribe",
            "prompts/list",
            "prompts/get",
            "logging/setLevel",
            "completion/complete",
        }
    ),
    features=frozenset(),
    error_codes=_HANDSHAKE_CODES,
    http_statuses=_HANDSHAKE_STATUSES,
)
"""The first revision. The method `shutdown` is an extension of this product."""

REVISION_2025_03_26 = replace(
    REVISION_2024_11_05,
    version="2025-03-26",
    features=REVISION_2024_11_05.features
    | {Feature.AUDIO, Feature.TOOL_HINTS, Feature.PROGRESS_MESSAGE, Feature.COMPLETIONS_CAPABILITY},
    batches=True,
    resumable=True,
)
"""Adds Streamable HTTP, audio, tool annotations, progress messages, the completions capability and batches."""

REVISION_2025_06_18 = replace(
    REVISION_2025_03_26,
    version="2025-06-18",
    methods=REVISION_2025_03_26.methods | {"skills/list", "skills/get", "resources/directory/read"},
    features=REVISION_2025_03_26.features
    | {Feature.TITLES, Feature.STRUCTURED_OUTPUT, Feature.RESOURCE_LINKS, Feature.METADATA},
    batches=False,
)
"""Removes batches; adds structured tool output, resource links, titles, elicitation, `_meta` and extensions."""

REVISION_2025_11_25 = replace(
    REVISION_2025_06_18,
    version="2025-11-25",
    features=REVISION_2025_06_18.features | {Feature.ICONS, Feature.ELICITATION_MODES},
    null_error_id=False,
    priming=True,
)
"""Adds icons, elicitation by URL, and streams that begin with an empty event so that a client can resume at once."""

REVISION_2026_07_28 = replace(
    REVISION_2025_11_25,
    version="2026-07-28",
    handshake=False,
    methods=REVISION_2025_11_25.methods
    - {"initialize", "ping", "shutdown", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"}
    | {"server/discover", "subscriptions/listen"},
    input_methods=frozenset({"tools/call", "prompts/get", "resources/read"}),
    cacheable_methods=frozenset(
        {
            "server/discover",
            "tools/list",
            "resources/list",
            "resources/templates/list",
            "resources/read",
            "resources/directory/read",
            "prompts/list",
            "skills/list",
            "skills/get",
        }
    ),
    features=REVISION_2025_11_25.features | {Feature.ANY_STRUCTURE},
    error_codes=MappingProxyType(
        {
            **_HANDSHAKE_CODES,
            Kind.TOOL_NOT_FOUND: -32602,
            Kind.RESOURCE_NOT_FOUND: -32602,
            Kind.PROMPT_NOT_FOUND: -32602,
            Kind.HEADER_MISMATCH: -32020,
            Kind.MISSING_CAPABILITY: -32021,
            Kind.UNSUPPORTED_VERSION: -32022,
        }
    ),
    http_statuses=MappingProxyType(
        {
            **_HANDSHAKE_STATUSES,
            Kind.INVALID_META: 400,
            Kind.MISSING_CAPABILITY: 400,
            Kind.METHOD_NOT_FOUND: 404,
        }
    ),
    resumable=False,
    priming=False,
)
"""Removes handshake and sessions: every request carries its metadata, and a question ends a call, to be retried."""

REVISIONS: Mapping[str, Revision] = MappingProxyType(
    {
        revision.version: revision
        for revision in (
            REVISION_2024_11_05,
            REVISION_2025_03_26,
            REVISION_2025_06_18,
            REVISION_2025_11_25,
            REVISION_2026_07_28,
        )
    }
)
"""Every revision by its version, oldest first."""

STATELESS_VERSIONS = tuple(version for version, revision in REVISIONS.items() if not revision.handshake)
"""Versions that a request may name in its metadata; the others are negotiated by `initialize`."""

LATEST_HANDSHAKE = REVISION_2025_11_25
LATEST_STATELESS = REVISION_2026_07_28
DEFAULT_REVISION = LATEST_HANDSHAKE
"""The revision of responses to requests without a valid one."""


def handshake_revision(version: object) -> Revision | None:
    """Return the handshake-era revision of that version, or None."""
    revision = REVISIONS.get(version) if isinstance(version, str) else None
    return revision if revision is not None and revision.handshake else None


def stateless_revision(version: object) -> Revision | None:
    """Return the stateless-era revision of that version, or None."""
    revision = REVISIONS.get(version) if isinstance(version, str) else None
    return revision if revision is not None and not revision.handshake else None
