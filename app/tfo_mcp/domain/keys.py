"""API keys: their text format, and the record that is stored for a key.

The format is `tfo_<id>_<secret>_<checksum>`. The id identifies the key, and the secret has 256 bits. The checksum
(CRC-32 of the preceding text) distinguishes typing errors from wrong keys and lets scanners find leaked keys. Only a
digest of the text is stored.
"""

import re
from dataclasses import replace
from secrets import choice, randbits
from zlib import crc32

from tfo_mcp.domain.errors import Unauthenticated
from tfo_mcp.value_objects import value_object

PREFIX = "tfo_"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_LENGTH, _SECRET_LENGTH, _CHECKSUM_LENGTH = 12, 43, 6
_SECRET_BITS = 256
_KEY = re.compile(
    rf"tfo_([0-9a-z]{{{_ID_LENGTH}}})_([0-9A-Za-z]{{{_SECRET_LENGTH}}})_([0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)


@value_object
class ApiKey:
    """The stored record of a key. Times are in seconds since 1970.

    `principal` identifies the caller across rotations: the id of the first key in the chain. `digest` is the keyed
    hash of the key's text, in hexadecimal. `version` counts the stored changes, 0 for a key that is not stored yet.
    """

    id: str
    name: str
    principal: str
    digest: str
    scopes: frozenset[str]
    created: float
    expires: float | None = None
    revoked: float | None = None
    version: int = 0

    def is_good(self, now: float) -> bool:
        """Return whether the key is neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or now < self.expires)

    def ended(self, now: float) -> "ApiKey":
        """Return the key as revoked; a key that was already revoked is unchanged."""
        return self if self.revoked is not None else replace(self, revoked=now)

    def expiring(self, when: float) -> "ApiKey":
        """Return the key with an expiry of at most `when`; an earlier expiry is kept."""
        return replace(self, expires=when if self.expires is None else min(when, self.expires))


def generate() -> tuple[str, str]:
    """Return the id and the text of a new random key."""
    key_id = "".join(choice(_ID_DIGITS) for _ in range(_ID_LENGTH))
    body = f"{PREFIX}{key_id}_{_written(randbits(_SECRET_BITS), _SECRET_LENGTH)}"
    return key_id, f"{body}_{_checksum(body)}"


def id_of(text: str) -> str:
    """Return the id in a key's text, after checking the format and the checksum.

    Raises:
        Unauthenticated: the text is not a key; the message distinguishes a typing error from other text.
    """
    found = _KEY.fullmatch(text)
    if found is None:
        raise Unauthenticated("Not an API key: the form is tfo_<id>_<secret>_<checksum>", is_wrong=True)
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
