"""KeyHandler: creates, lists, rotates, revokes and imports API keys."""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import time

from tfo_mcp.application.commands import CreateKey, ImportKeys, IssuedKey, RevokeKey, RotateKey
from tfo_mcp.application.ports import KeyStore
from tfo_mcp.application.queries import ListKeys
from tfo_mcp.application.unit_of_work import unit_of_work
from tfo_mcp.domain.access import READING, unknown_scopes
from tfo_mcp.domain.errors import InvalidParams, KeyNotFound
from tfo_mcp.domain.events import KeyCreated, KeyRevoked, KeyRotated
from tfo_mcp.domain.keys import ApiKey, generate

_MARKED = "tfo-mcp keys"  # no text of a key


def digest_of(pepper: bytes, text: str) -> str:
    """Return the stored digest of a key's text: HMAC-SHA-256 with the pepper, in hexadecimal."""
    return hmac.digest(pepper, text.encode(), "sha256").hex()


class KeyHandler:
    """Manages API keys. The text of a key is returned once, on creation, and never stored.

    Args:
        pepper: returns the secret key of the digests, which is stored separately from the API keys.
    """

    def __init__(self, store: KeyStore, pepper: Callable[[], bytes], clock: Callable[[], float] = time) -> None:
        self._store = store
        self._pepper = pepper
        self._clock = clock

    async def create(self, command: CreateKey) -> IssuedKey:
        """Create a key.

        Raises:
            InvalidParams: the name is empty or not printable, or a scope is unknown.
        """
        if not command.name.strip() or not command.name.isprintable():
            raise InvalidParams("The name of a key must be printable text and not empty")
        unknown = unknown_scopes(command.scopes)
        if unknown:
            raise InvalidParams(f"Unknown scope: {', '.join(unknown)}")
        scopes = frozenset(command.scopes) or READING
        issued = self._issued(command.name, None, scopes, command.lifetime_seconds)
        await self._store.put(issued.key, events=[KeyCreated(issued.key.id, issued.key.principal)])
        return issued

    async def revoke(self, command: RevokeKey) -> ApiKey:
        """Revoke a key immediately.

        Raises:
            KeyNotFound: no key has that id.
            Conflict: others have changed the key again and again.
        """

        async def revoke() -> ApiKey:
            key = (await self._find(command.key_id)).ended(self._clock())
            await self._store.put(key, events=[KeyRevoked(key.id, key.principal)])
            return key

        return await unit_of_work(revoke)

    async def rotate(self, command: RotateKey) -> IssuedKey:
        """Create a replacement for a key, with the same principal; the old key expires after the grace period.

        Raises:
            KeyNotFound: no key has that id.
            InvalidParams: the key was revoked or has expired.
            Conflict: others have changed the key again and again.
        """

        async def rotate() -> IssuedKey:
            old, now = await self._find(command.key_id), self._clock()
            if not old.is_good(now):
                raise InvalidParams(f"The key {old.id} was revoked or has expired: create a new one")
            lifetime = None if old.expires is None else old.expires - old.created
            issued = self._issued(old.name, old.principal, old.scopes, lifetime)
            events = [KeyRotated(old.id, old.principal), KeyCreated(issued.key.id, old.principal)]
            await self._store.put(issued.key, old.expiring(now + command.grace_seconds), events=events)
            return issued

        return await unit_of_work(rotate)

    async def list(self, _query: ListKeys) -> Sequence[ApiKey]:
        """Return all keys."""
        return await self._store.list()

    async def import_keys(self, command: ImportKeys) -> Sequence[ApiKey]:
        """Add the keys whose ids are not known yet, and return them; the others stay as they are."""

        async def add() -> Sequence[ApiKey]:
            known = {key.id for key in await self._store.list()}
            new = [replace(key, version=0) for key in command.keys if key.id not in known]
            await self._store.put(*new, events=[KeyCreated(key.id, key.principal) for key in new])
            return new

        return await unit_of_work(add)

    @property
    def pepper_mark(self) -> str:
        """A text that differs for different peppers, and does not reveal them."""
        return digest_of(self._pepper(), _MARKED)[:16]

    def _issued(self, name: str, principal: str | None, scopes: frozenset[str], lifetime: float | None) -> IssuedKey:
        key_id, text = generate()
        now = self._clock()
        expires = None if lifetime is None else now + lifetime
        key = ApiKey(key_id, name, principal or key_id, digest_of(self._pepper(), text), scopes, now, expires)
        return IssuedKey(key, text)

    async def _find(self, key_id: str) -> ApiKey:
        key = await self._store.get(key_id)
        if key is None:
            raise KeyNotFound(key_id)
        return key
