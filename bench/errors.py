"""The exception for failures of a benchmark, which the report shows with the row."""

from __future__ import annotations


class BenchError(Exception):
    """A server did not start, or a response was not the expected one."""
