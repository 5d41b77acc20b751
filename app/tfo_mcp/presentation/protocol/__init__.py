"""The protocol: the only place that knows revisions.

`revisions` holds what differs between them as data, `wire` the shapes, `handshake` and `stateless` the two ways of
opening, asking, finishing and announcing.
"""
