"""Decides which commands are allowed: whether shell command lines are, and an allowlist of argument patterns.

Must not know how commands run.
"""

import fnmatch
import re
import shlex
from collections.abc import Sequence

from tfo_mcp.application.ports import Program
from tfo_mcp.domain.errors import OperationFailed, OutOfReach

SHELL = "/bin/sh"
_MOST_BYTES = 100_000


class Permission:
    """Turns a command into the arguments to run, if it is allowed.

    Args:
        shell: whether shell command lines are allowed.
        allow: patterns, each a command line as a shell would split it; `*` and `?` match characters within one
            argument, a final `**` any further arguments. Empty: every program is allowed.

    Raises:
        ValueError: a pattern is invalid.
    """

    def __init__(self, *, shell: bool, allow: Sequence[str]) -> None:
        self._shell = shell
        self._allow = tuple(allow)
        self._patterns = [_Pattern(line) for line in allow]

    def arguments(self, command: Program) -> list[str]:
        """Return the program and its arguments.

        Raises:
            OperationFailed: the command is not allowed, or invalid.
        """
        if (command.shell is None) == (not command.argv):
            raise OperationFailed("Give either argv, a program with its arguments, or command, a shell command line")
        if command.shell is not None and not self._shell:
            raise OutOfReach("Shell command lines are not allowed here (commands.shell): give argv instead", "commands")
        argv = [SHELL, "-c", command.shell] if command.shell is not None else list(command.argv)
        if any("\0" in argument or not _is_unicode(argument) for argument in argv) or not argv[0]:
            raise OperationFailed("The command must be valid text without NUL characters, and name a program")
        if sum(len(argument) for argument in argv) > _MOST_BYTES:
            raise OperationFailed("The command is too long: put it into a script file")
        if self._patterns and not any(pattern.fits(argv) for pattern in self._patterns):
            allowed = ", ".join(self._allow)
            raise OutOfReach(f"This command is not allowed: commands.allow lists only {allowed}", "commands")
        return argv


class _Pattern:
    def __init__(self, line: str) -> None:
        try:
            parts = shlex.split(line)
        except ValueError as problem:
            raise ValueError(f"commands.allow: {line!r} cannot be read: {problem}") from None
        if not parts or parts == ["**"]:
            raise ValueError(f"commands.allow: {line!r} names no program")
        self._open = parts[-1] == "**"
        self._parts = [re.compile(fnmatch.translate(part)) for part in (parts[:-1] if self._open else parts)]

    def fits(self, argv: Sequence[str]) -> bool:
        """Return whether a command matches."""
        enough = len(argv) >= len(self._parts) if self._open else len(argv) == len(self._parts)
        return enough and all(part.match(argument) for part, argument in zip(self._parts, argv, strict=False))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
