"""The Accept header: whether the client accepts JSON, an event stream, or both.

A missing or empty header and `*/*` accept both; `q=0` accepts nothing (RFC 9110, 12.5.1). Some clients shorten `*/*`
to `*`.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from tfo_mcp_transports.http.header_values import parameters_of, split_value

# from the most specific range to the least: the first one in the header decides
_JSON = ("application/json", "application/*", "*/*", "*")
_STREAM = ("text/event-stream", "text/*", "*/*", "*")


@lru_cache(maxsize=256)
def accepts(header: bytes | None) -> tuple[bool, bool]:
    """Return whether JSON is acceptable, and whether an event stream is."""
    if header is None or not header.strip():
        return True, True
    weights: dict[str, float] = {}
    for kind, weight in map(_parse, split_value(header.decode("latin-1"), ",")):
        weights[kind] = max(weight, weights.get(kind, 0.0))
    return _acceptable(_JSON, weights), _acceptable(_STREAM, weights)


def _acceptable(ranges: Sequence[str], weights: Mapping[str, float]) -> bool:
    return next((weights[kind] for kind in ranges if kind in weights), 0.0) > 0


def _parse(part: str) -> tuple[str, float]:
    kind, *parameters = split_value(part.lower(), ";")
    for name, value in parameters_of(parameters):
        if name == "q":
            try:
                return kind, float(value)
            except ValueError:
                return kind, 0.0
    return kind, 1.0
