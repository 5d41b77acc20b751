"""Administration of API keys for the command line, with plain values as arguments and results."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import time
from typing import Any

from tfo_mcp.application.commands import CreateKey, IssuedKey, RevokeKey, RotateKey
from tfo_mcp.application.handlers.keys import KeyHandler
from tfo_mcp.application.ports import AuditEntry, AuditLog
from tfo_mcp.application.queries import ListKeys
from tfo_mcp.bootstrap.security import audit_of, key_handler
from tfo_mcp.domain.access import OWNER
from tfo_mcp.domain.errors import DomainError
from tfo_mcp.domain.keys import ApiKey
from tfo_mcp.infrastructure.config import ConfigurationError, Settings


@dataclass(frozen=True, slots=True)
class KeyAdministration:
    """Creates, lists, rotates and revokes API keys; changes are written to the audit log.

    Raises:
        ConfigurationError: from each method, if the operation is not possible.
        OSError: from each method, if the key file cannot be changed.
    """

    handler: KeyHandler
    audit: AuditLog
    audit_required: bool = False

    async def create(self, name: str, scopes: Sequence[str], lifetime_seconds: float | None) -> dict[str, Any]:
        """Create a key; its text is in `key`."""
        self._record_start("create", name)
        try:
            issued = await self.handler.create(CreateKey(name, scopes, lifetime_seconds))
        except DomainError as problem:
            raise ConfigurationError((problem.message,)) from None
        return self._told("key_created", issued)

    async def list(self) -> list[dict[str, Any]]:
        """Return all keys."""
        return [_plain(key) for key in await self.handler.list(ListKeys())]

    async def revoke(self, key_id: str) -> None:
        """Revoke a key."""
        self._record_start("revoke", key_id)
        try:
            key = await self.handler.revoke(RevokeKey(key_id))
        except DomainError as problem:
            raise ConfigurationError((problem.message,)) from None
        self._write("key_revoked", key)

    async def rotate(self, key_id: str, grace_seconds: float) -> dict[str, Any]:
        """Create a replacement for a key; its text is in `key`."""
        self._record_start("rotate", key_id)
        try:
            issued = await self.handler.rotate(RotateKey(key_id, grace_seconds))
        except DomainError as problem:
            raise ConfigurationError((problem.message,)) from None
        return self._told("key_rotated", issued)

    def _told(self, event: str, issued: IssuedKey) -> dict[str, Any]:
        self._write(event, issued.key)
        return {**_plain(issued.key), "key": issued.text}

    def _record_start(self, change: str, subject: str) -> None:
        """Record the start of a change if the audit log is mandatory."""
        entry = AuditEntry(
            "key_change", "allowed", OWNER.name, OWNER.method, "cli", name=subject, reason=change, outcome="started"
        )
        if self.audit_required and not self.audit.write(entry):
            raise ConfigurationError(
                ("The audit log cannot be written (security.audit_required): nothing was changed",)
            )

    def _write(self, event: str, key: ApiKey) -> None:
        self.audit.write(AuditEntry(event, "allowed", OWNER.name, OWNER.method, "cli", key_id=key.id, name=key.name))


def key_administration(settings: Settings) -> KeyAdministration:
    """Return the administration of the configured API keys.

    Raises:
        ConfigurationError: the key file or the audit log cannot be used.
    """
    return KeyAdministration(key_handler(settings), audit_of(settings), settings.security.audit_required)


def _plain(key: ApiKey) -> dict[str, Any]:
    status = "good" if key.is_good(time()) else "revoked" if key.revoked is not None else "expired"
    return {
        "id": key.id,
        "name": key.name,
        "status": status,
        "scopes": sorted(key.scopes),
        "created": key.created,
        "expires": key.expires,
        "revoked": key.revoked,
    }
