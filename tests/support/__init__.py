"""Shared test support: child processes, raw protocol clients, local servers, and parts for tests of single layers.

Most modules start the built command and talk to it over real pipes and sockets, and know the protocol only as a client
does. A few import the product instead, for tests of its parts: `builtins`, `channels`, `files`, `machine` and
`watchers`.
"""
