"""Finds the entries that ripgrep does not list: directories, symbolic links and special files.

Never follows links, and does not enter ignored directories. Used in worker threads.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic

from tfo_mcp.application.ports import Filter
from tfo_mcp.infrastructure.files.directory_scan import DEEPEST
from tfo_mcp.infrastructure.files.ignore_rules import (
    IGNORE_FILE,
    REPOSITORY,
    IgnoreFile,
    IgnoreRules,
    excluded_lines,
    read_ignore_file,
)
from tfo_mcp.infrastructure.files.path_resolution import directory_listed, open_to_pass
from tfo_mcp.infrastructure.files.ripgrep import Effort
from tfo_mcp.infrastructure.files.search_target import Searched


def other_entries(searched: Searched, filter: Filter, effort: Effort) -> Iterator[str]:
    """Yield the relative paths of the entries that are no regular files, until the deadline.

    The path of a directory ends with a slash.
    """
    rules = IgnoreRules(IgnoreFile(excluded_lines(filter)))
    walk = _Walk(effort, reads_files=not filter.ignored)
    if not filter.ignored:
        rules = _with_files_above(rules, searched)
    return walk.entries(searched.directory, "", rules, 1)


class _Walk:
    """One walk; `reads_files` is whether .gitignore files apply, and Git's own directories are left out."""

    def __init__(self, effort: Effort, *, reads_files: bool) -> None:
        self._effort = effort
        self._reads_files = reads_files
        self._seen = 0

    def entries(self, directory: int, prefix: str, rules: IgnoreRules, level: int) -> Iterator[str]:
        """Yield the entries of an open directory and of those below it."""
        others: list[os.DirEntry[str]] = []
        own = rules
        with os.scandir(directory) as found:
            for entry in found:
                self._seen += 1
                self._effort.report.tick(self._seen)
                if self._reads_files and entry.name == IGNORE_FILE:
                    own = rules.inside(directory, prefix)
                if not entry.is_file(follow_symlinks=False):
                    others.append(entry)
        inner: list[str] = []
        for entry in others:
            is_directory = entry.is_dir(follow_symlinks=False)
            path = f"{prefix}{entry.name}/" if is_directory else prefix + entry.name
            if own.ignores(path) or (self._reads_files and entry.name == REPOSITORY):
                continue
            yield path
            if is_directory:
                inner.append(entry.name)
        for name in inner if level < DEEPEST else ():
            if monotonic() > self._effort.deadline:
                return
            with suppress(OSError), directory_listed(directory, name) as descriptor:  # gone, or not readable
                yield from self.entries(descriptor, f"{prefix}{name}/", own, level + 1)


def _with_files_above(rules: IgnoreRules, searched: Searched) -> IgnoreRules:
    """Return the rules with the .gitignore files from the root down to the parent of the searched directory."""
    files: list[tuple[int, IgnoreFile]] = []
    here, passed = os.dup(searched.root), ""
    try:
        for name in searched.names_from_root():
            own = read_ignore_file(here)
            if own is not None:
                files.append((len(passed), own))
            inner = open_to_pass(here, name)
            os.close(here)
            here, passed = inner, f"{passed}{name}/"
    except OSError:  # moved meanwhile
        return rules
    finally:
        os.close(here)
    return IgnoreRules(rules.exclusions, tuple(files), passed)
