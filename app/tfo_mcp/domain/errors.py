"""The errors of the domain and the application, each with a kind.

A kind is a stable identifier that the presentation maps to an error code of the protocol revision; this module knows no
codes. Messages are written for callers: they say what is wrong and what to change, and reveal no internals.

    DomainError
    ├── NotFound
    │   ├── ToolNotFound
    │   ├── PromptNotFound
    │   ├── ResourceNotFound
    │   ├── SessionNotFound
    │   ├── SkillNotFound
    │   └── KeyNotFound
    ├── InvalidParams
    │   ├── InvalidCursor
    │   ├── InvalidAnswer
    │   └── RequestStateRejected
    ├── MissingCapability
    ├── MissingScope
    ├── InvalidTransition
    ├── Unauthenticated
    ├── RateLimited
    ├── AuditUnavailable
    ├── StateUnavailable
    │   ├── StorageUnavailable
    │   └── Conflict
    ├── TooManySessions
    │   └── SessionsExhausted
    ├── InvalidDefinition
    └── OperationFailed
        ├── InvalidArguments
        ├── OutOfReach
        ├── FileMissing
        ├── FileTooLarge
        ├── NotText
        ├── ConversationNotFound
        └── NotConfigured
"""

from collections.abc import Mapping
from enum import StrEnum
from math import ceil
from typing import ClassVar, Literal

from tfo_mcp.domain.text import shortened


class Kind(StrEnum):
    """Stable identifiers of error categories; sent to clients as `kind`."""

    PARSE_ERROR = "parse_error"
    INVALID_REQUEST = "invalid_request"
    METHOD_NOT_FOUND = "method_not_found"
    INVALID_PARAMS = "invalid_params"
    INVALID_META = "invalid_meta"
    INTERNAL = "internal"
    TIMEOUT = "timeout"
    NOT_ACCEPTABLE = "not_acceptable"
    TOO_LARGE = "too_large"
    TOOL_NOT_FOUND = "tool_not_found"
    RESOURCE_NOT_FOUND = "resource_not_found"
    PROMPT_NOT_FOUND = "prompt_not_found"
    SESSION_NOT_FOUND = "session_not_found"
    UNAUTHENTICATED = "unauthenticated"
    RATE_LIMITED = "rate_limited"
    AUDIT_UNAVAILABLE = "audit_unavailable"
    STATE_UNAVAILABLE = "state_unavailable"
    MISSING_SCOPE = "missing_scope"
    TOO_MANY_SESSIONS = "too_many_sessions"
    SESSIONS_EXHAUSTED = "sessions_exhausted"
    MISSING_CAPABILITY = "missing_capability"
    HEADER_MISMATCH = "header_mismatch"
    UNSUPPORTED_VERSION = "unsupported_version"
    OPERATION_FAILED = "operation_failed"
    DRAINING = "draining"
    SHUTTING_DOWN = "shutting_down"


class DomainError(Exception):
    """An error whose message and details may be shown to the caller."""

    kind: ClassVar[Kind] = Kind.INTERNAL

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, object] = details


class MissingScope(DomainError):
    """The operation needs these scopes, and the caller lacks one of them. A plugin may raise it."""

    kind = Kind.MISSING_SCOPE

    def __init__(self, *scopes: str) -> None:
        super().__init__(f"This needs the scopes {', '.join(scopes)}", scopes=list(scopes))
        self.scopes = scopes

    def including(self, *scopes: str) -> "MissingScope":
        """Return the error with the scopes that the operation takes anyway, so that all are asked for at once."""
        return MissingScope(*dict.fromkeys((*scopes, *self.scopes)))


class NotFound(DomainError):
    """A named object does not exist, or is hidden from the caller; then `scopes` are all those that it takes."""

    scopes: tuple[str, ...] = ()


class ToolNotFound(NotFound):
    """No tool with that name is visible to the caller; `reason` explains why a known tool is unavailable."""

    kind = Kind.TOOL_NOT_FOUND

    def __init__(self, name: str, *scopes: str, reason: str | None = None) -> None:
        message = f"Unknown tool: {shortened(name)}"
        super().__init__(message if reason is None else f"{message}. {reason}", name=shortened(name))
        self.scopes = scopes


class PromptNotFound(NotFound):
    """No prompt has that name."""

    kind = Kind.PROMPT_NOT_FOUND

    def __init__(self, name: str, *scopes: str) -> None:
        super().__init__(f"Unknown prompt: {shortened(name)}", name=shortened(name))
        self.scopes = scopes


class ResourceNotFound(NotFound):
    """No resource or template matches the URI."""

    kind = Kind.RESOURCE_NOT_FOUND

    def __init__(self, uri: str, *scopes: str) -> None:
        super().__init__(f"Resource not found: {shortened(uri)}", uri=uri)
        self.scopes = scopes


class SessionNotFound(NotFound):
    """The session does not exist, has ended, or belongs to another caller."""

    kind = Kind.SESSION_NOT_FOUND

    def __init__(self) -> None:
        super().__init__("Session not found: initialize a new one")


class SkillNotFound(NotFound):
    """The URI is not that of a skill, or of a directory in one."""

    kind = Kind.INVALID_PARAMS

    def __init__(self, uri: str, *scopes: str) -> None:
        super().__init__(f"No such skill or directory: {shortened(uri)}", uri=uri)
        self.scopes = scopes


class KeyNotFound(NotFound):
    """No API key has that id."""

    kind = Kind.INVALID_PARAMS

    def __init__(self, key_id: str) -> None:
        super().__init__(f"There is no key with the id {key_id}: `tfo-mcp keys list` lists all keys", id=key_id)


class InvalidParams(DomainError):
    """The request is well formed, but a parameter's value cannot be used."""

    kind = Kind.INVALID_PARAMS


class InvalidCursor(InvalidParams):
    """The cursor was not issued by this server."""

    def __init__(self) -> None:
        super().__init__("Invalid cursor: use the nextCursor of a previous page, or none")


class InvalidAnswer(InvalidParams):
    """The client's answer does not match the question's schema."""


class RequestStateRejected(InvalidParams):
    """The requestState was altered, has expired, or belongs to another request."""

    def __init__(self) -> None:
        super().__init__("Invalid requestState: start the request again without it")


class MissingCapability(DomainError):
    """The request needs a capability that the client did not declare; `required` maps capabilities to settings."""

    kind = Kind.MISSING_CAPABILITY

    def __init__(self, required: Mapping[str, object]) -> None:
        names = ", ".join(sorted(required))
        super().__init__(f"This request needs a client capability that was not declared: {names}")
        self.required = required


class InvalidTransition(DomainError):
    """The session's state does not allow the operation."""

    kind = Kind.INVALID_REQUEST


class Unauthenticated(DomainError):
    """The caller could not be authenticated. `is_wrong`: its credential is wrong, otherwise it is missing.

    `is_genuine`: the credential was issued, but is revoked, expired or not yet valid, so it is not a guess.
    """

    kind = Kind.UNAUTHENTICATED

    def __init__(self, message: str, *, is_wrong: bool = False, is_genuine: bool = False) -> None:
        super().__init__(message, reason="invalid" if is_wrong else "missing")
        self.is_wrong = is_wrong
        self.is_genuine = is_genuine

    @property
    def is_guess(self) -> bool:
        """Whether the credential is wrong and was never issued."""
        return self.is_wrong and not self.is_genuine


class RateLimited(DomainError):
    """The caller has exceeded a rate limit or quota; `retry_after` is in seconds."""

    kind = Kind.RATE_LIMITED

    def __init__(self, message: str, retry_after: float, policy: str, limit: int, remaining: int = 0) -> None:
        super().__init__(message, retryAfterMs=max(1, ceil(retry_after * 1000)), policy=policy, limit=limit)
        self.remaining = remaining


class AuditUnavailable(DomainError):
    """The call was not started because it may change something and cannot be recorded in the audit log."""

    kind = Kind.AUDIT_UNAVAILABLE

    def __init__(self) -> None:
        super().__init__(
            "The audit log cannot be written, and calls that change something must be recorded "
            "(security.audit_required): try again after the operator has freed disk space"
        )


class StateUnavailable(DomainError):
    """The state that replicas share cannot be reached. Retrying is safe."""

    kind = Kind.STATE_UNAVAILABLE

    def __init__(self, message: str = "The server cannot reach its sessions: try again in a second") -> None:
        super().__init__(message, retryAfterMs=1000)


class StorageUnavailable(StateUnavailable):
    """The database cannot be used at the moment. `reason` is for operators and is never sent to clients."""

    def __init__(self, reason: str) -> None:
        super().__init__("The server cannot use its database at the moment: try again in a second")
        self.reason = reason


class Conflict(StateUnavailable):
    """The stored aggregate was changed by another request or process since it was loaded."""

    def __init__(self) -> None:
        super().__init__("Another process has changed the same object at the same time: try again")


class TooManySessions(DomainError):
    """The caller has reached the limit of open sessions."""

    kind = Kind.TOO_MANY_SESSIONS


class SessionsExhausted(TooManySessions):
    """The server has reached the total limit of open sessions."""

    kind = Kind.SESSIONS_EXHAUSTED


class InvalidDefinition(DomainError):
    """The definition of a tool, resource or prompt is invalid."""

    kind = Kind.INVALID_PARAMS


class OperationFailed(DomainError):
    """An operation failed with an error that the model can act on; in a tool it becomes a result with isError."""

    kind = Kind.OPERATION_FAILED


class InvalidArguments(OperationFailed):
    """A tool's arguments do not match its input schema."""


class OutOfReach(OperationFailed):
    """The sandbox denied the operation; `place` says whether it concerned files or commands."""

    def __init__(self, message: str, place: Literal["files", "commands"]) -> None:
        super().__init__(message)
        self.place = place


class FileMissing(OperationFailed):
    """No such file or directory exists in the roots."""


class FileTooLarge(OperationFailed):
    """The file exceeds, or would exceed, the size limit for reading or writing."""


class NotText(OperationFailed):
    """The file is binary, or its text has another encoding."""


class ConversationNotFound(OperationFailed):
    """The conversation does not exist, has expired, or belongs to another caller."""

    def __init__(self) -> None:
        super().__init__("Conversation not found: begin a new one, without conversation_id")


class NotConfigured(OperationFailed):
    """The operation needs a setting that is not set; the message names it."""
