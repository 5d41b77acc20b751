"""Goes through directories, bounded and never through a link, and matches names against globs.

Order is by name, component by component, so that what a limit cuts off is always the same. Knows descriptors only: how
one comes by them is the affair of `beneath`.
"""

import fnmatch
import heapq
import os
import re
from collections.abc import Generator, Iterator
from contextlib import suppress

from anyio import from_thread

from app.application.ports import FileEntry
from app.domain.errors import OperationFailed
from app.infrastructure.files.beneath import directory_listed, parts_of
from app.infrastructure.files.wording import shown

_MAX_DEPTH = 64  # each level holds a descriptor
_MAX_PATTERN = 1000
_NAMES_PER_CHECK = 256  # how often a walk looks whether anybody still waits for it


class Scan:
    """One way through a directory; runs in a worker thread. `cut` says whether anything was left out.

    `most` bounds the entries that are given out.
    """

    def __init__(self, most: int, *, recursive: bool) -> None:
        self._left = most
        self._recursive = recursive
        self.cut = False

    def walk(self, descriptor: int, prefix: str = "", depth: int = 1) -> Generator[tuple[str, os.DirEntry[str]]]:
        """Yield each entry with its path relative to where the walk began."""
        with os.scandir(descriptor) as found:
            entries = heapq.nsmallest(self._left + 1, _cancellable(found), key=lambda entry: entry.name)
        for entry in entries:
            if self._left == 0:
                self.cut = True
                return
            self._left -= 1
            yield prefix + entry.name, entry
            if not self._recursive or not entry.is_dir(follow_symlinks=False):
                continue
            if depth == _MAX_DEPTH:
                self.cut = True
                continue
            with suppress(OSError), directory_listed(descriptor, entry.name) as inner:  # gone, replaced, not readable
                yield from self.walk(inner, f"{prefix}{entry.name}/", depth + 1)


class Glob:
    """A glob over relative paths; one without a slash is matched against names at any depth.

    `*`, `?` and `[...]` stay within a name, `**` stands for any number of directories. Matching takes time in
    proportion to names times components, whatever the pattern.

    Raises:
        OperationFailed: the pattern cannot match anything beneath a directory.
    """

    def __init__(self, pattern: str) -> None:
        parts = parts_of(pattern)
        if not parts or len(pattern) > _MAX_PATTERN or "\0" in pattern:
            raise OperationFailed("The pattern must be a glob such as *.py or src/**/test_*.py")
        if pattern.startswith("/") or ".." in parts:
            raise OperationFailed(f"{shown(pattern)}: a pattern is relative to the path that is searched")
        self._any_depth = len(parts) == 1
        self._parts = [None if part == "**" else re.compile(fnmatch.translate(part)) for part in parts]

    def matches(self, path: str) -> bool:
        """Tell whether a relative path matches."""
        names = path.split("/")
        if self._any_depth:
            names = names[-1:]
        reached = {0}  # how many parts of the pattern the names so far can have used up
        for name in names:
            following = set()
            for position in self._with_empty(reached):
                if position == len(self._parts):
                    continue
                part = self._parts[position]
                if part is None:
                    following.add(position)
                elif part.match(name):
                    following.add(position + 1)
            reached = following
        return len(self._parts) in self._with_empty(reached)

    def _with_empty(self, reached: set[int]) -> set[int]:
        """Return the positions, with those that are reached when a `**` stands for no (further) directory."""
        positions = set(reached)
        for position, part in enumerate(self._parts):
            if part is None and position in positions:
                positions.add(position + 1)
        return positions


def file_entry(path: str, entry: os.DirEntry[str]) -> FileEntry:
    """Return what is told of an entry; `path` is relative to where the walk began."""
    if entry.is_dir(follow_symlinks=False):
        return FileEntry(shown(path), is_directory=True, size=0)
    try:
        size = entry.stat(follow_symlinks=False).st_size
    except OSError:
        size = 0  # gone since it was listed
    return FileEntry(shown(path), is_directory=False, size=size)


def _cancellable(entries: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    for count, entry in enumerate(entries):
        if count % _NAMES_PER_CHECK == 0:
            from_thread.check_cancelled()
        yield entry
