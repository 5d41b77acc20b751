"""The port of files: what can be asked of the directories that the configuration names, and what comes back.

Paths are relative to the first root, absolute beneath one of the roots, or `file:` URIs of either kind; a URI can name
what no text can (bytes that are not UTF-8). Errors name the path as it was given: FileMissing when there is nothing,
OperationFailed for everything else that the caller can act upon.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

FileType = Literal["file", "directory", "symlink", "other"]
WriteMode = Literal["overwrite", "append", "create"]
Progress = Callable[[int, int | None], Awaitable[None]]
"""Told how far work has come: bytes or entries so far, and of how many where that is known."""


@dataclass(frozen=True, slots=True)
class FileRoot:
    """A directory outside of which no file is reached; `path` as configured, made absolute."""

    path: str
    uri: str
    read_only: bool


class FileEntry(NamedTuple):
    """What lies in a directory. A tuple, since many thousands may be made at once.

    `path` is relative to the directory that was asked for and safe to be displayed; `uri` is given where `path` is
    therefore not the name itself. `size` in bytes, of files only. `modified` in seconds since 1970, None if it cannot
    be told.
    """

    path: str
    type: FileType
    size: int | None
    modified: float | None
    uri: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of entries, sorted by path. `cursor` leads to the next page, None on the last.

    `truncated` says whether there is more than the entries of this page and those before, `timed_out` whether time was
    the reason.
    """

    entries: tuple[FileEntry, ...]
    truncated: bool = False
    cursor: str | None = None
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Names:
    """A page of paths, safe to be displayed, a directory's with a slash at the end; see Listing."""

    names: tuple[str, ...]
    truncated: bool = False
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Lines:
    """Which lines of a text: from number `first` (1 is the first) on, or the `last` ones; at most `count`."""

    first: int = 1
    count: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class TextPart:
    """Lines of a text file.

    `first` is the number of the first line, None when it was counted from the end; `count` how many lines there are.
    `cut` says whether the limit of what is read at once left out some of what was asked for, `more` whether the file
    goes on.
    """

    text: str
    first: int | None
    count: int
    cut: bool
    more: bool


@dataclass(frozen=True, slots=True)
class Write:
    """How to write: what to do with what is there, whether to create directories on the way.

    `expected_sha256`: the hexadecimal digest that the present contents must have.
    """

    mode: WriteMode = "overwrite"
    create_dirs: bool = False
    expected_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, in bytes, and the size of the file now."""

    bytes_written: int
    size: int


@dataclass(frozen=True, slots=True)
class Edit:
    """One exact replacement: `old` must stand in the text once, or be replaced everywhere."""

    old: str
    new: str
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class Edited:
    """What editing did: a unified diff, and how many places changed."""

    diff: str
    replacements: int


@dataclass(frozen=True, slots=True)
class Filter:
    """Which files a search looks at.

    `pattern` is a glob over names or relative paths, None for all; `exclude` are lines as in a .gitignore. With
    `ignored`, files that a .gitignore excludes are looked at, too.
    """

    pattern: str | None = None
    exclude: Sequence[str] = ()
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class Contents:
    """What to search for in files: a regular expression of linear time, and the lines of context around a match."""

    expression: str
    ignore_case: bool = False
    context: int = 0


@dataclass(frozen=True, slots=True)
class Match:
    """A line that matches, with its number (from 1) and the lines around it; see FileEntry for `path` and `uri`.

    Of a long line `text` is the part around the first match, which begins at `column` (in characters, from 1).
    """

    path: str
    line: int
    text: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    uri: str | None = None
    column: int = 1


@dataclass(frozen=True, slots=True)
class Matches:
    """Matching lines, sorted by path; `truncated` when there may be more, `timed_out` when time was the reason."""

    matches: tuple[Match, ...]
    truncated: bool
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What is known of a file or directory. Times in seconds since 1970, `mode` as in chmod(1)."""

    type: FileType
    size: int
    modified: float
    mode: str
    is_link: bool
    read_only: bool
    uri: str
    sha256: str | None = None


class FileStore(Protocol):
    """Files beneath the configured roots, and nothing else."""

    @property
    def roots(self) -> Sequence[FileRoot]:
        """The roots, in the order of the configuration."""

    async def read(self, path: str, progress: Progress | None = None) -> bytes:
        """Return a regular file's bytes.

        Raises:
            FileTooLarge: the file is over the configured limit.
        """

    async def read_text(self, path: str, encoding: str, lines: Lines, progress: Progress | None = None) -> TextPart:
        """Return lines of a text file, as many as the configured limit allows; `encoding` is a codec of Python's.

        Raises:
            NotText: the file is not text in that encoding.
        """

    async def write(self, path: str, data: bytes, how: Write, progress: Progress | None = None) -> Written:
        """Write a file whole or not at all: who reads it meanwhile sees the old contents or the new."""

    async def edit(
        self,
        path: str,
        edits: Sequence[Edit],
        *,
        encoding: str = "utf-8",
        dry_run: bool = False,
        expected_sha256: str | None = None,
        progress: Progress | None = None,
    ) -> Edited:
        """Replace exact pieces of a text file, all of them or none; each edit sees what those before it made."""

    async def list(
        self,
        path: str,
        *,
        depth: int | None = 1,
        cursor: str | None = None,
        most: int | None = None,
        progress: Progress | None = None,
    ) -> Listing:
        """Return what a directory holds, `depth` levels of it or all, without following symbolic links."""

    async def names(
        self,
        path: str,
        *,
        depth: int | None = 1,
        cursor: str | None = None,
        most: int | None = None,
        progress: Progress | None = None,
    ) -> Names:
        """Return the names of what a directory holds, as `list` does."""

    async def find(
        self, path: str, filter: Filter, *, most: int | None = None, progress: Progress | None = None
    ) -> Listing:
        """Return the files and directories beneath `path` whose names fit; symbolic links are not followed."""

    async def search(
        self,
        path: str,
        contents: Contents,
        filter: Filter,
        *,
        most: int | None = None,
        progress: Progress | None = None,
    ) -> Matches:
        """Return the matching lines of the text files beneath `path` whose names fit."""

    async def move(
        self,
        source: str,
        destination: str,
        *,
        overwrite: bool = False,
        create_dirs: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Give a file or directory another name or place."""

    async def delete(self, path: str, *, recursive: bool = False, progress: Progress | None = None) -> int:
        """Delete a file, a link or a directory (with what it holds only if `recursive`); return how many went."""

    async def info(self, path: str, *, digest: bool = False, progress: Progress | None = None) -> FileInfo:
        """Return what is known of a file or directory; a link's target is described, if it has one inside."""

    async def complete(self, typed: str) -> Sequence[str]:
        """Return the paths that begin with what was typed, as far as one directory's names go."""

    async def uri(self, path: str) -> str:
        """Return the absolute file: URI under which the path can be read as a resource."""


class FileWatcher(Protocol):
    """Tells when the contents behind a `file:` URI may have changed."""

    async def watch(self, uri: str, on_change: Callable[[], None]) -> Callable[[], None]:
        """Call `on_change` within a second of every change from now on, until the returned function is called.

        A URI that is none of a file beneath the roots never changes.

        Raises:
            OperationFailed: no more files can be watched.
        """
