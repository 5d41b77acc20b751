"""Streams: the transports that carry one JSON-RPC message per line, stdio and the Unix socket."""
