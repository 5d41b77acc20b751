"""`tfo-mcp audit`: print the audit log, across rotated files."""

import os
import time
from collections import deque
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from tfo_mcp.bootstrap import ConfigurationError, audit_path
from tfo_mcp_transports.cli.effective_settings import settings_of
from tfo_mcp_transports.cli.options import ConfigOption, JsonLinesOption

audit = typer.Typer(name="audit", help="Read the audit log.", no_args_is_help=True)

_LOOK_SECONDS = 0.25


@audit.callback()
def root() -> None:
    """Read the audit log."""


@audit.command()
def tail(
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Number of decisions to print from the end.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new decisions until interrupted.")] = False,
    config: ConfigOption = None,
    in_json: JsonLinesOption = False,
) -> None:
    """Print the latest decisions, one JSON object per line."""
    path = audit_path(settings_of(config))
    try:
        file = _opened(path)
        if file is None and not follow:
            raise ConfigurationError((f"There is no audit log yet: {path}",))
        for line in _latest(path, file, lines):
            _show(line)
        if follow:
            for line in _new_lines(path, file):
                _show(line)
    except BrokenPipeError:  # the reader of the output has left
        raise
    except OSError as problem:
        raise ConfigurationError((f"{path} cannot be read: {problem.strerror}",)) from None


def _show(line: bytes) -> None:
    print(line.decode(errors="replace"), end="", flush=True)


def _opened(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _rotated(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}") if number else path


def _latest(path: Path, file: BinaryIO | None, wanted: int) -> list[bytes]:
    """Return the last `wanted` lines of an open file, and of rotated files if it has too few; read it to its end."""
    found = list(deque(file or (), maxlen=wanted))
    for number in count(1):
        older = _opened(_rotated(path, number)) if len(found) < wanted else None
        if older is None:
            break
        with older:
            found = [*deque(older, maxlen=wanted - len(found)), *found]
    return found


def _new_lines(path: Path, file: BinaryIO | None) -> Iterator[bytes]:
    """Yield, without end, the lines that are appended to an open file and to the files that replace it."""
    rest = b""
    while True:
        following = _file_after(path, file)  # opened first, so that no line of the older file is missed
        if file is not None:
            if os.fstat(file.fileno()).st_size < file.tell():
                file.seek(0)  # truncated in place
            *whole, rest = (rest + file.read()).split(b"\n")
            yield from (line + b"\n" for line in whole)
        if following is None:
            time.sleep(_LOOK_SECONDS)
            continue
        if rest:
            yield rest + b"\n"
        if file is not None:
            file.close()
        file, rest = following, b""


def _file_after(path: Path, file: BinaryIO | None) -> BinaryIO | None:
    """Open the file that follows `file` in the rotation; return None if `file` is the current one."""
    if file is None:
        return _opened(path)
    newer: Path | None = None
    for number in count():
        candidate = _rotated(path, number)
        try:
            if os.path.samestat(candidate.stat(), os.fstat(file.fileno())):
                break
        except FileNotFoundError:
            newer = path if newer is not None else None  # `file` itself was moved elsewhere
            break
        newer = candidate
    return None if newer is None else _opened(newer)
