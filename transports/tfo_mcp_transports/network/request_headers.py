"""The headers of one request, read once for all that look at them: validation, authentication, the endpoint.

Owns repeated headers. Knows no header by name.
"""

from collections import Counter
from collections.abc import Set

from starlette.types import Scope

_KEPT_IN = "tfo_mcp.headers"
_NONE: Set[bytes] = frozenset()

Fields = list[tuple[bytes, bytes]]


class RequestHeaders:
    """The headers of a request by their names in lower case.

    `by_name` has the last value of each; `repeated` are the names that occur more than once.
    """

    __slots__ = ("_fields", "by_name", "repeated")

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self.by_name = dict(fields)
        self.repeated = _NONE if len(self.by_name) == len(fields) else _repeated(fields)

    def values(self, name: bytes) -> list[bytes]:
        """Return all values of a header in their order."""
        if name in self.repeated:
            return [value for other, value in self._fields if other == name]
        value = self.by_name.get(name)
        return [] if value is None else [value]


def headers_of(scope: Scope) -> RequestHeaders:
    """Return the headers of a request, which stay with its scope."""
    headers: RequestHeaders | None = scope.get(_KEPT_IN)
    if headers is None:
        headers = scope[_KEPT_IN] = RequestHeaders(scope["headers"])
    return headers


def _repeated(fields: Fields) -> Set[bytes]:
    return frozenset(name for name, count in Counter(name for name, _ in fields).items() if count > 1)
