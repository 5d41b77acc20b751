"""The Accept header: does the client take JSON, a stream of events, or both?

A missing header and `*/*` take both; `q=0` takes nothing (RFC 9110, 12.5.1).
"""

from functools import lru_cache

_JSON = {"application/json", "application/*", "*/*"}
_STREAM = {"text/event-stream", "text/*", "*/*"}


@lru_cache(maxsize=256)
def accepts(header: bytes | None) -> tuple[bool, bool]:
    """Return whether JSON and whether a stream of events are acceptable."""
    if header is None:
        return True, True
    ranges = {kind for kind, weight in map(_parse, header.decode("latin-1").split(",")) if weight > 0}
    return not ranges.isdisjoint(_JSON), not ranges.isdisjoint(_STREAM)


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
