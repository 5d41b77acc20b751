"""The Accept header: does the client take JSON, a stream of events, or both?

A missing header and `*/*` take both; `q=0` takes nothing (RFC 9110, 12.5.1).
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

# from the most specific range to the least: the first one that is named decides
_JSON = ("application/json", "application/*", "*/*")
_STREAM = ("text/event-stream", "text/*", "*/*")


@lru_cache(maxsize=256)
def accepts(header: bytes | None) -> tuple[bool, bool]:
    """Return whether JSON and whether a stream of events are acceptable."""
    if header is None:
        return True, True
    weights = dict(map(_parse, header.decode("latin-1").split(",")))
    return _acceptable(_JSON, weights), _acceptable(_STREAM, weights)


def _acceptable(ranges: Sequence[str], weights: Mapping[str, float]) -> bool:
    return next((weights[kind] for kind in ranges if kind in weights), 0.0) > 0


def _parse(part: str) -> tuple[str, float]:
    kind, *parameters = (field.strip().lower() for field in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return kind, float(value)
            except ValueError:
                return kind, 0.0
    return kind, 1.0
