"""API keys: how one is written, and what is kept of it.

A key is `tfo_<id>_<secret>_<checksum>`: the id finds it, the secret has 256 bits, and the checksum (CRC-32 of what
stands before it) tells a typing error from a wrong key and lets scanners find keys that leaked. Of the secret only a
digest is kept.
"""

import re
from dataclasses import dataclass, replace
from secrets import choice, randbits
from zlib import crc32

from tfo_mcp.domain.errors import Unauthenticated

PREFIX = "tfo_"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_LENGTH, _SECRET_LENGTH, _CHECKSUM_LENGTH = 12, 43, 6
_SECRET_BITS = 256
_KEY = re.compile(
    rf"tfo_([0-9a-z]{{{_ID_LENGTH}}})_([0-9A-Za-z]{{{_SECRET_LENGTH}}})_([0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key. Times in seconds since 1970.

    `principal` is who calls with it: the id of the first key of a chain of rotations. `digest` is the keyed hash of its
    text, in hexadecimal.
    """

    id: str
    name: str
    principal: str
    digest: str
    scopes: frozenset[str]
    created: float
    expires: float | None = None
    revoked: float | None = None

    def is_good(self, now: float) -> bool:
        """Tell whether the key may be used."""
        return self.revoked is None and (self.expires is None or now < self.expires)

    def ended(self, now: float) -> "ApiKey":
        """Return the key as one that was revoked."""
        return self if self.revoked is not None else replace(self, revoked=now)

    def expiring(self, when: float) -> "ApiKey":
        """Return the key as one that expires at a time, or before."""
        return replace(self, expires=when if self.expires is None else min(when, self.expires))


def generate() -> tuple[str, str]:
    """Return the id of a new key, and its text."""
    key_id = "".join(choice(_ID_DIGITS) for _ in range(_ID_LENGTH))
    body = f"{PREFIX}{key_id}_{_written(randbits(_SECRET_BITS), _SECRET_LENGTH)}"
    return key_id, f"{body}_{_checksum(body)}"


def id_of(text: str) -> str:
    """Return the id that stands in a key's text.

    Raises:
        Unauthenticated: it is no key; the message tells a typing error from something else.
    """
    found = _KEY.fullmatch(text)
    if found is None:
        raise Unauthenticated("This is no API key: it has the form tfo_<id>_<secret>_<checksum>", is_wrong=True)
    if _checksum(text.rpartition("_")[0]) != found[3]:
        raise Unauthenticated("This API key has a typing error (its checksum is wrong): copy it again", is_wrong=True)
    return found[1]


def _checksum(body: str) -> str:
    return _written(crc32(body.encode()), _CHECKSUM_LENGTH)


def _written(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
