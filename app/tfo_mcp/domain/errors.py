"""The errors of the domain and the application, each with a kind.

A kind is a stable word that the presentation turns into a code of the revision in use; nothing here knows a number.
Messages are written for the caller: they name what was wrong and what to change, never internals.

    DomainError
    ├── NotFound
    │   ├── ToolNotFound
    │   ├── PromptNotFound
    │   ├── ResourceNotFound
    │   ├── SessionNotFound
    │   └── KeyNotFound
    ├── InvalidParams
    │   ├── InvalidCursor
    │   ├── InvalidAnswer
    │   └── RequestStateRejected
    ├── MissingCapability
    ├── InvalidTransition
    ├── Unauthenticated
    ├── RateLimited
    ├── AuditUnavailable
    ├── TooManySessions
    │   └── SessionsExhausted
    ├── InvalidDefinition
    └── OperationFailed
        ├── InvalidArguments
        ├── OutOfReach
        ├── FileMissing
        ├── FileTooLarge
        ├── NotText
        └── NotConfigured
"""

from collections.abc import Mapping
from enum import StrEnum
from math import ceil
from typing import ClassVar, Literal

from tfo_mcp.domain.text import shortened


class Kind(StrEnum):
    """What went wrong, in one stable word per case."""

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
    TOO_MANY_SESSIONS = "too_many_sessions"
    SESSIONS_EXHAUSTED = "sessions_exhausted"
    MISSING_CAPABILITY = "missing_capability"
    HEADER_MISMATCH = "header_mismatch"
    UNSUPPORTED_VERSION = "unsupported_version"
    OPERATION_FAILED = "operation_failed"
    DRAINING = "draining"
    SHUTTING_DOWN = "shutting_down"


class DomainError(Exception):
    """A failure that the caller may be told about: its message and details are safe to show."""

    kind: ClassVar[Kind] = Kind.INTERNAL

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, object] = details


class NotFound(DomainError):
    """Something that was asked for by name does not exist, or not for this caller: then `scope` is what it lacks."""

    scope: str | None = None


class ToolNotFound(NotFound):
    """No tool of that name is visible to the caller; `reason` says what a known tool needs to be offered."""

    kind = Kind.TOOL_NOT_FOUND

    def __init__(self, name: str, scope: str | None = None, reason: str | None = None) -> None:
        message = f"Unknown tool: {shortened(name)}"
        super().__init__(message if reason is None else f"{message}. {reason}", name=shortened(name))
        self.scope = scope


class PromptNotFound(NotFound):
    """No prompt has that name."""

    kind = Kind.PROMPT_NOT_FOUND

    def __init__(self, name: str, scope: str | None = None) -> None:
        super().__init__(f"Unknown prompt: {shortened(name)}", name=shortened(name))
        self.scope = scope


class ResourceNotFound(NotFound):
    """No resource or template answers to that URI."""

    kind = Kind.RESOURCE_NOT_FOUND

    def __init__(self, uri: str, scope: str | None = None) -> None:
        super().__init__(f"Resource not found: {shortened(uri)}", uri=uri)
        self.scope = scope


class SessionNotFound(NotFound):
    """The session never was, has ended, or belongs to somebody else."""

    kind = Kind.SESSION_NOT_FOUND

    def __init__(self) -> None:
        super().__init__("Session not found: initialize a new one")


class KeyNotFound(NotFound):
    """No API key has that id."""

    kind = Kind.INVALID_PARAMS

    def __init__(self, key_id: str) -> None:
        super().__init__(f"There is no key with the id {key_id}: `tfo-mcp keys list` shows all", id=key_id)


class InvalidParams(DomainError):
    """The request is well formed, but a parameter's value cannot be used."""

    kind = Kind.INVALID_PARAMS


class InvalidCursor(InvalidParams):
    """The cursor is not one that this server gave out."""

    def __init__(self) -> None:
        super().__init__("Invalid cursor: use the nextCursor of a previous page, or none")


class InvalidAnswer(InvalidParams):
    """The client's answer to a question does not have the shape that was asked for."""


class RequestStateRejected(InvalidParams):
    """The requestState was altered, has expired, or belongs to another request."""

    def __init__(self) -> None:
        super().__init__("Invalid requestState: start the request again without it")


class MissingCapability(DomainError):
    """The request needs something that the client did not declare; `required` is capability -> settings."""

    kind = Kind.MISSING_CAPABILITY

    def __init__(self, required: Mapping[str, object]) -> None:
        names = ", ".join(sorted(required))
        super().__init__(f"This request needs a client capability that was not declared: {names}")
        self.required = required


class InvalidTransition(DomainError):
    """The session is not in a state that allows this."""

    kind = Kind.INVALID_REQUEST


class Unauthenticated(DomainError):
    """The caller is nobody that this server serves. `is_wrong` says that what it showed is wrong, not missing.

    `is_genuine` says that it was issued but does not hold now: it was revoked, has expired or is not yet valid, and is
    no guess.
    """

    kind = Kind.UNAUTHENTICATED

    def __init__(self, message: str, *, is_wrong: bool = False, is_genuine: bool = False) -> None:
        super().__init__(message, reason="invalid" if is_wrong else "missing")
        self.is_wrong = is_wrong
        self.is_genuine = is_genuine

    @property
    def is_guess(self) -> bool:
        """Whether a credential was shown that was never issued."""
        return self.is_wrong and not self.is_genuine


class RateLimited(DomainError):
    """The caller has asked too often, or for too much at once; `retry_after` is in seconds."""

    kind = Kind.RATE_LIMITED

    def __init__(self, message: str, retry_after: float, policy: str, limit: int, remaining: int = 0) -> None:
        super().__init__(message, retryAfterMs=max(1, ceil(retry_after * 1000)), policy=policy, limit=limit)
        self.remaining = remaining


class AuditUnavailable(DomainError):
    """The call was not begun, since it would change something and cannot be recorded in the audit log."""

    kind = Kind.AUDIT_UNAVAILABLE

    def __init__(self) -> None:
        super().__init__(
            "The audit log cannot be written, and this server changes nothing that it cannot record "
            "(security.audit_required): try again when its operator has made room"
        )


class TooManySessions(DomainError):
    """The caller has as many open sessions as a caller may have."""

    kind = Kind.TOO_MANY_SESSIONS


class SessionsExhausted(TooManySessions):
    """The server has as many open sessions as it may have."""

    kind = Kind.SESSIONS_EXHAUSTED


class InvalidDefinition(DomainError):
    """A tool, resource or prompt cannot be registered as it is defined."""

    kind = Kind.INVALID_PARAMS


class OperationFailed(DomainError):
    """An operation failed in a way that the model can read and act upon; a tool's result says it with isError."""

    kind = Kind.OPERATION_FAILED


class InvalidArguments(OperationFailed):
    """A tool's arguments do not fit its input schema."""


class OutOfReach(OperationFailed):
    """The sandbox does not let it be done; `place` is what was asked for: files or commands."""

    def __init__(self, message: str, place: Literal["files", "commands"]) -> None:
        super().__init__(message)
        self.place = place


class FileMissing(OperationFailed):
    """There is no such file or directory beneath the roots."""


class FileTooLarge(OperationFailed):
    """The file is, or would be, over the limit of what is read or written at once."""


class NotText(OperationFailed):
    """The file is binary, or its text is in another encoding."""


class NotConfigured(OperationFailed):
    """The operation needs a setting that is not set; the message names it."""
