"""The application layer: commands, queries, their handlers, and the ports to the outside world.

Uses only the standard library and anyio. Knows the domain and the ports, but no protocol, transport or driver.
"""
