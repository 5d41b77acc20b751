"""IssuerKeys: fetches and caches the public keys of an authorization server (JWKS).

Keys are refreshed in the background before they expire. A token with an unknown key id triggers a fetch, at most every
30 seconds; only such tokens wait for it, so that invented key ids do not delay tokens with known ones. While the issuer
is unreachable, its last keys stay valid for a day. A fetch runs in a separate task, so that a client that disconnects
does not cancel it for others. Redirects are not followed.
"""

import asyncio
import json
from asyncio import Task
from collections.abc import Callable, Collection, Mapping
from typing import Any

import anyio
import httpx
import jwt
import structlog
from cryptography.exceptions import UnsupportedAlgorithm

from tfo_mcp.domain.errors import Unauthenticated

_REFRESH_SECONDS = 300.0  # older keys are refreshed in the background
_KEPT_SECONDS = 600.0  # older keys are refreshed before they are used, if the issuer can be reached
_STALE_SECONDS = 86_400.0  # maximum age of keys that are used while the issuer is unreachable
_FAILING_SECONDS = 30.0  # for this time a failed fetch makes the server unready
_BETWEEN_SECONDS = 30.0  # between two attempts to fetch the keys
_FETCH_SECONDS = 5.0
_MOST_BYTES = 256 * 1024
_MOST_KEYS = 100
_BAD_KEY = (jwt.PyJWTError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError, OverflowError)
_BAD_DOCUMENT = (httpx.HTTPError, TimeoutError, ValueError, RecursionError)
_log = structlog.get_logger("tfo_mcp.tokens")


class IssuerKeys:
    """The keys of one issuer by their ids.

    Args:
        url: URL of the JWKS.
        algorithms: accepted algorithms; keys of others are skipped.
        clock: returns seconds since 1970.
    """

    def __init__(self, url: str, algorithms: Collection[str], clock: Callable[[], float]) -> None:
        self._url = url
        self._algorithms = algorithms
        self._clock = clock
        self._by_id: Mapping[str, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._fails = False
        self._fetching: Task[None] | None = None
        self._client: httpx.AsyncClient | None = None

    async def aclose(self) -> None:
        """Stop fetching and close the connections."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])
        if self._client is not None:
            await self._client.aclose()

    def are_there(self) -> bool:
        """Return whether there are usable keys, or no fetch was attempted in the last 30 seconds."""
        return self._usable or self._clock() - self._tried > _FAILING_SECONDS

    async def get(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key with that id; an empty id means the issuer's only key.

        Raises:
            Unauthenticated: no keys are available, so the token cannot be checked.
        """
        key = self._find(key_id) if self._usable else None
        age = self._clock() - self._fetched
        if key is not None and (age <= _KEPT_SECONDS or self._fails):
            if age > _REFRESH_SECONDS:
                self._fetch()
            return key
        fetching = self._fetch()
        if fetching is not None:
            await asyncio.wait([fetching])
        if not self._usable:
            raise Unauthenticated("The keys of the authorization server cannot be fetched: try again later")
        return self._find(key_id)

    @property
    def _usable(self) -> bool:
        return bool(self._by_id) and self._clock() - self._fetched <= _STALE_SECONDS

    def _find(self, key_id: str) -> jwt.PyJWK | None:
        if not key_id and len(self._by_id) == 1:
            return next(iter(self._by_id.values()))
        return self._by_id.get(key_id)

    def _fetch(self) -> Task[None] | None:
        """Return the running fetch, or start one; None if the last attempt was too recent."""
        if self._fetching is None and self._clock() - self._tried >= _BETWEEN_SECONDS:
            self._tried = self._clock()
            self._fetching = asyncio.create_task(self._refresh())
            self._fetching.add_done_callback(self._fetch_ended)
        return self._fetching

    def _fetch_ended(self, _task: Task[None]) -> None:
        self._fetching = None

    async def _refresh(self) -> None:
        self._client = self._client or httpx.AsyncClient(follow_redirects=False, timeout=_FETCH_SECONDS)
        try:
            with anyio.fail_after(_FETCH_SECONDS):
                document = json.loads(await self._body(self._client))
            keys = _signing_keys(document, self._algorithms)
            if not keys:
                raise ValueError("no usable key")
        except _BAD_DOCUMENT as problem:
            self._fails = True
            _log.error("the keys of the authorization server cannot be fetched", reason=type(problem).__name__)
        else:
            self._by_id, self._fetched, self._fails = keys, self._clock(), False

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


def _signing_keys(document: object, algorithms: Collection[str]) -> Mapping[str, jwt.PyJWK]:
    """Return the usable keys of a JWKS; others are skipped.

    Raises:
        ValueError: the document is not a JWKS.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no JWKS")
    found: dict[str, jwt.PyJWK] = {}
    for plain in listed[:_MOST_KEYS]:
        key = _key(plain) if isinstance(plain, dict) else None
        if key is not None and key.algorithm_name in algorithms:
            found[plain.get("kid", "")] = key
    return found


def _key(plain: Mapping[str, Any]) -> jwt.PyJWK | None:
    if not isinstance(plain.get("kid", ""), str) or plain.get("use", "sig") != "sig" or plain.get("kty") == "oct":
        return None
    try:
        return jwt.PyJWK(dict(plain))
    except (*_BAD_KEY, UnsupportedAlgorithm):
        return None
