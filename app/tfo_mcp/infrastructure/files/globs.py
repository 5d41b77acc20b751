"""Globs over relative paths, matched in linear time, and their translation to .gitignore lines for ripgrep.

`*`, `?` and `[...]` match within one name, `**` matches any number of directories, `{a,b}` matches either alternative.
A glob without a slash matches names at any depth.
"""

import fnmatch
import re

from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.infrastructure.files.error_messages import shown
from tfo_mcp.infrastructure.files.paths import parts_of

_MAX_PATTERN = 1000
_MAX_ALTERNATIVES = 64
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")


class Glob:
    """A glob; it matches if one of its alternatives does.

    Raises:
        OperationFailed: the pattern is invalid, absolute, or contains `..`.
    """

    def __init__(self, pattern: str) -> None:
        parts = parts_of(pattern)
        if not parts or len(pattern) > _MAX_PATTERN or not pattern.isprintable():
            raise OperationFailed("The pattern must be a glob such as *.py or src/**/test_*.py")
        if pattern.startswith("/") or ".." in parts:
            raise OperationFailed(f"{shown(pattern)}: a pattern is relative to the path that is searched")
        self._plain = _alternatives("/".join(parts))
        self._patterns = [_Pattern(plain.split("/")) for plain in self._plain]

    def matches(self, path: str) -> bool:
        """Return whether a relative path matches."""
        return any(pattern.matches(path) for pattern in self._patterns)

    def ignore_lines(self) -> list[str]:
        """Return lines of a .gitignore file that ignore all files except those that match."""
        return ["*", "!*/", *("!" + plain.replace(" ", r"\ ") for plain in self._plain)]


class _Pattern:
    """One pattern without braces."""

    def __init__(self, parts: list[str]) -> None:
        self._any_depth = len(parts) == 1
        self._parts = [None if part == "**" else re.compile(fnmatch.translate(part)) for part in parts]

    def matches(self, path: str) -> bool:
        """Return whether the path matches, by simulating the pattern as a nondeterministic automaton over its names."""
        last = self._parts[-1]
        if last is not None and not last.match(path[path.rfind("/") + 1 :]):
            return False
        if self._any_depth:
            return True
        reached = {0}  # positions in the pattern that the names so far can reach
        for name in path.split("/"):
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
        """Return the positions plus those that are reachable if a `**` matches no further directory."""
        positions = set(reached)
        for position, part in enumerate(self._parts):
            if part is None and position in positions:
                positions.add(position + 1)
        return positions


def _alternatives(pattern: str) -> list[str]:
    """Return the patterns that a pattern with braces expands to.

    Raises:
        OperationFailed: there are more than 64.
    """
    patterns = [pattern]
    while any(_BRACES.search(one) for one in patterns):
        patterns = [expanded for one in patterns for expanded in _expanded(one)]
        if len(patterns) > _MAX_ALTERNATIVES:
            raise OperationFailed(
                f"The pattern expands to more than {_MAX_ALTERNATIVES} alternatives: use fewer braces"
            )
    return patterns


def _expanded(pattern: str) -> list[str]:
    braces = _BRACES.search(pattern)
    if braces is None:
        return [pattern]
    return [pattern[: braces.start()] + choice + pattern[braces.end() :] for choice in braces[1].split(",")]
