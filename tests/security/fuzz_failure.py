"""What a fuzzer raises when an input is not handled as it must be, and how long any answer may take."""

LONGEST_SECONDS = 1.0


class Failure(Exception):
    """An input has brought about what it must not."""

    def __init__(self, what: str, data: bytes) -> None:
        super().__init__(f"{what}: {data[:2000]!r}")
