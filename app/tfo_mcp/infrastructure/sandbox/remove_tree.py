"""Removes the temporary directory of a command, however deep or unreadable the command has made it.

Runs in worker threads of the server, and in the supervisor.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress

_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: str) -> None:
    """Remove a directory with its contents at any depth, without following links; best-effort.

    Nested directories are first moved up into the top one, so that neither descriptors nor the stack can run out.
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
    """Empty the directories in `top`, and yield the name of each one that can be removed."""
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
    """Remove all files, and return the names of the directories after making them accessible."""
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
