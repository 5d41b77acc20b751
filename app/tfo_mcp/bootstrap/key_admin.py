"""Administration of API keys for the command line, with plain values as arguments and results."""

import errno
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import time
from typing import Any

from tfo_mcp.application.commands import CreateKey, ImportKeys, IssuedKey, RevokeKey, RotateKey
from tfo_mcp.application.handlers.keys import KeyHandler
from tfo_mcp.application.ports import AuditEntry, AuditLog
from tfo_mcp.application.queries import ListKeys
from tfo_mcp.bootstrap.security import audit_of, key_store, pepper_of
from tfo_mcp.bootstrap.storage import database_of, storage_error
from tfo_mcp.domain.access import OWNER
from tfo_mcp.domain.errors import DomainError, StorageUnavailable
from tfo_mcp.domain.keys import ApiKey
from tfo_mcp.infrastructure.config import ConfigurationError, Settings
from tfo_mcp.infrastructure.identity.key_file import encode_keys, load_marked_keys
from tfo_mcp.infrastructure.identity.private_files import replace_file
from tfo_mcp.value_objects import value_object

_OTHER_PEPPER = (
    "these keys were hashed with another pepper, so none of them would be valid: set security.key_pepper to the one of "
    "the server that they are from"
)


@value_object
class KeyAdministration:
    """Creates, lists, rotates, revokes, exports and imports API keys; changes are written to the audit log.

    Raises:
        DomainError: from each method, if the operation is not possible.
        ConfigurationError: from each method, if the audit log is mandatory and cannot be written.
        OSError: from each method, if the key file cannot be changed.
    """

    handler: KeyHandler
    audit: AuditLog
    audit_required: bool = False

    async def create(self, name: str, scopes: Sequence[str], lifetime_seconds: float | None) -> dict[str, Any]:
        """Create a key; its text is in `key`."""
        self._record_start("create", name)
        issued = await self.handler.create(CreateKey(name, scopes, lifetime_seconds))
        return self._told("key_created", issued)

    async def list(self) -> list[dict[str, Any]]:
        """Return all keys."""
        return [_plain(key) for key in await self.handler.list(ListKeys())]

    async def revoke(self, key_id: str) -> None:
        """Revoke a key."""
        self._record_start("revoke", key_id)
        key = await self.handler.revoke(RevokeKey(key_id))
        self._write("key_revoked", key)

    async def rotate(self, key_id: str, grace_seconds: float) -> dict[str, Any]:
        """Create a replacement for a key; its text is in `key`."""
        self._record_start("rotate", key_id)
        issued = await self.handler.rotate(RotateKey(key_id, grace_seconds))
        return self._told("key_rotated", issued)

    async def export(self, path: Path) -> int:
        """Write all keys to a new file, without their texts, and return their number.

        Raises:
            FileExistsError: there is such a file.
        """
        _require_new(path)
        self._record_start("export", str(path))
        keys = await self.handler.list(ListKeys())
        replace_file(path, encode_keys(keys, self.handler.pepper_mark))
        self.audit.write(
            AuditEntry("keys_exported", "allowed", OWNER.name, OWNER.method, "cli", name=str(path), count=len(keys))
        )
        return len(keys)

    async def import_keys(self, path: Path) -> tuple[int, int]:
        """Add the keys of a file; return how many were added, and how many were there already and stay as they are.

        Raises:
            ConfigurationError: the file cannot be used, or its keys were hashed with another pepper.
        """
        try:
            keys, mark = load_marked_keys(path)
        except ValueError as problem:
            raise ConfigurationError((str(problem),)) from None
        if mark is not None and mark != self.handler.pepper_mark:
            raise ConfigurationError((f"{path}: {_OTHER_PEPPER}",))
        self._record_start("import", str(path))
        added = await self.handler.import_keys(ImportKeys(tuple(keys.values())))
        for key in added:
            self._write("key_imported", key)
        return len(added), len(keys) - len(added)

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


@asynccontextmanager
async def key_administration(settings: Settings) -> AsyncIterator[KeyAdministration]:
    """Yield the administration of the configured API keys.

    Raises:
        ConfigurationError: the keys or the audit log cannot be used.
    """
    pepper = pepper_of(settings)
    database = None if settings.storage.url is None else database_of(settings, settings.files.roots or ())
    try:
        handler = KeyHandler(key_store(settings, database), pepper)
        audit = audit_of(settings, database)
        try:
            yield KeyAdministration(handler, audit.log, settings.security.audit_required)
        finally:
            if audit.stored is not None:
                await audit.stored.flush()
    except StorageUnavailable as problem:
        raise storage_error(settings, problem.reason) from None
    except DomainError as problem:
        raise ConfigurationError((problem.message,)) from None
    finally:
        if database is not None:
            await database.aclose()


def _require_new(path: Path) -> None:
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


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
