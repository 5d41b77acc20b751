"""JwtVerifier: checks access tokens of one issuer for one audience.

The algorithms are configured, and all asymmetric; keys or key URLs in a token are ignored. Valid tokens are cached by
digest for a minute, so that they need no signature check and are accepted even while their network is rate limited.
Tokens are never sent to other servers.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from time import perf_counter, time

import jwt

from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.errors import Unauthenticated
from tfo_mcp.infrastructure.identity.issuer_keys import IssuerKeys
from tfo_mcp.infrastructure.identity.jwt_claims import grant_of, parse
from tfo_mcp.infrastructure.identity.signature_limiter import SignaturePacing

_CHECKED_SECONDS = 60.0  # lifetime of a cached signature check
_MOST_CHECKED = 4096
_signatures = jwt.PyJWS()


class JwtVerifier:
    """Checks tokens.

    Args:
        issuer: the expected claim `iss`.
        audience: the value that the claim `aud` must contain.
        jwks_url: URL of the issuer's public keys.
        algorithms: accepted JWA names (RFC 7518), all asymmetric.
        clock: returns seconds since 1970.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        jwks_url: str,
        algorithms: Sequence[str],
        clock: Callable[[], float] = time,
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._algorithms = list(algorithms)
        self._keys = IssuerKeys(jwks_url, self._algorithms, clock)
        self._pacing = SignaturePacing()
        self._clock = clock
        self._checked: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    async def aclose(self) -> None:
        """Close the connections to the authorization server."""
        await self._keys.aclose()

    def works(self) -> bool:
        """Return whether there are keys to check tokens with, or no fetch was attempted in the last 30 seconds."""
        return self._keys.are_there()

    async def verify(self, token: str, network: str = "") -> Caller:
        """Return the caller of a token.

        Args:
            network: network of the client, which is charged for checks of wrong signatures.

        Raises:
            Unauthenticated: the token is not valid, or not for this server.
            RateLimited: too many tokens with wrong signatures came from the network.
        """
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        now = self._clock()
        kept = self._checked.get(digest)
        if kept is None or kept[0] < now:
            kept = now + _CHECKED_SECONDS, await self._check(token, network)
            self._checked[digest] = kept
            if len(self._checked) > _MOST_CHECKED:
                self._checked.popitem(last=False)
        caller = kept[1]
        if caller.until is None or caller.until <= now:
            raise Unauthenticated("The token has expired", is_wrong=True, is_genuine=True)
        return caller

    async def _check(self, token: str, network: str) -> Caller:
        key_id, claims = parse(token, self._algorithms)
        grant = grant_of(claims, self._issuer, self._audience)
        key = await self._keys.get(key_id)
        if key is None:
            raise Unauthenticated("The token is signed with a key that its issuer does not have", is_wrong=True)
        await self._pacing.turn(network, key.algorithm_name)
        if not self._is_signed(token, key):
            raise Unauthenticated("The token is not valid: its signature is wrong", is_wrong=True)
        self._pacing.refund(network, key.algorithm_name)
        grant.require_current(self._clock())
        return Caller(f"token:{grant.subject}", grant.scopes, "token", until=grant.ends, claims=grant.texts)

    def _is_signed(self, token: str, key: jwt.PyJWK) -> bool:
        started = perf_counter()
        try:
            _signatures.decode_complete(token, key, self._algorithms)
        except (jwt.PyJWTError, ValueError, TypeError):
            return False
        finally:
            self._pacing.learn(key.algorithm_name, perf_counter() - started)
        return True
