"""AccessHandler: who calls, by what was shown; and whether that is still so.

Every decision is written to the audit log. Whoever shows wrong credentials too often is not looked at for a while.
"""

import hmac
from collections.abc import Callable
from functools import cache
from time import time

from app.application.handlers.keys import digest_of
from app.application.ports import AuditEntry, AuditLog, EventBus, KeyStore, RateStore, TokenVerifier
from app.application.queries import Authenticate, IsStillGood
from app.application.terms import Terms
from app.domain.access import Caller
from app.domain.errors import RateLimited, Unauthenticated
from app.domain.events import AuthenticationDecided
from app.domain.keys import PREFIX, ApiKey, id_of

_NOBODY = "nobody"
_MOST_SEEN = 1024
_WRONG = "This API key is unknown, was revoked, or has expired"
_MISSING = "This server needs an API key or a token: send Authorization: Bearer <key>"
_MISSING_BEHIND_PROXY = (
    "Requests that a proxy has forwarded need an API key or a token: send Authorization: Bearer <key>"
)
_decided = cache(AuthenticationDecided)  # there are few, and many requests


class AccessHandler:
    """Knows callers by API keys, by tokens, or as anonymous.

    Args:
        pepper: gives the key of the digests of API keys.
        tokens: checks OAuth tokens, if they are taken.
        terms: who calls without credentials, and how often one address may show what is wrong.
    """

    def __init__(
        self,
        keys: KeyStore,
        pepper: Callable[[], bytes],
        tokens: TokenVerifier | None,
        terms: Terms,
        rates: RateStore,
        audit: AuditLog,
        events: EventBus,
        clock: Callable[[], float] = time,
    ) -> None:
        self._keys = keys
        self._pepper = pepper
        self._tokens = tokens
        self._terms = terms
        self._rates = rates
        self._audit = audit
        self._events = events
        self._clock = clock
        self._seen: dict[str, tuple[ApiKey, Caller]] = {}

    async def authenticate(self, query: Authenticate) -> Caller:
        """Return who calls.

        Raises:
            Unauthenticated: nobody who may.
            RateLimited: the address has shown wrong credentials too often.
        """
        anonymous = self._terms.forwarded if query.is_forwarded else self._terms.anonymous
        if query.credential is None and anonymous is not None:
            self._events.publish(_decided(True, "anonymous"))
            return anonymous
        known = await self._recognized(query.credential)
        if known is not None:
            self._write(query, known, None)
            return known
        counter = f"failures:{query.address}"
        await self._require_patience(counter, query)
        try:
            caller = await self._known(query)
        except Unauthenticated as problem:
            if problem.is_wrong:
                await self._rates.take(counter, self._terms.failures)
            self._write(query, None, problem.message)
            raise
        self._write(query, caller, None)
        return caller

    async def is_still_good(self, query: IsStillGood) -> bool:
        """Tell whether what a caller showed once would be taken now, too."""
        caller = query.caller
        if caller.method == "anonymous":
            return self._terms.anonymous is not None or self._terms.forwarded is not None
        if caller.key_id is not None:
            key = await self._keys.get(caller.key_id)
            return key is not None and key.is_good(self._clock())
        return caller.until is None or self._clock() < caller.until

    async def _recognized(self, credential: str | None) -> Caller | None:
        """Return whose key this is, if it was checked before and nothing of the key has changed since."""
        seen = None if credential is None else self._seen.get(credential)
        if seen is None:
            return None
        key, caller = seen
        return caller if await self._keys.get(key.id) is key and key.is_good(self._clock()) else None

    async def _known(self, query: Authenticate) -> Caller:
        credential = query.credential
        if credential is None:
            is_proxied = query.is_forwarded and self._terms.anonymous is not None
            raise Unauthenticated(_MISSING_BEHIND_PROXY if is_proxied else _MISSING)
        if not credential.startswith(PREFIX):
            if self._tokens is None:
                raise Unauthenticated("This is no API key: it has the form tfo_<id>_<secret>_<checksum>", is_wrong=True)
            return await self._tokens.verify(credential)
        key = await self._keys.get(id_of(credential))
        if key is None or not hmac.compare_digest(digest_of(self._pepper(), credential), key.digest):
            raise Unauthenticated(_WRONG, is_wrong=True)
        if not key.is_good(self._clock()):
            raise Unauthenticated(_WRONG, is_wrong=True)
        caller = Caller(f"key:{key.principal}", key.scopes, "key", key.id, key.expires)
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        self._seen[credential] = key, caller
        return caller

    async def _require_patience(self, counter: str, query: Authenticate) -> None:
        failures = self._terms.failures
        looked = await self._rates.take(counter, failures, 0)
        if looked.remaining == 0:
            self._write(query, None, "too many wrong credentials from this address")
            wait = max(looked.retry_after, failures.interval)
            message = "Too many wrong credentials came from this address: wait before you try again"
            raise RateLimited(message, wait, "authentication", failures.burst)

    def _write(self, query: Authenticate, caller: Caller | None, reason: str | None) -> None:
        method = "none" if caller is None else caller.method
        self._events.publish(_decided(caller is not None, method))
        self._audit.write(
            AuditEntry(
                "authentication",
                "refused" if caller is None else "allowed",
                _NOBODY if caller is None else caller.name,
                method,
                query.transport,
                query.address,
                key_id=None if caller is None else caller.key_id,
                reason=reason,
            )
        )
