"""Changes of a host's file: read, edited, checked, backed up and replaced. Knows no host and no format."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from tfo_mcp.bootstrap import replace_file
from tfo_mcp_transports.cli.hosts.entries import Entry
from tfo_mcp_transports.cli.hosts.locations import HostFileError
from tfo_mcp_transports.cli.hosts.registry import Editor

Outcome = Literal["added", "replaced", "removed", "unchanged"]


def put(path: Path, editor: Editor, keys: Sequence[str], entry: Entry) -> tuple[Outcome, Path | None]:
    """Add or replace an entry in a host's file, and create the file if it is missing.

    Returns:
        The outcome, and the path of the backup; None if no backup was necessary.

    Raises:
        HostFileError: the file is not of the expected structure; it is unchanged.
        OSError: it cannot be read or written.
    """
    return _change(path, editor, keys, entry, lambda text: editor.put(text, keys, entry))


def remove(path: Path, editor: Editor, keys: Sequence[str]) -> tuple[Outcome, Path | None]:
    """Remove an entry from a host's file; the outcome is "unchanged" if there is none.

    Raises:
        HostFileError: the file is not of the expected structure; it is unchanged.
        OSError: it cannot be read or written.
    """
    return _change(path, editor, keys, None, lambda text: editor.remove(text, keys))


def _change(
    path: Path, editor: Editor, keys: Sequence[str], wanted: Entry | None, edit: Callable[[str], str]
) -> tuple[Outcome, Path | None]:
    target = Path(os.path.realpath(path))
    before = target.read_bytes() if target.exists() else None
    try:
        text = (before or b"").decode()
        known = editor.value(text, keys)
        if known == wanted:
            return "unchanged", None
        after = edit(text)
        if editor.value(after, keys) != wanted:
            raise HostFileError("the file has an unusual structure")
    except UnicodeDecodeError as problem:
        raise HostFileError(f"{path}: the file is not UTF-8 ({problem.reason})") from None
    except HostFileError as problem:
        raise HostFileError(f"{path}: {problem}") from None
    target.parent.mkdir(parents=True, exist_ok=True)
    backup = _back_up(target, before) if before is not None else None
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
    replace_file(target, after.encode(), mode)
    return ("removed" if wanted is None else "added" if known is None else "replaced"), backup


def _back_up(target: Path, content: bytes) -> Path:
    """Write the previous content to a new backup file in the same directory, and return its path."""
    number = 0
    while True:
        backup = target.with_name(f"{target.name}.bak{f'.{number}' if number else ''}")
        try:
            descriptor = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1
            continue
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        return backup
