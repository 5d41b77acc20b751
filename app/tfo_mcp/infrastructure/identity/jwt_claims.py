"""Parses compact JWTs (RFC 7519) and checks their claims strictly: any text yields a value or `Unauthenticated`.

Pure functions without keys and without I/O. They cost less than a signature check, so they run first. Times are seconds
since 1970.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from tfo_mcp.domain.access import unknown_scopes
from tfo_mcp.domain.errors import Unauthenticated

LEEWAY_SECONDS = 10.0
"""Tolerated clock skew between the issuer and this server."""
_LONGEST = 16 * 1024
_LONGEST_SUBJECT = 255
_LONGEST_KEY_ID = 1024
_LONGEST_TEXT = 256
_LAST_SECOND = 253_402_300_799  # of the year 9999
_MANDATORY = ("exp", "iss", "aud", "sub")
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")
_UNSUPPORTED_HEADERS = frozenset({"crit", "b64", "zip", "enc"})


class UnverifiedToken(NamedTuple):
    """A parsed token whose signature is not checked yet; `key_id` is empty if the token names no key."""

    key_id: str
    claims: Mapping[str, Any]


class Grant(NamedTuple):
    """Checked claims: the subject, its scopes, the token's validity period, leeway included, and its short texts."""

    subject: str
    scopes: frozenset[str]
    begins: float
    ends: float
    texts: Mapping[str, str]

    def require_current(self, now: float) -> None:
        """Check that the token is valid at a time.

        Raises:
            Unauthenticated: the token has expired or is not valid yet.
        """
        if self.ends <= now:
            raise Unauthenticated("The token has expired", is_wrong=True, is_genuine=True)
        if self.begins > now:
            raise _invalid("it is not valid yet", is_genuine=True)


def parse(token: str, algorithms: Collection[str]) -> UnverifiedToken:
    """Return the content of a token.

    Raises:
        Unauthenticated: it is not a JWT, or its signature algorithm is not configured.
    """
    if len(token) > _LONGEST:
        raise Unauthenticated("The token is too long", is_wrong=True)
    found = _COMPACT.fullmatch(token)
    header = None if found is None else _decoded(found[1])
    if found is None or header is None:
        raise Unauthenticated("This is neither an API key nor a JWT", is_wrong=True)
    algorithm, key_id = header.get("alg"), header.get("kid", "")
    if not isinstance(algorithm, str) or algorithm not in algorithms or _UNSUPPORTED_HEADERS & header.keys():
        raise Unauthenticated("The signature algorithm or a header of the token is not accepted here", is_wrong=True)
    claims = _decoded(found[2])
    if not isinstance(key_id, str) or len(key_id) > _LONGEST_KEY_ID or claims is None:
        raise _invalid("it cannot be read")
    return UnverifiedToken(key_id, claims)


def grant_of(claims: Mapping[str, Any], issuer: str, audience: str) -> Grant:
    """Return what the claims of a token grant.

    Raises:
        Unauthenticated: a claim is missing or malformed, or the token has another issuer or audience.
    """
    if not all(name in claims for name in _MANDATORY):
        raise _invalid(f"it must have {', '.join(_MANDATORY)}")
    if claims["iss"] != issuer:
        raise _invalid("it has another issuer")
    if audience not in _texts("aud", claims["aud"]):
        raise Unauthenticated("The token is for another audience", is_wrong=True)
    _seconds(claims, "iat")
    scopes = _scopes(claims)
    return Grant(
        _subject(claims["sub"]),
        frozenset(scopes) - set(unknown_scopes(scopes)),
        _seconds(claims, "nbf") - LEEWAY_SECONDS,
        _seconds(claims, "exp") + LEEWAY_SECONDS,
        {name: value for name, value in claims.items() if isinstance(value, str) and len(value) <= _LONGEST_TEXT},
    )


def _decoded(part: str) -> Mapping[str, Any] | None:
    """Return the JSON object in a part of a token, None if it has none or a duplicate name, which is ambiguous."""
    try:
        text = urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate name")
    return members


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    """Return a NumericDate (RFC 7519, 2), 0 if there is none."""
    value = claims.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_SECOND:
        raise _invalid(f"{name} is not a time")
    return float(value)


def _subject(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_SUBJECT or not value.isprintable():
        raise _invalid(f"sub must be printable text of 1 to {_LONGEST_SUBJECT} characters")
    return value


def _scopes(claims: Mapping[str, Any]) -> Sequence[str]:
    """Return the scopes in `scope` (RFC 8693, 4.2), otherwise in `scp`: a string, or a list of strings."""
    name = "scope" if "scope" in claims else "scp"
    value = claims.get(name, "")
    return value.split() if isinstance(value, str) else _texts(name, value)


def _texts(name: str, value: object) -> Sequence[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise _invalid(f"{name} is neither a string nor a list of strings")
    return texts


def _invalid(reason: str, *, is_genuine: bool = False) -> Unauthenticated:
    return Unauthenticated(f"The token is not valid: {reason}", is_wrong=True, is_genuine=is_genuine)
