"""HmacSealer: signs state that clients carry (HMAC-SHA-256), so that altered state is rejected.

The client can read the payload, which is its own data. Every replica that has the key can verify it.
"""

import base64
import binascii
import hashlib
import hmac

_TAG_BYTES = 32


class HmacSealer:
    """Signs with one key."""

    def __init__(self, key: str) -> None:
        self._key = hashlib.sha256(b"tfo-mcp request state\0" + key.encode()).digest()

    def seal(self, payload: bytes) -> str:
        """Return the payload and its tag as URL-safe text."""
        return base64.urlsafe_b64encode(self._tag(payload) + payload).decode()

    def unseal(self, sealed: str) -> bytes | None:
        """Return the payload; None if the text is not exactly one that `seal` returned."""
        try:
            raw = base64.b64decode(sealed.encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        tag, payload = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        canonical = base64.urlsafe_b64encode(raw).decode() == sealed  # unused low bits of base64 count as tampering
        return payload if hmac.compare_digest(tag, self._tag(payload)) and canonical else None

    def _tag(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, payload, "sha256")
