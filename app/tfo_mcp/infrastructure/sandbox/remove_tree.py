"""Removes a command's own directory, whatever the command has made of it. Runs in worker threads."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress

_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: str) -> None:
    """Remove a directory with all it holds, as deep as it may be, links not followed; what cannot go stays.

    Directories deep below are brought up into the first one, so that neither descriptors nor the stack can run out.
    """
    with suppress(OSError):
        os.chmod(path, stat.S_IRWXU)
        top = os.open(path, _LIST)
        try:
            for name in _directories_emptied(top):
                with suppress(OSError):
                    os.rmdir(name, dir_fd=top)
        finally:
            os.close(top)
        os.rmdir(path)


def _directories_emptied(top: int) -> Iterator[str]:
    """Yield the directories in `top`, empty, until there are none."""
    moved = 0
    pending = _files_removed(top)
    while pending:
        name = pending.pop()
        with suppress(OSError):
            inner = os.open(name, _LIST, dir_fd=top)
            try:
                for deeper in _files_removed(inner):
                    moved += 1
                    above = f".{os.getpid()}-{moved}"
                    os.rename(deeper, above, src_dir_fd=inner, dst_dir_fd=top)
                    pending.append(above)
            finally:
                os.close(inner)
        yield name


def _files_removed(directory: int) -> list[str]:
    """Remove what is no directory, and return the names of the directories, which may be read and changed then."""
    directories = []
    with os.scandir(directory) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        with suppress(OSError):
            if is_directory:
                directories.append(name)
                os.chmod(name, stat.S_IRWXU, dir_fd=directory)
            else:
                os.unlink(name, dir_fd=directory)
    return directories
