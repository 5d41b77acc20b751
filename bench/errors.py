"""What can go wrong in a benchmark, as one exception that the report shows beside the row."""

from __future__ import annotations


class BenchError(Exception):
    """A server did not start, or an answer was not the one that the request asks for."""
