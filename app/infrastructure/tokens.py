"""JwtVerifier: the TokenVerifier for access tokens in the form of signed JWTs (RFC 9068), with keys fetched as JWKS.

The algorithms are those of the configuration, all of them asymmetric; whatever a token says of keys and where to find
them is not looked at. Keys are fetched once for all who wait, kept, and fetched anew when a token names one that is not
known, but not more often than every so many seconds. Redirects are not followed. A token goes nowhere.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from time import time
from typing import Any

import anyio
import httpx
import jwt
import structlog

from app.domain.access import Caller, unknown_scopes
from app.domain.errors import Unauthenticated

_KEPT_SECONDS = 600.0  # of the keys
_FAILING_SECONDS = 30.0  # so long a fetch that failed counts against the server's readiness
_BETWEEN_SECONDS = 30.0  # two attempts to fetch them
_FETCH_SECONDS = 5.0
_MOST_BYTES = 256 * 1024
_CHECKED_SECONDS = 60.0  # so long a signature is not checked again
_MOST_CHECKED = 4096
_LONGEST = 16 * 1024
_LEEWAY_SECONDS = 10.0
_MANDATORY = ("exp", "iss", "aud", "sub")
_log = structlog.get_logger("tfo_mcp.tokens")


class JwtVerifier:
    """Checks tokens of one issuer for one audience.

    Args:
        algorithms: names of JWA (RFC 7518), asymmetric ones.
        clock: tells the seconds since 1970.
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
        self._keys = _Keys(jwks_url, clock)
        self._clock = clock
        self._checked: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    async def aclose(self) -> None:
        """Close the connections to the authorization server."""
        await self._keys.aclose()

    def works(self) -> bool:
        """Tell whether there are keys to check tokens with, or nobody has tried to fetch them lately."""
        return self._keys.are_there()

    async def verify(self, token: str) -> Caller:
        """Return who calls with a token.

        Raises:
            Unauthenticated: the token is not good, or not for this server.
        """
        now = self._clock()
        digest = hashlib.sha256(token.encode()).digest()
        kept = self._checked.get(digest)
        if kept is None or kept[0] < now:
            kept = now + _CHECKED_SECONDS, await self._check(token)
            self._checked[digest] = kept
            if len(self._checked) > _MOST_CHECKED:
                self._checked.popitem(last=False)
        caller = kept[1]
        if caller.until is None or caller.until <= now:
            raise Unauthenticated("The token has expired", is_wrong=True)
        return caller

    async def _check(self, token: str) -> Caller:
        key = await self._keys.get(self._key_id(token))
        if key is None:
            raise Unauthenticated("The token is signed with a key that its issuer does not have", is_wrong=True)
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=self._algorithms,
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": list(_MANDATORY), "verify_exp": False},
            )
        except jwt.InvalidAudienceError:
            raise Unauthenticated("The token is for another audience", is_wrong=True) from None
        except jwt.InvalidTokenError as problem:
            raise Unauthenticated(f"The token is not good: {_reason(problem)}", is_wrong=True) from None
        return self._caller(claims)

    def _key_id(self, token: str) -> str:
        if len(token) > _LONGEST:
            raise Unauthenticated("The token is too long", is_wrong=True)
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise Unauthenticated("This is neither an API key nor a JWT", is_wrong=True) from None
        if header.get("alg") not in self._algorithms or "crit" in header:
            raise Unauthenticated("The token is signed in a way that is not taken here", is_wrong=True)
        return str(header.get("kid", ""))

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        expires = claims["exp"]
        if isinstance(expires, bool) or not isinstance(expires, int | float):
            raise Unauthenticated("The token is not good: exp is no number", is_wrong=True)
        said = claims.get("scope", claims.get("scp", ""))
        scopes = said.split() if isinstance(said, str) else [scope for scope in said if isinstance(scope, str)]
        known = frozenset(scopes) - set(unknown_scopes(scopes))
        return Caller(f"token:{claims['sub']}", known, "token", until=float(expires) + _LEEWAY_SECONDS)


class _Keys:
    """The public keys of an issuer, by their ids."""

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        self._url = url
        self._clock = clock
        self._by_id: Mapping[str, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._turn: anyio.Lock | None = None
        self._client: httpx.AsyncClient | None = None

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    def are_there(self) -> bool:
        """Tell whether there are any, or may be."""
        return bool(self._by_id) or self._clock() - self._tried > _FAILING_SECONDS

    async def get(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key of that id; where there is only one key, a token need not name it."""
        if self._is_missing(key_id):
            self._turn = self._turn or anyio.Lock()
            async with self._turn:  # who comes while somebody fetches waits for that
                if self._is_missing(key_id) and self._clock() - self._tried >= _BETWEEN_SECONDS:
                    await self._fetch()
        if not self._by_id:
            raise Unauthenticated("The keys of the authorization server cannot be fetched: try again later")
        if not key_id and len(self._by_id) == 1:
            return next(iter(self._by_id.values()))
        return self._by_id.get(key_id)

    def _is_missing(self, key_id: str) -> bool:
        """Tell whether a key is not there, or all of them are too old."""
        return self._clock() - self._fetched > _KEPT_SECONDS or (bool(key_id) and key_id not in self._by_id)

    async def _fetch(self) -> None:
        self._tried = self._clock()
        self._client = self._client or httpx.AsyncClient(follow_redirects=False, timeout=_FETCH_SECONDS)
        try:
            with anyio.fail_after(2 * _FETCH_SECONDS):
                document = json.loads(await self._body(self._client))
            self._by_id = {str(plain.get("kid", "")): jwt.PyJWK(dict(plain)) for plain in _signing(document)}
            self._fetched = self._clock()
        except (
            httpx.HTTPError,
            TimeoutError,
            ValueError,
            TypeError,
            LookupError,
            AttributeError,
            jwt.PyJWTError,
        ) as problem:
            _log.error("the keys of the authorization server cannot be fetched", reason=type(problem).__name__)

    async def _body(self, client: httpx.AsyncClient) -> bytes:
        async with client.stream("GET", self._url, headers={"accept": "application/json"}) as answer:
            if answer.status_code != httpx.codes.OK:
                raise ValueError(f"status {answer.status_code}")
            body = b""
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > _MOST_BYTES:
                    raise ValueError("too long")
            return body


def _signing(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [plain for plain in document["keys"] if plain.get("use", "sig") == "sig" and plain.get("kty") != "oct"]


def _reason(problem: jwt.InvalidTokenError) -> str:
    """Return what is wrong, in words of ours where the library's could show what the token holds."""
    match problem:
        case jwt.InvalidSignatureError():
            return "its signature is wrong"
        case jwt.InvalidIssuerError():
            return "it is another issuer's"
        case jwt.MissingRequiredClaimError():
            return f"it must have {', '.join(_MANDATORY)}"
        case jwt.ImmatureSignatureError():
            return "it is not good yet"
        case _:
            return "it cannot be read"
