"""Which directories, links and special files are ignored: .gitignore files and the exclusions of a search.

ripgrep decides about regular files; this module decides about the entries that ripgrep does not list, by the same
rules. The rule of the nearest .gitignore file that matches applies, and of several in a file the last one. Exclusions
of a search apply where no .gitignore file has a rule. Knows paths; must not know how directories are walked.
"""

import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress

from tfo_mcp.application.ports import Filter
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.infrastructure.files.error_messages import is_plain
from tfo_mcp.infrastructure.files.globs import PathPattern, TooManyAlternatives, path_patterns
from tfo_mcp.value_objects import value_object

IGNORE_FILE = ".gitignore"
REPOSITORY = ".git"
"""Name of the directories, or files, that are never searched where .gitignore files apply; none brings them back."""
_MOST_EXCLUDES = 100
_MOST_RULES = 5000
_MOST_BYTES = 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class IgnoreFile:
    """The rules of a .gitignore file, or of another list of lines in its syntax; rules beyond 5,000 have no effect."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._rules: list[tuple[bool, list[PathPattern]]] = []
        for line in lines:
            rule = _rule(line)
            if rule is not None and len(self._rules) < _MOST_RULES:
                self._rules.append(rule)

    def verdict(self, path: str) -> bool | None:
        """Return whether a path relative to the file is ignored; None if no rule matches."""
        raw = _bytewise(path)
        for ignores, patterns in reversed(self._rules):
            if any(pattern.matches(raw) for pattern in patterns):
                return ignores
        return None


@value_object
class IgnoreRules:
    """The rules for the entries of one directory.

    Args:
        exclusions: the exclusions of the search, relative to the searched directory.
        files: the ignore files from the outermost to the nearest, each with the length of its directory's path from
            the root, with the slash.
        above: path from the root to the searched directory; empty, or ends with a slash.
    """

    exclusions: IgnoreFile
    files: tuple[tuple[int, IgnoreFile], ...] = ()
    above: str = ""

    def inside(self, directory: int, prefix: str) -> "IgnoreRules":
        """Return the rules for the entries of an open directory, whose relative path is `prefix`."""
        own = read_ignore_file(directory)
        if own is None:
            return self
        return IgnoreRules(self.exclusions, (*self.files, (len(self.above) + len(prefix), own)), self.above)

    def ignores(self, path: str) -> bool:
        """Return whether a path relative to the searched directory is ignored."""
        whole = self.above + path
        for begin, file in reversed(self.files):
            verdict = file.verdict(whole[begin:])
            if verdict is not None:
                return verdict
        return self.exclusions.verdict(path) or False


def read_ignore_file(directory: int) -> IgnoreFile | None:
    """Return the rules of the .gitignore file in an open directory; None if it has none that can be read."""
    with suppress(OSError):
        descriptor = os.open(IGNORE_FILE, _READ, dir_fd=directory)
        with open(descriptor, "rb") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return IgnoreFile(file.read(_MOST_BYTES).decode("utf-8-sig", "surrogateescape").split("\n"))
    return None


def excluded_lines(filter: Filter) -> list[str]:
    """Return the exclusions of a search as lines of a .gitignore file.

    Raises:
        OperationFailed: there are too many, or one is not a line.
    """
    excluded = list(filter.exclude)
    if len(excluded) > _MOST_EXCLUDES or not all(is_plain(line) and line.strip() for line in excluded):
        raise OperationFailed(f"`exclude` takes at most {_MOST_EXCLUDES} globs, each one line, such as node_modules/")
    return excluded


def _bytewise(text: str) -> str:
    """Return the text with one character for each byte: in ignore files `?` matches one byte, as in Git and ripgrep."""
    return text if text.isascii() else os.fsencode(text).decode("latin-1")


def _rule(line: str) -> tuple[bool, list[PathPattern]] | None:
    """Return whether a line ignores, and its patterns; None for a comment, an empty or an unusable line."""
    line = line.rstrip("\r")
    if line.startswith("#"):
        return None
    text = line if line.endswith("\\ ") else line.rstrip()
    negated = text.startswith("!")
    text = text.removeprefix("!")
    if not text.strip("/"):
        return None
    try:
        patterns: Sequence[PathPattern] = path_patterns(_bytewise(text))
    except TooManyAlternatives:
        return None
    for pattern in patterns:
        pattern.require_names_below()
    return not negated, list(patterns)
