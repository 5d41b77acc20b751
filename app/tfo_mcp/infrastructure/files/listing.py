"""Lists, finds, searches and completes files beneath the roots. Runs in worker threads.

Owns the order, truncation and paging of results. Must not know tools or how threads are chosen.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from time import monotonic

from tfo_mcp.application.ports import Contents, FileEntry, Filter, Listing, Matches, Names
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.infrastructure.files.directory_scan import Scan, cursor_after, detailed_entry, entry_names, file_entry
from tfo_mcp.infrastructure.files.error_messages import shown
from tfo_mcp.infrastructure.files.globs import Glob
from tfo_mcp.infrastructure.files.other_entries import other_entries
from tfo_mcp.infrastructure.files.path_resolution import directory_listed, parent_of, status_beneath
from tfo_mcp.infrastructure.files.paths import is_absolute
from tfo_mcp.infrastructure.files.progress import Report
from tfo_mcp.infrastructure.files.ripgrep import Effort, Ripgrep
from tfo_mcp.infrastructure.files.roots import Root, absolute, locate
from tfo_mcp.infrastructure.files.search_target import ResultPage, Searched

_MOST_COMPLETIONS = 1000
_SLACK = 4096  # paths that are collected beyond the limit before the excess is discarded


def list_directory(roots: Sequence[Root], path: str, scan: Scan) -> Listing:
    """Return the entries of a directory that the scan yields."""
    base, last = absolute(roots, path), ""
    entries: list[FileEntry] = []
    with parent_of(roots, path) as (directory, name), directory_listed(directory, name) as descriptor:
        for prefix, batch in scan.walk(descriptor):
            entries += [detailed_entry(base, prefix + entry.name, entry) for entry in batch]
            last = prefix + batch[-1].name
    return Listing(tuple(entries), scan.cut or scan.too_deep, cursor_after(last) if scan.cut else None)


def list_names(roots: Sequence[Root], path: str, scan: Scan) -> Names:
    """Return only the names of a directory's entries, several times as fast as `list_directory`."""
    last = ""
    names: list[str] = []
    with parent_of(roots, path) as (directory, name), directory_listed(directory, name) as descriptor:
        for prefix, batch in scan.walk(descriptor):
            names += entry_names(prefix, batch)
            last = prefix + batch[-1].name
    if not "".join(names).isprintable():
        names = [shown(one) for one in names]
    return Names(tuple(names), scan.cut or scan.too_deep, cursor_after(last) if scan.cut else None)


@contextmanager
def _searched(roots: Sequence[Root], path: str) -> Iterator[Searched]:
    """Open a directory for a search."""
    root, _ = locate(roots, path)
    with parent_of(roots, path) as (directory, name), directory_listed(directory, name) as descriptor:
        yield Searched(descriptor, absolute(roots, path), root.descriptor, root.protected)


def find_names(
    roots: Sequence[Root], path: str, ripgrep: Ripgrep, filter: Filter, page: ResultPage, effort: Effort
) -> Listing:
    """Return the entries that are not ignored and whose names match."""
    glob = None if filter.pattern is None else Glob(filter.pattern)
    first = _First(page.skip + page.most)
    with _searched(roots, path) as place:
        files = _with_directories(place.not_hidden(ripgrep.names(place, filter, effort)))
        for name in chain(files, place.not_hidden(other_entries(place, filter, effort))):
            if glob is None or glob.matches(name):
                first.add(name.rstrip("/"))
        timed_out = monotonic() > effort.deadline
        names = first.names()[page.skip :]
        entries = tuple(file_entry(place.path, name, status_beneath(place.directory, name)) for name in names)
    return Listing(entries, timed_out or first.cut, timed_out=timed_out, more=first.cut)


def search_contents(
    roots: Sequence[Root],
    path: str,
    ripgrep: Ripgrep,
    contents: Contents,
    filter: Filter,
    page: ResultPage,
    effort: Effort,
) -> Matches:
    """Return the matching lines of the files that are not ignored and whose names match the filter."""
    with _searched(roots, path) as place:
        return ripgrep.matches(place, contents, filter, page, effort)


def complete(roots: Sequence[Root], typed: str, report: Report) -> Sequence[str]:
    """Return the paths that start with `typed`: relative to the first root, or absolute with or without the slash."""
    before, slash, beginning = typed.rpartition("/")
    top = before if is_absolute(typed) or not _names_root(roots, f"/{before}") else f"/{before}"
    scan = Scan(_MOST_COMPLETIONS, depth=1, report=report, protected=roots[0].protected)
    found: list[str] = []
    with (
        suppress(OperationFailed),
        parent_of(roots, top or slash or ".") as (directory, name),
        directory_listed(directory, name) as descriptor,
    ):
        for _, batch in scan.walk(descriptor):
            found += entry_names(before + slash, [entry for entry in batch if entry.name.startswith(beginning)])
    return found


class _First:
    """Keeps the first paths by component order, without duplicates, with memory proportional to the limit."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._paths: set[str] = set()
        self.cut = False
        """Whether there were more paths than the limit."""

    def add(self, path: str) -> None:
        """Add a path."""
        self._paths.add(path)
        if len(self._paths) > 2 * self._most + _SLACK:
            self._paths = set(self.names())

    def names(self) -> list[str]:
        """Return the first paths, sorted."""
        self.cut = self.cut or len(self._paths) > self._most
        return heapq.nsmallest(self._most, self._paths, key=_components)


def _with_directories(names: Iterable[str]) -> Iterator[str]:
    """Yield the paths and their ancestor directories, which end with a slash; a directory may be repeated."""
    last: set[str] = set()
    for name in names:
        yield name
        directory = name.rpartition("/")[0]
        if directory in last:
            continue
        above: set[str] = set()
        while directory:
            above.add(directory)
            if directory not in last:
                yield f"{directory}/"
            directory = directory.rpartition("/")[0]
        last = above


def _components(path: str) -> list[str]:
    return path.split("/")


def _names_root(roots: Sequence[Root], path: str) -> bool:
    with suppress(OperationFailed):
        locate(roots, path)
        return True
    return False
