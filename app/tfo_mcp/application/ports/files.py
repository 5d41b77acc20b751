"""The port of files: operations on the configured root directories, and their result types.

Paths are relative to the first root, absolute in one of the roots, or `file:` URIs of either kind. URIs can also name
files whose names are not valid UTF-8. Errors contain the path as it was given: FileMissing if nothing exists there,
OperationFailed for everything else that the caller can act on.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, NamedTuple, Protocol

from tfo_mcp.value_objects import value_object

FileType = Literal["file", "directory", "symlink", "other"]
WriteMode = Literal["overwrite", "append", "create"]
Progress = Callable[[int, int | None], Awaitable[None]]
"""Called with the progress: bytes or entries so far, and the total if it is known."""


@value_object
class FileRoot:
    """A root directory that file access is confined to; `path` is the configured path, made absolute."""

    path: str
    uri: str
    read_only: bool


class FileEntry(NamedTuple):
    """A directory entry. A tuple for speed: a result can hold many thousands.

    `path` is relative to the requested directory and safe to display. `uri` is set if `path` had to be altered for
    display. `size` is in bytes, for files only. `modified` is in seconds since 1970, None if unknown.
    """

    path: str
    type: FileType
    size: int | None
    modified: float | None
    uri: str | None = None


@value_object
class Listing:
    """A page of entries, sorted by path. `cursor` selects the next page, None on the last page.

    `truncated`: there are more entries than on this and the previous pages. `timed_out`: because time ran out. `more`:
    of a search, further results follow these, and can be asked for.
    """

    entries: tuple[FileEntry, ...]
    truncated: bool = False
    cursor: str | None = None
    timed_out: bool = False
    more: bool = False


@value_object
class Names:
    """A page of paths that are safe to display, those of directories with a trailing slash; see Listing."""

    names: tuple[str, ...]
    truncated: bool = False
    cursor: str | None = None


@value_object
class Lines:
    """A range of lines: at most `count` lines from line number `first` (starting at 1), or the `last` lines.

    `column` is the character of the first line to start from (starting at 1). It continues a line that is longer than
    the read limit.
    """

    first: int = 1
    count: int | None = None
    last: int | None = None
    column: int = 1


@value_object
class TextPart:
    """Lines of a text file.

    `first` is the number of the first line, None if the lines were counted from the end; `column` is the character of
    this line with which the text starts. `count` is the number of lines. `cut`: the read limit truncated the requested
    lines. `more`: the file continues after these lines.
    """

    text: str
    first: int | None
    count: int
    cut: bool
    more: bool
    column: int = 1


@value_object
class Write:
    """Options of a write: the mode, and whether to create missing parent directories.

    `expected_sha256`: the hexadecimal digest that the current contents must have.
    """

    mode: WriteMode = "overwrite"
    create_dirs: bool = False
    expected_sha256: str | None = None


@value_object
class Written:
    """Number of bytes written, and the size of the file after the write in bytes."""

    bytes_written: int
    size: int


@value_object
class Edit:
    """One exact replacement: `old` must occur exactly once, unless `everywhere` replaces all occurrences."""

    old: str
    new: str
    everywhere: bool = False


@value_object
class Edited:
    """Result of an edit: a unified diff, and the number of replaced occurrences."""

    diff: str
    replacements: int


@value_object
class Filter:
    """Selects the files of a search.

    `pattern` is a glob for names or relative paths, None for all files. `exclude` are patterns in .gitignore syntax.
    With `ignored`, files that a .gitignore file excludes are included.
    """

    pattern: str | None = None
    exclude: Sequence[str] = ()
    ignored: bool = False


@value_object
class Contents:
    """What to search for in files: a linear-time regular expression, and the number of context lines per side."""

    expression: str
    ignore_case: bool = False
    context: int = 0


@value_object
class Match:
    """A matching line with its number (starting at 1) and context lines; see FileEntry for `path` and `uri`.

    For a long line, `text` is the part around the first match and starts at `column` (in characters, from 1).
    """

    path: str
    line: int
    text: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    uri: str | None = None
    column: int = 1


@value_object
class Matches:
    """Matching lines, sorted by path; `truncated` if there may be more, `timed_out` if time ran out.

    `more`: further ones follow these, and can be asked for.
    """

    matches: tuple[Match, ...]
    truncated: bool
    timed_out: bool = False
    more: bool = False


@value_object
class FileInfo:
    """Metadata of a file or directory. `modified` is in seconds since 1970, `mode` in octal digits."""

    type: FileType
    size: int
    modified: float
    mode: str
    is_link: bool
    read_only: bool
    uri: str
    sha256: str | None = None


class FileStore(Protocol):
    """Access to files in the configured roots, and to nothing else."""

    @property
    def roots(self) -> Sequence[FileRoot]:
        """The roots, in the order of the configuration."""

    async def read(self, path: str, progress: Progress | None = None) -> bytes:
        """Return the contents of a regular file.

        Raises:
            FileTooLarge: the file exceeds the configured limit.
        """

    async def beginning(self, path: str, size: int) -> bytes:
        """Return the first bytes of a regular file, `size` if it has as many."""

    async def read_text(
        self, path: str, encoding: str, lines: Lines, progress: Progress | None = None, *, most_bytes: int | None = None
    ) -> TextPart:
        """Return lines of a text file, up to the configured limit; `encoding` is the name of a Python codec.

        `most_bytes` is a lower limit on the returned text, in bytes of UTF-8. The byte-order mark of the file outranks
        the name of another encoding of Unicode.

        Raises:
            NotText: the file is not text in that encoding.
        """

    async def write(self, path: str, data: bytes, how: Write, progress: Progress | None = None) -> Written:
        """Write a file atomically: readers see either the old or the new contents."""

    async def write_text(
        self, path: str, text: str, encoding: str, how: Write, progress: Progress | None = None
    ) -> Written:
        """Write text as `write` does; appended text takes the byte order and line end of the file.

        Raises:
            OperationFailed: the encoding does not have some of the characters, or does not fit the file.
        """

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
        """Replace exact pieces of a text file atomically; each edit applies to the result of the previous ones."""

    async def list(
        self,
        path: str,
        *,
        depth: int | None = 1,
        cursor: str | None = None,
        most: int | None = None,
        progress: Progress | None = None,
    ) -> Listing:
        """Return the entries of a directory, `depth` levels deep (None: all), without following symbolic links."""

    async def names(
        self,
        path: str,
        *,
        depth: int | None = 1,
        cursor: str | None = None,
        most: int | None = None,
        progress: Progress | None = None,
    ) -> Names:
        """Return the paths of the entries of a directory, with the same arguments as `list`."""

    async def find(
        self, path: str, filter: Filter, *, most: int | None = None, skip: int = 0, progress: Progress | None = None
    ) -> Listing:
        """Return the matching files and directories in `path`, recursively; symbolic links are not followed.

        Args:
            most: the maximum number of results, at most the limit of the settings.
            skip: the number of first results to leave out.
        """

    async def search(
        self,
        path: str,
        contents: Contents,
        filter: Filter,
        *,
        most: int | None = None,
        skip: int = 0,
        progress: Progress | None = None,
    ) -> Matches:
        """Return the matching lines of the text files in `path` that match the filter, recursively; see `find`."""

    async def move(
        self,
        source: str,
        destination: str,
        *,
        overwrite: bool = False,
        create_dirs: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Move or rename a file or directory."""

    async def delete(self, path: str, *, recursive: bool = False, progress: Progress | None = None) -> int:
        """Delete a file, link or directory (a non-empty one only if `recursive`); return the number of deletions."""

    async def info(self, path: str, *, digest: bool = False, progress: Progress | None = None) -> FileInfo:
        """Return metadata of a file or directory; for a symbolic link, of its target if that is in a root."""

    async def complete(self, typed: str) -> Sequence[str]:
        """Return completions of a partial path from the directory that it names."""

    async def uri(self, path: str) -> str:
        """Return the absolute file: URI under which the path can be read as a resource."""


class FileWatcher(Protocol):
    """Detects changes of the contents behind `file:` URIs."""

    async def watch(self, uri: str, on_change: Callable[[str], None]) -> Callable[[], None]:
        """Call `on_change` within a second of every change; return a function that stops watching.

        The argument names the new version of the contents, which no other version has; it is the same in all processes.
        A URI that names no file in the roots never changes.

        Raises:
            OperationFailed: no more files can be watched.
        """
