"""Standard input, output and error of the command: whichever of them are open, and whatever encoding they have.

A process can be started with any of the three closed. A file that is opened later would then get the free descriptor,
and receive what is meant for the terminal. Imported before everything else, so it needs the standard library only.
"""

import os
import sys
from typing import TextIO


def prepare_standard_streams() -> None:
    """Open the null device for each closed stream, and write what the encoding lacks as escapes."""
    for descriptor, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        if not _is_open(descriptor):
            _open_null(descriptor, flags)
    sys.stdout = _prepared(sys.stdout, 1)
    sys.stderr = _prepared(sys.stderr, 2)


def discard_output() -> None:
    """Write further standard output to the null device: its reader has left."""
    _open_null(1, os.O_WRONLY)


def flush_standard_streams() -> bool:
    """Write what is buffered; return False if standard output cannot be written."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # its reader has left
        return False
    except OSError as problem:
        complain(f"the output cannot be written: {problem.strerror}")
        return False
    return True


def complain(text: str) -> None:
    """Print a problem to standard error, if somebody reads it."""
    try:
        print(f"tfo-mcp: {text}", file=sys.stderr, flush=True)
    except OSError:
        _open_null(2, os.O_WRONLY)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _open_null(descriptor: int, flags: int) -> None:
    null = os.open(os.devnull, flags)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)
    os.set_inheritable(descriptor, True)


def _prepared(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream is None:
        stream = open(descriptor, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - open until the end
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream
