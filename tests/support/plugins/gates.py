"""Gates: named events at which calls wait, with a record of what happened to the calls, as files in one directory.

The directory is the process's own, or the one that TFO_TEST_GATES names: replicas share their gates by it, so a test
opens a gate through any of them. Knows no tool.
"""

import os
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

LOOK_AGAIN = 0.01  # seconds between two polls
_OWN = None if "TFO_TEST_GATES" in os.environ else TemporaryDirectory(prefix="tfo-gates-")
_DIRECTORY = os.environ["TFO_TEST_GATES"] if _OWN is None else _OWN.name


class Gate:
    """An event to wait for, and the record of what happened, a list of words."""

    def __init__(self, key: str) -> None:
        place = Path(_DIRECTORY, sha256(key.encode()).hexdigest())
        self._opened = place.with_suffix(".open")
        self._record = place.with_suffix(".told")

    @property
    def is_open(self) -> bool:
        """Whether it was opened."""
        return self._opened.exists()

    @property
    def told(self) -> list[str]:
        """The words of the record."""
        return self._record.read_text(encoding="utf-8").split() if self._record.exists() else []

    def open(self) -> None:
        """Open it, for good."""
        self._opened.touch()

    def tell(self, word: str) -> None:
        """Add a word to the record."""
        with self._record.open("a", encoding="utf-8") as record:
            record.write(f"{word}\n")

    async def wait(self) -> None:
        """Wait until it is open."""
        while not self.is_open:
            await anyio.sleep(LOOK_AGAIN)
