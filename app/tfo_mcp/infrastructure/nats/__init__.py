"""The event log in NATS JetStream.

`cloud_events` gives a recorded event its form for other systems, `connection` owns the connection and the stream,
`event_log` implements the port, `reader` reads the stream for operators. The package needs the extra `nats`, and is
imported only if `events.url` names a NATS server.
"""
