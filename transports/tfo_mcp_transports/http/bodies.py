"""Bodies of POST requests: unencoded JSON, read completely up to a limit, and charged to the client's budget.

The connection enforces the deadline for a body.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from starlette.types import Receive, Send

from tfo_mcp.presentation.protocol.call import Facts
from tfo_mcp.presentation.protocol.faults import Fault, encode_fault, fault_of
from tfo_mcp.presentation.server import SMALL_BYTES, Budget
from tfo_mcp_transports.http.header_values import parameters_of, split_value
from tfo_mcp_transports.network.authentication import rate_headers
from tfo_mcp_transports.network.responses import answer, refuse

_JSON = b"application/json"
_NO_ALPHANUMERIC = re.compile(r"[^a-z0-9]")
_UTF_8 = frozenset(
    {"", "utf8", "unicode11utf8", "unicode20utf8", "xunicode20utf8"}  # WHATWG Encoding, 4.2
    | {"utf8sig", "u8", "cp65001", "utf8mb4", "ascii", "usascii"}  # names in libraries; ASCII is a subset
)


class _TooLarge(Exception):
    """The body has more bytes than the limit allows."""


class _ClientLeft(Exception):
    """The connection ended before the body was complete, so that no response can be sent."""


class RequestBytes:
    """The bytes of one request, charged to the client's budget until `give_back`."""

    __slots__ = ("_budget", "_facts", "size")

    def __init__(self, budget: Budget, facts: Facts) -> None:
        self._budget = budget
        self._facts = facts
        self.size = 0

    def take(self, size: int) -> None:
        """Charge `size` more bytes.

        Raises:
            Fault: the client has too many bytes of requests in flight.
        """
        if not self._budget.fits(self._facts.account, size):
            raise fault_of(self._budget.exceeded())
        self._budget.add(self._facts.account, size)
        self.size += size

    def give_back(self) -> None:
        """Return the charged bytes to the budget."""
        self._budget.give_back(self._facts.account, self.size)


async def receive_json(
    headers: Mapping[bytes, bytes], limit: int, charged: RequestBytes, receive: Receive, send: Send
) -> bytes | None:
    """Return the body of a POST; when it is not acceptable, send the error response and return None."""
    if not _is_json(headers.get(b"content-type")):
        await refuse(send, 415, "Send Content-Type: application/json, encoded as UTF-8 (charset=utf-8, or no charset)")
        return None
    if headers.get(b"content-encoding", b"").strip().lower() not in (b"", b"identity"):
        await refuse(send, 415, "Send the body without Content-Encoding", [(b"accept-encoding", b"identity")])
        return None
    try:
        return await _read(headers.get(b"content-length"), limit, charged, receive)
    except _TooLarge:
        await refuse(send, 413, f"The body is larger than {limit} bytes (setting server.max_body_bytes)")
    except Fault as fault:
        await answer(send, 429, encode_fault(fault, None), _JSON, rate_headers(fault))
    except _ClientLeft:
        pass
    return None


async def _read(length: bytes | None, limit: int, charged: RequestBytes, receive: Receive) -> bytes:
    if length is not None and length.isdigit() and int(length) > limit:
        raise _TooLarge
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientLeft
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _TooLarge
        if size > SMALL_BYTES:
            charged.take(len(part))
        if not message.get("more_body"):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)


@lru_cache(maxsize=256)
def _is_json(content_type: bytes | None) -> bool:
    """Return whether a Content-Type is JSON in UTF-8, in any spelling; other parameters than charset are ignored."""
    if content_type == _JSON:
        return True
    kind, *parameters = split_value((content_type or b"").decode("latin-1"), ";")
    charsets = [value.lower() for name, value in parameters_of(parameters) if name == "charset"]
    spellings = {_NO_ALPHANUMERIC.sub("", charset) for charset in charsets}
    return kind.lower().encode("latin-1") == _JSON and spellings <= _UTF_8
