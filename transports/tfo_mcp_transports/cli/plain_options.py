"""Plain options of `serve`: their full names with a value each, as hosts and services write them.

They are read without the library of the command line, which takes a twentieth of the start of a server. It reads all
others, and explains what is wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from tfo_mcp_transports.cli.service import LogLevel, TransportName


def _one_of(*accepted: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in accepted:
            raise ValueError
        return value

    return read


PLAIN_OPTIONS: Mapping[str, Callable[[str], object]] = {
    "transport": _one_of(*get_args(TransportName)),
    "host": str,
    "port": int,
    "path": Path,
    "tools": str,
    "config": Path,
    "log_level": _one_of(*get_args(LogLevel)),
}
"""How the value of each option is read, by the name of its parameter."""


def plain_options(arguments: Sequence[str]) -> dict[str, Any] | None:
    """Return the values of the options by the names of their parameters; None if there is anything else."""
    found: dict[str, Any] = {}
    left = list(arguments)
    while left:
        option, has_value, value = left.pop(0).partition("=")
        if not has_value:
            value = left.pop(0) if left else ""
        name = option.removeprefix("--").replace("-", "_")
        if f"--{name.replace('_', '-')}" != option or name not in PLAIN_OPTIONS or not value or value.startswith("-"):
            return None
        try:
            found[name] = PLAIN_OPTIONS[name](value)
        except ValueError:
            return None
    return found
