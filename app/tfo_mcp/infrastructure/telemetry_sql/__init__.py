"""A caller's SELECT over stored telemetry, before it meets an engine: its check, and the cells of its answer.

Shared by the adapters of the stores. Must not know an engine.
"""
