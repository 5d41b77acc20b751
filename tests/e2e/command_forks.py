"""Runs command lines in processes forked from one interpreter, with the standard streams that it was started with.

The interpreter sets up its streams as every new one does: closed, full, left by their reader, or of an encoding. Each
forked process then runs the entry point on what the interpreter was given. Knows no sub-command. Usage:

    python -m tests.e2e.command_forks CODES BETWEEN ARGUMENT... BETWEEN ARGUMENT...

BETWEEN precedes each command line. Writes their exit codes to the file CODES, a JSON array.
"""

import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import groupby
from pathlib import Path

STREAMS = (0, 1, 2)


def open_streams() -> list[int]:
    """Return the descriptors of standard streams that are open."""
    return [descriptor for descriptor in STREAMS if os.path.exists(f"/proc/self/fd/{descriptor}")]


def run_all(lines: Sequence[Sequence[str]], codes: Path) -> None:
    """Run each command line in a forked process to its end, and write the exit codes.

    Raises:
        RuntimeError: the imports hold a descriptor that was closed, which they do not in a process of one command.
    """
    given = open_streams()
    import_module("tests.support.preloaded")
    if open_streams() != given:
        raise RuntimeError("An import holds the descriptor of a closed standard stream.")
    ends = []
    for line in lines:
        if (pid := os.fork()) == 0:
            sys.argv[1:] = line
            from tfo_mcp_transports.cli.main import main

            main()
        ends.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    codes.write_text(json.dumps(ends))


if __name__ == "__main__":
    between, *rest = sys.argv[2:]
    groups = groupby(rest, lambda argument: argument == between)
    run_all([list(line) for is_between, line in groups if not is_between], Path(sys.argv[1]))
