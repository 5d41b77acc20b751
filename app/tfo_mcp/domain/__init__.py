"""The domain: entities, value objects, events and errors.

Uses only the standard library, without I/O and async. Knows no protocol, transport, database or clock.
"""
