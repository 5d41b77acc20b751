"""AccessHandler: authenticates callers by API key or token, and re-checks revoked or expired credentials.

Every decision is written to the audit log. Only failures are rate-limited: valid credentials are accepted even from a
network with many failures. Since a failing network does not stop checks, each check must be cheap: an API key costs
one digest, and the token verifier limits its own work.
"""

import hmac
from collections.abc import Callable
from functools import cache, lru_cache
from time import time

from tfo_mcp.application.call_policy import CallPolicy
from tfo_mcp.application.commands import Authenticate
from tfo_mcp.application.handlers.keys import digest_of
from tfo_mcp.application.ports import AuditEntry, AuditLog, EventBus, KeyStore, RateStore, TokenVerifier
from tfo_mcp.application.queries import CheckCredentials
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.accounts import network_of
from tfo_mcp.domain.errors import RateLimited, StorageUnavailable, Unauthenticated
from tfo_mcp.domain.events import AuthenticationDecided
from tfo_mcp.domain.keys import PREFIX, ApiKey, id_of

_NOBODY = "nobody"
_MOST_SEEN = 1024
_WRONG = "This API key is unknown, was revoked, or has expired"
_TOO_MANY = "too many wrong credentials from this address"
_MISSING = "This server needs an API key or a token: send Authorization: Bearer <key>"
_MISSING_BEHIND_PROXY = (
    "Requests that a proxy has forwarded need an API key or a token: send Authorization: Bearer <key>"
)
_decided = cache(AuthenticationDecided)  # few distinct events, published for every request


class AccessHandler:
    """Authenticates callers by API key, by token, or as anonymous.

    Args:
        pepper: returns the secret key for the digests of API keys.
        tokens: verifies OAuth tokens, None if tokens are not accepted.
        policy: the anonymous caller, and the limit of failures per network.
        failures: counts failures per network.
    """

    def __init__(
        self,
        keys: KeyStore,
        pepper: Callable[[], bytes],
        tokens: TokenVerifier | None,
        policy: CallPolicy,
        failures: RateStore,
        audit: AuditLog,
        events: EventBus,
        clock: Callable[[], float] = time,
    ) -> None:
        self._keys = keys
        self._pepper = pepper
        self._tokens = tokens
        self._policy = policy
        self._failures = failures
        self._audit = audit
        self._events = events
        self._clock = clock
        self._seen: dict[str, tuple[ApiKey, Caller]] = {}

    async def authenticate(self, command: Authenticate) -> Caller:
        """Return the caller that a credential authenticates.

        Raises:
            Unauthenticated: the credential is missing, wrong, revoked or expired.
            RateLimited: the credential is wrong, and its network has failed too often.
            StorageUnavailable: the key is not known, and the keys cannot be read.
        """
        anonymous = self._policy.forwarded if command.is_forwarded else self._policy.anonymous
        if command.credential is None and anonymous is not None:
            self._events.publish(_decided(True, "anonymous"))
            return anonymous
        try:
            caller = await self._recognized(command.credential) or await self._known(command)
        except Unauthenticated as problem:
            if problem.is_guess:
                await self._count_failure(command)
            self._refuse(command, problem.message)
            raise
        except RateLimited as problem:
            self._refuse(command, problem.message)
            raise
        self._events.publish(_decided(True, caller.method))
        self._audit.write(_allowed(caller, command.transport, command.address))
        return caller

    async def is_still_good(self, query: CheckCredentials) -> bool:
        """Return whether the credentials of an authenticated caller are still valid, as far as is known."""
        caller = query.caller
        if caller.method == "anonymous":
            return self._policy.anonymous is not None or self._policy.forwarded is not None
        if caller.key_id is not None:
            try:
                key = await self._keys.get(caller.key_id)
            except StorageUnavailable:
                return True
            return key is not None and key.is_good(self._clock())
        return caller.until is None or self._clock() < caller.until

    async def _recognized(self, credential: str | None) -> Caller | None:
        """Return the caller of a key from the cache, None if the key is not cached, has changed or is not valid."""
        seen = None if credential is None else self._seen.get(credential)
        if seen is None:
            return None
        key, caller = seen
        return caller if await self._keys.get(key.id) is key and key.is_good(self._clock()) else None

    async def _known(self, command: Authenticate) -> Caller:
        credential = command.credential
        if credential is None:
            is_proxied = command.is_forwarded and self._policy.anonymous is not None
            raise Unauthenticated(_MISSING_BEHIND_PROXY if is_proxied else _MISSING)
        if not credential.startswith(PREFIX):
            if self._tokens is None:
                raise Unauthenticated("Not an API key: the form is tfo_<id>_<secret>_<checksum>", is_wrong=True)
            return await self._tokens.verify(credential, network_of(command.address))
        key = await self._keys.get(id_of(credential))
        if key is None or not hmac.compare_digest(digest_of(self._pepper(), credential), key.digest):
            raise Unauthenticated(_WRONG, is_wrong=True)
        if not key.is_good(self._clock()):
            raise Unauthenticated(_WRONG, is_wrong=True, is_genuine=True)
        caller = Caller(f"key:{key.principal}", key.scopes, "key", key.id, key.expires)
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        self._seen[credential] = key, caller
        return caller

    async def _count_failure(self, command: Authenticate) -> None:
        """Count a failure of the client's network.

        Raises:
            RateLimited: the network has failed too often.
        """
        failures = self._policy.failures
        admission = await self._failures.take(network_of(command.address), failures)
        if not admission.allowed:
            self._refuse(command, _TOO_MANY)
            message = "Too many wrong credentials from this address: wait before you try again"
            raise RateLimited(message, admission.retry_after, "authentication", failures.burst)

    def _refuse(self, command: Authenticate, reason: str) -> None:
        self._events.publish(_decided(False, "none"))
        self._audit.write(
            AuditEntry("authentication", "refused", _NOBODY, "none", command.transport, command.address, reason=reason)
        )


@lru_cache(maxsize=1024)
def _allowed(caller: Caller, transport: str, address: str | None) -> AuditEntry:
    return AuditEntry("authentication", "allowed", caller.name, caller.method, transport, address, key_id=caller.key_id)
