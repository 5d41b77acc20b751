"""Encoding of server-sent events as bytes (HTML Standard, Server-sent events); one message per `data:` line."""

KEEP_ALIVE = b": keep-alive\n\n"
STREAM_HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),  # disables response buffering in proxies
)


def message_event(frame: bytes, event_id: str | None) -> bytes:
    """Return the event that carries a frame; the frame contains no newline."""
    if event_id is None:
        return b"event: message\ndata: %b\n\n" % frame
    return b"event: message\nid: %b\ndata: %b\n\n" % (event_id.encode(), frame)


def priming_event(event_id: str, retry_ms: int) -> bytes:
    """Return the empty event whose id lets a client resume from the beginning of the stream."""
    return b"id: %b\nretry: %d\ndata: \n\n" % (event_id.encode(), retry_ms)


def retry_event(retry_ms: int) -> bytes:
    """Return the field that sets the client's reconnection time, in milliseconds."""
    return b"retry: %d\n\n" % retry_ms
