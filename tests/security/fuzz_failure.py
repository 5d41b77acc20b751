"""The exception that a fuzzer raises for a mishandled input, and the time limit of a response."""

LONGEST_SECONDS = 1.0


class Failure(Exception):
    """The server or the codec mishandled an input."""

    def __init__(self, what: str, data: bytes) -> None:
        super().__init__(f"{what}: {data[:2000]!r}")
