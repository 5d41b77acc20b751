"""`tfo-mcp audit`: look at the audit log."""

import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from app.bootstrap import ConfigurationError, audit_path
from transports.cli.options import ConfigOption, settings_of

audit = typer.Typer(name="audit", help="Look at the audit log.", no_args_is_help=True)

_LOOK_SECONDS = 0.25


@audit.callback()
def root() -> None:
    """Look at the audit log."""


@audit.command()
def tail(
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the latest decisions to show.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones until interrupted.")] = False,
    config: ConfigOption = None,
) -> None:
    """Print the latest decisions, each a line of JSON."""
    path = audit_path(settings_of(config))
    try:
        with path.open(encoding="utf-8") as file:
            for line in deque(file, maxlen=lines):
                print(line, end="")
    except FileNotFoundError:
        if not follow:
            raise ConfigurationError((f"There is no audit log yet: {path}",)) from None
    except OSError as problem:
        raise ConfigurationError((f"{path} cannot be read: {problem.strerror}",)) from None
    if follow:
        for line in _new_lines(path):
            print(line, end="", flush=True)


def _new_lines(path: Path) -> Iterator[str]:
    """Yield what is appended from now on, in the file of this name, whichever that is; for ever."""
    position, inode, rest = None, None, ""
    while True:
        if path.exists():
            with path.open(encoding="utf-8") as file:
                status = os.fstat(file.fileno())
                if position is None:
                    position = status.st_size
                elif status.st_ino != inode or status.st_size < position:
                    position, rest = 0, ""
                inode = status.st_ino
                file.seek(position)
                *whole, rest = (rest + file.read()).split("\n")
                position = file.tell()
                yield from (f"{line}\n" for line in whole)
        else:
            position = position or 0
        time.sleep(_LOOK_SECONDS)
