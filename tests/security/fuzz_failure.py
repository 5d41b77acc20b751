"""The exception that a fuzzer raises for a mishandled input, and the limits of a late response."""

LONGEST_SECONDS = 1.0
ATTEMPTS = 3
"""Number of times that a late response is tried again."""


class Failure(Exception):
    """The server or the codec mishandled an input."""

    def __init__(self, what: str, data: bytes) -> None:
        super().__init__(f"{what}: {data[:2000]!r}")
