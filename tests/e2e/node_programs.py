"""Programs for Node.js that `make test-deps` installs: their command lines, and the environment that they run in.

The environment is a home of their own and the search path: no proxy, no credential and no setting of whoever runs the
tests. Knows no program and no protocol.
"""

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.deadlines import PATIENCE
from tests.support.processes import PROJECT

INSTALLED = PROJECT / "node_modules" / ".bin"
OWN = Path(__file__).with_name("javascript")


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    code: int
    stdout: str
    stderr: str


def installed(program: str) -> list[str]:
    """Return the command line of a program from a package."""
    return _line(INSTALLED / program)


def own(program: str) -> list[str]:
    """Return the command line of a program of these tests."""
    return _line(OWN / program)


def environment(home: Path, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a program that keeps its files in `home`, with more `variables`."""
    return {"HOME": str(home), "PATH": os.environ["PATH"], "NO_COLOR": "1", **(variables or {})}


def run_together(
    lines: Iterable[Sequence[str]],
    *,
    home: Path,
    variables: Mapping[str, str] | None = None,
    seconds: float = 4 * PATIENCE,
) -> list[Ended]:
    """Run several command lines at once and return how they ended, in the same order; see `environment`.

    Raises:
        subprocess.TimeoutExpired: one did not end in time.
    """
    started = [
        subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=home,
            env=environment(home, variables),
        )
        for line in lines
    ]
    try:
        outputs = [process.communicate(timeout=seconds) for process in started]
    finally:
        for process in started:
            process.kill()
    return [Ended(process.returncode, *output) for process, output in zip(started, outputs, strict=True)]


def _line(program: Path) -> list[str]:
    node = INSTALLED / "node"
    for file in (node, program):
        if not file.exists():
            raise FileNotFoundError(f"{file} is missing: `make test-deps` installs what the tests need")
    return [str(node), str(program)]
