"""Builds authentication, rate limiting and audit logging from the settings."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING

import structlog

from tfo_mcp.application.call_policy import CallLimits, CallPolicy
from tfo_mcp.application.handlers.access import AccessHandler
from tfo_mcp.application.handlers.keys import KeyHandler
from tfo_mcp.application.lifecycle import Needs
from tfo_mcp.application.ports import AuditLog, EventBus, KeyStore, RateStore, TokenVerifier
from tfo_mcp.bootstrap.exposure import exposure_of
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.rates import Rate
from tfo_mcp.infrastructure.config import ConfigurationError, Settings
from tfo_mcp.infrastructure.identity.audit_file import AuditFile, NoAudit
from tfo_mcp.infrastructure.identity.audit_summary import AuditSummary
from tfo_mcp.infrastructure.identity.key_file import KeyFile, NoKeys, pepper_beside
from tfo_mcp.infrastructure.state.rates import MemoryRateStore

if TYPE_CHECKING:
    from tfo_mcp.infrastructure.identity.jwt_verifier import JwtVerifier

_CALLS, _ANONYMOUS_CALLS, _AT_ONCE = 6000, 600, 64  # defaults beyond loopback: per minute, per minute, concurrent
_log = structlog.get_logger("tfo_mcp.security")


@dataclass(frozen=True, slots=True)
class Security:
    """Authentication, rate limits and audit log of a server; `hashing_key` keys the audit log's digests."""

    keys: KeyStore
    pepper: Callable[[], bytes]
    tokens: TokenVerifier | None
    policy: CallPolicy
    rates: RateStore
    audit: AuditLog
    hashing_key: bytes

    def access(self, events: EventBus) -> AccessHandler:
        """Return the handler that authenticates callers."""
        failures = MemoryRateStore()  # separate store: many hostile networks would evict the other counters
        return AccessHandler(self.keys, self.pepper, self.tokens, self.policy, failures, self.audit, events)

    def needs(self) -> Needs:
        """Return the checks of the dependencies: key file, audit log and token verifier."""
        found = {"security.keys_file": self.keys.works, "security.audit_file": self.audit.works}
        if self.tokens is not None:
            found["security.oauth"] = self.tokens.works
        return found

    async def aclose(self) -> None:
        """Close files and connections."""
        if self.tokens is not None:
            await self.tokens.aclose()
        self.audit.close()


def security_of(settings: Settings) -> Security:
    """Return the authentication, rate limits and audit log of a server.

    Raises:
        ConfigurationError: a required file cannot be used.
    """
    pepper = _pepper(settings)
    configured = settings.security.key_pepper
    return Security(
        keys=_keys(settings),
        pepper=pepper,
        tokens=_tokens(settings),
        policy=call_policy_of(settings),
        rates=MemoryRateStore(),
        audit=audit_of(settings),
        hashing_key=token_bytes(32) if configured is None else configured.get_secret_value().encode(),
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


def key_handler(settings: Settings) -> KeyHandler:
    """Return the handler that manages API keys.

    Raises:
        ConfigurationError: the key file cannot be used.
    """
    return KeyHandler(_keys(settings), _pepper(settings))


def audit_path(settings: Settings) -> Path:
    """Return the path of the audit log."""
    return settings.security.audit_file or state_directory() / "audit.jsonl"


def keys_path(settings: Settings) -> Path:
    """Return the path of the API key file; the pepper file is in the same directory."""
    return settings.security.keys_file or state_directory() / "keys.json"


def state_directory() -> Path:
    """Return the server's state directory for this user (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state"), "tfo-mcp").absolute()


def _keys(settings: Settings) -> KeyStore:
    path = keys_path(settings)
    try:
        return KeyFile(path)
    except ValueError as problem:
        raise ConfigurationError((f"security.keys_file: {problem}",)) from None
    except OSError as problem:
        if settings.security.keys_file is not None:
            raise ConfigurationError((f"security.keys_file: {path} cannot be read: {problem.strerror}",)) from None
        return NoKeys()  # for example another user's home; security.keys_file names another place


def _pepper(settings: Settings) -> Callable[[], bytes]:
    """Return a function that returns the pepper; the pepper file is read or created on first use."""
    configured = settings.security.key_pepper
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


def audit_of(settings: Settings) -> AuditLog:
    """Return the audit log.

    Raises:
        ConfigurationError: the configured audit log cannot be written, or a required one is disabled.
    """
    section = settings.security
    if not section.audit:
        if section.audit_required:
            raise ConfigurationError(("security.audit_required needs the audit log: set security.audit to true",))
        return NoAudit()
    path = audit_path(settings)
    try:
        return AuditSummary(AuditFile(path, section.audit_max_bytes, section.audit_files))
    except OSError as problem:
        if section.audit_file is not None or section.audit_required:
            raise ConfigurationError((f"security.audit_file: {path} cannot be written: {problem.strerror}",)) from None
        _log.warning("there is no audit log: set security.audit_file", path=str(path), reason=problem.strerror)
        return NoAudit()
