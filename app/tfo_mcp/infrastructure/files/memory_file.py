"""Anonymous files, which a program that inherits their descriptor can open by path."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def file_of(parts: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """Yield the descriptor of a file with these contents, and its path for a program that inherits the descriptor."""
    if hasattr(os, "memfd_create"):
        descriptor, directory = os.memfd_create("tfo-mcp"), "/proc/self/fd"
    else:
        descriptor, directory = _without_name(), "/dev/fd"
    try:
        for part in parts:
            os.write(descriptor, part)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor, f"{directory}/{descriptor}"
    finally:
        os.close(descriptor)


def _without_name() -> int:
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
