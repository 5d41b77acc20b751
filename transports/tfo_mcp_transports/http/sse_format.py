"""Server-sent events as bytes (HTML, Server-sent events): one message per `data:` line."""

KEEP_ALIVE = b": keep-alive\n\n"
STREAM_HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),  # asks proxies not to gather events
)


def message_event(frame: bytes, event_id: str | None) -> bytes:
    """Return the event that carries a frame, which holds no newline."""
    if event_id is None:
        return b"event: message\ndata: %b\n\n" % frame
    return b"event: message\nid: %b\ndata: %b\n\n" % (event_id.encode(), frame)


def priming_event(event_id: str, retry_ms: int) -> bytes:
    """Return the empty event that lets a client resume from the very beginning."""
    return b"id: %b\nretry: %d\ndata: \n\n" % (event_id.encode(), retry_ms)


def retry_event(retry_ms: int) -> bytes:
    """Return the field that says when to come back."""
    return b"retry: %d\n\n" % retry_ms
