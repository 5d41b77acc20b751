"""Builds authentication, rate limiting and audit logging from the settings."""

import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from tfo_mcp.application.call_policy import CallLimits, CallPolicy
from tfo_mcp.application.handlers.access import AccessHandler
from tfo_mcp.application.lifecycle import Needs
from tfo_mcp.application.ports import AuditLog, EventBus, KeyStore, RateStore, TokenVerifier
from tfo_mcp.bootstrap.events import key_records
from tfo_mcp.bootstrap.exposure import exposure_of
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.rates import Rate
from tfo_mcp.infrastructure.config import ConfigurationError, Settings
from tfo_mcp.infrastructure.identity.audit_file import AuditFile, NoAudit, members_of
from tfo_mcp.infrastructure.identity.audit_summary import AuditSummary
from tfo_mcp.infrastructure.identity.key_file import KeyFile, NoKeys, pepper_beside
from tfo_mcp.value_objects import value_object

if TYPE_CHECKING:
    from tfo_mcp.infrastructure.identity.jwt_verifier import JwtVerifier
    from tfo_mcp.infrastructure.storage.audit import SqlAudit
    from tfo_mcp.infrastructure.storage.database import Database
    from tfo_mcp.infrastructure.storage.maintenance import Maintenance

_CALLS, _ANONYMOUS_CALLS, _AT_ONCE = 6000, 600, 64  # defaults beyond loopback: per minute, per minute, concurrent
_AUDIT_SECONDS = 0.5
_SHARED_PEPPER = (
    "security.key_pepper must be set if storage.url is a PostgreSQL database, and be the same on all servers that "
    "share it: they all hash API keys with it (keys.json.pepper has that of keys that are imported from keys.json)"
)
_log = structlog.get_logger("tfo_mcp.security")


@value_object
class Security:
    """Authentication, rate limits and audit log of a server.

    `needs_keys_file` says whether the keys are in a file; `hashing_key` keys the audit log's digests.
    """

    keys: KeyStore
    needs_keys_file: bool
    pepper: Callable[[], bytes]
    tokens: TokenVerifier | None
    policy: CallPolicy
    failures: RateStore
    audit: AuditLog
    stored_audit: "SqlAudit | None"
    hashing_key: bytes

    def access(self, events: EventBus) -> AccessHandler:
        """Return the handler that authenticates callers."""
        return AccessHandler(self.keys, self.pepper, self.tokens, self.policy, self.failures, self.audit, events)

    def needs(self) -> Needs:
        """Return the checks of the dependencies: keys in a file, audit log and token verifier."""
        found = {"security.audit_file": self.audit.works}
        if self.needs_keys_file:
            found["security.keys_file"] = self.keys.works
        if self.tokens is not None:
            found["security.oauth"] = self.tokens.works
        return found

    def store_audit(self, maintenance: "Maintenance") -> None:
        """Write queued audit entries to the database twice a second."""
        from tfo_mcp.infrastructure.storage.maintenance import Periodic

        if self.stored_audit is not None:
            maintenance.add(Periodic(_AUDIT_SECONDS, self.stored_audit.flush, at_end=True))

    async def aclose(self) -> None:
        """Close files and connections."""
        if self.tokens is not None:
            await self.tokens.aclose()
        self.audit.close()


def security_of(settings: Settings, failures: RateStore, database: "Database | None", hashing_key: bytes) -> Security:
    """Return the authentication, rate limits and audit log of a server.

    Args:
        failures: counts wrong credentials.
        database: where the keys are if `storage.url` names it.
        hashing_key: keys the audit log's digests.

    Raises:
        ConfigurationError: a required file cannot be used.
    """
    pepper, audit = pepper_of(settings), audit_of(settings, database)
    return Security(
        keys=key_store(settings, database),
        needs_keys_file=settings.storage.url is None or database is None,
        pepper=pepper,
        tokens=_tokens(settings),
        policy=call_policy_of(settings),
        failures=failures,
        audit=audit.log,
        stored_audit=audit.stored,
        hashing_key=hashing_key,
    )


def call_policy_of(settings: Settings) -> CallPolicy:
    """Return the policy for anonymous access and call limits."""
    wrong = settings.limits.wrong_credentials_per_minute
    exposure = exposure_of(settings)
    return CallPolicy(
        _anonymous(exposure.direct),
        Rate(wrong, wrong),
        _limits(settings),
        settings.limits.claude_tokens_per_day,
        _anonymous(exposure.forwarded),
    )


def audit_path(settings: Settings) -> Path:
    """Return the path of the audit log."""
    return settings.security.audit_file or state_directory() / "audit.jsonl"


def keys_path(settings: Settings) -> Path:
    """Return the path of the API key file; the pepper file is in the same directory."""
    return settings.security.keys_file or state_directory() / "keys.json"


def state_directory() -> Path:
    """Return the server's state directory for this user (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state"), "tfo-mcp").absolute()


def key_store(settings: Settings, database: "Database | None") -> KeyStore:
    """Return the store of the API keys: in the database that `storage.url` names, otherwise in a file.

    The default database has none: `tfo-mcp keys` does not know which transport, and so which file, a server will use.

    Raises:
        ConfigurationError: the key file cannot be used.
    """
    if database is not None and settings.storage.url is not None:
        from tfo_mcp.infrastructure.storage.keys import SqlKeyStore

        return SqlKeyStore(database, key_records(settings))
    path = keys_path(settings)
    try:
        return KeyFile(path)
    except ValueError as problem:
        raise ConfigurationError((f"security.keys_file: {problem}",)) from None
    except OSError as problem:
        if settings.security.keys_file is not None:
            raise ConfigurationError((f"security.keys_file: {path} cannot be read: {problem.strerror}",)) from None
        return NoKeys()  # for example another user's home; security.keys_file names another place


def pepper_of(settings: Settings) -> Callable[[], bytes]:
    """Return a function that returns the pepper; the pepper file is read or created on first use.

    Raises:
        ConfigurationError: the keys are in a PostgreSQL database, whose replicas need the same pepper, and none is set.
    """
    configured = settings.security.key_pepper
    url = settings.storage.url
    if configured is None and url is not None and url.kind == "postgresql":
        raise ConfigurationError((_SHARED_PEPPER,))
    if configured is not None:
        return partial(str.encode, configured.get_secret_value())
    return cache(partial(pepper_beside, keys_path(settings)))


def _tokens(settings: Settings) -> "JwtVerifier | None":
    oauth = settings.security.oauth
    if oauth is None:
        return None
    try:
        from tfo_mcp.infrastructure.identity.jwt_verifier import JwtVerifier  # slow import: PyJWT and httpx
    except ImportError:
        raise ConfigurationError(("security.oauth needs the package's extra: pip install 'tfo-mcp[oauth]'",)) from None
    return JwtVerifier(oauth.issuer, oauth.audience, oauth.jwks_url, oauth.algorithms)


def _anonymous(scopes: frozenset[str] | None) -> Caller | None:
    return None if scopes is None else Caller("anonymous", scopes, "anonymous")


def _limits(settings: Settings) -> CallLimits:
    section = settings.limits

    def number(configured: int | None, beyond_loopback: int) -> int:
        if configured is None:
            return 0 if settings.server.is_loopback else beyond_loopback
        return configured

    def rate(configured: int | None, beyond_loopback: int) -> Rate | None:
        per_minute = number(configured, beyond_loopback)
        return Rate(per_minute, min(section.burst, per_minute)) if per_minute else None

    named = (entry.split("=") for entry in section.tool_calls_per_minute)
    return CallLimits(
        rate(section.calls_per_minute, _CALLS),
        rate(section.anonymous_calls_per_minute, _ANONYMOUS_CALLS),
        {tool: Rate(int(limit), int(limit)) for tool, limit in named},
        number(section.calls_at_once, _AT_ONCE) or None,
    )


@value_object
class AuditSinks:
    """The audit log, and its part that writes to the database; None without one."""

    log: AuditLog
    stored: "SqlAudit | None" = None


def audit_of(settings: Settings, database: "Database | None") -> AuditSinks:
    """Return the audit log.

    Args:
        database: where the entries are stored if `security.audit_database` is set.

    Raises:
        ConfigurationError: the configured audit log cannot be written, a required one is disabled, or the database is
            missing.
    """
    if not settings.security.audit_database:
        log = _audit_file(settings)
        return AuditSinks(log if isinstance(log, NoAudit) else AuditSummary(log))
    if database is None or settings.storage.url is None:
        raise ConfigurationError(("security.audit_database needs a database: set storage.url",))
    if not settings.security.audit:
        raise ConfigurationError(("security.audit_database needs the audit log: set security.audit to true",))
    from tfo_mcp.infrastructure.storage.audit import SqlAudit

    stored = SqlAudit(_audit_file(settings), database, members_of)
    return AuditSinks(AuditSummary(stored), stored)


def _audit_file(settings: Settings) -> AuditLog:
    section = settings.security
    if not section.audit:
        if section.audit_required:
            raise ConfigurationError(("security.audit_required needs the audit log: set security.audit to true",))
        return NoAudit()
    path = audit_path(settings)
    try:
        return AuditFile(path, section.audit_max_bytes, section.audit_files)
    except OSError as problem:
        if section.audit_file is not None or section.audit_required:
            raise ConfigurationError((f"security.audit_file: {path} cannot be written: {problem.strerror}",)) from None
        _log.warning("there is no audit log: set security.audit_file", path=str(path), reason=problem.strerror)
        return NoAudit()
