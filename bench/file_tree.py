"""The files of the file rows, the same for all contenders: small, large, many in one directory, many in a tree.

Created once for a run, in a temporary directory that is removed with the process.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

ENTRIES = 1_000
FILES = 20_000
DIRECTORIES = 200
FILES_WITH_NEEDLE = 50
NAMED_SEVEN = DIRECTORIES  # one in each directory

NEEDLE = "needle_in_the_hay"
KILOBYTE = "The quick brown fox jumps over the lazy dog, again and again. \n" * 16
MEGABYTE = KILOBYTE * 1024

_LINE = "    value_{0} = compute({0}, total - {1}, key='item-{1}')  # step {0} of the way\n"


class FileTree:
    """The directory `root` with `small.txt`, `large.txt`, `many` (1,000 files) and `tree` (20,000 files)."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="tfo-bench-")
        self.root = Path(self._directory.name)
        (self.root / "small.txt").write_text(KILOBYTE)
        (self.root / "large.txt").write_text(MEGABYTE)
        (self.root / "many").mkdir()
        for number in range(ENTRIES):
            (self.root / "many" / f"entry_{number:04}.txt").write_text("x")
        self._fill(self.root / "tree")

    def _fill(self, top: Path) -> None:
        per_directory = FILES // DIRECTORIES
        for number in range(FILES):
            where, index = divmod(number, per_directory)
            directory = top / f"part_{where // 10:02}" / f"unit_{where % 10}"
            if index == 0:
                directory.mkdir(parents=True)
            lines = "".join(_LINE.format(line, number) for line in range(20))
            needle = f"    {NEEDLE} = {number}\n" if number % (FILES // FILES_WITH_NEEDLE) == 0 else ""
            (directory / f"module_{index}.py").write_text(f"def part_{number}():\n{lines}{needle}")


@cache
def file_tree() -> FileTree:
    """Return the files, which are created by the first call."""
    return FileTree()
