"""Node.js programs that `make test-deps` installs: their command lines and their environment.

The environment has a separate home and the PATH, without proxies, credentials and settings of the user who runs the
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
    """The exit code and the output of a program."""

    code: int
    stdout: str
    stderr: str


def installed(program: str) -> list[str]:
    """Return the command line of a program from an npm package."""
    return _line(INSTALLED / program)


def own(program: str) -> list[str]:
    """Return the command line of a program in the tests' `javascript` directory."""
    return _line(OWN / program)


def environment(home: Path, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a program with this home directory and additional `variables`."""
    return {"HOME": str(home), "PATH": os.environ["PATH"], "NO_COLOR": "1", **(variables or {})}


def run_together(
    lines: Iterable[Sequence[str]],
    *,
    home: Path,
    variables: Mapping[str, str] | None = None,
    seconds: float = 4 * PATIENCE,
) -> list[Ended]:
    """Run command lines concurrently and return their outcomes in the same order; see `environment`.

    Raises:
        subprocess.TimeoutExpired: a program does not end in time.
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
