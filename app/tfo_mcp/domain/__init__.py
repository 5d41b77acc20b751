"""The domain: entities, value objects, events and errors.

Standard library only, no I/O, no async. Nothing here knows the wire, a transport, a database or a clock's source.
"""
