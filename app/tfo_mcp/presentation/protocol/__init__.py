"""The protocol: the only package that knows the MCP protocol revisions.

`revisions` lists the differences between revisions as data. `rendering` maps domain values to protocol objects, and
`validation` checks them. `handshake` and `stateless` implement the two eras: revisions with sessions that begin with
`initialize`, and revisions in which every request carries its own metadata.
"""
