"""The tiers of the sandbox: which of them this machine offers, and why not the others.

`landlock` is Landlock, seccomp and limits; `bwrap` puts that into namespaces of its own, made by bubblewrap, which also
hide what may not be read; `none` confines nothing. What is not there is never replaced by less without the owner's
word.
"""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from tfo_mcp.domain.errors import OutOfReach
from tfo_mcp.infrastructure.linux import landlock, seccomp
from tfo_mcp.infrastructure.linux.syscalls import IS_LINUX
from tfo_mcp.infrastructure.sandbox.visible_paths import bubblewrap_line

Tier = Literal["bwrap", "landlock", "none"]
Wanted = Literal["auto", "landlock", "bwrap", "none"]
_PROBE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Findings:
    """Why a tier is not available, None for those that are.

    `reading` says the same of holding a program that only reads, by Landlock without seccomp.
    """

    landlock: str | None
    bubblewrap: str | None
    reading: str | None

    def choose(self, wanted: Wanted) -> Tier | None:
        """Return the tier to use: the wanted one, or the strongest that is available; None when it is not."""
        if wanted == "none":
            return "none"
        if wanted in ("auto", "bwrap") and self.bubblewrap is None:
            return "bwrap"
        if wanted in ("auto", "landlock") and self.landlock is None:
            return "landlock"
        return None

    def choose_for_reading(self, wanted: Wanted) -> Tier | None:
        """Return what holds a program that only reads: the least that does, since such programs are many and short."""
        if wanted != "none" and self.reading is None:
            return "landlock"
        return self.choose(wanted)

    def why_not(self, wanted: Wanted) -> str:
        """Return why there is no tier for what is wanted."""
        reasons = {"landlock": self.landlock, "bwrap": self.bubblewrap}
        told = [f"{name}: {reason}" for name, reason in reasons.items() if reason and wanted in ("auto", name)]
        return "; ".join(told)


Find = Callable[[], Findings]
"""Looks at what the machine offers."""


@cache
def find() -> Findings:
    """Look at what this machine offers, once; takes some milliseconds."""
    reading = _landlock_problem()
    return Findings(reading or _seccomp_problem(), _bubblewrap_problem(), reading)


def require(wanted: Wanted, find: Find) -> Tier:
    """Return the tier to run a program in.

    Raises:
        OutOfReach: what is wanted is not available.
    """
    return "none" if wanted == "none" else _there(find().choose(wanted), wanted, find)


def require_for_reading(wanted: Wanted, find: Find) -> Tier:
    """Return the tier to run a program in that only reads.

    Raises:
        OutOfReach: what is wanted is not available.
    """
    return "none" if wanted == "none" else _there(find().choose_for_reading(wanted), wanted, find)


def _there(tier: Tier | None, wanted: Wanted, find: Find) -> Tier:
    if tier is None:
        raise OutOfReach(
            f"No programs are run here, since their sandbox is not available ({find().why_not(wanted)}). "
            "`tfo-mcp doctor` says what this machine offers; the setting is commands.sandbox",
            "commands",
        )
    return tier


def _landlock_problem() -> str | None:
    if not IS_LINUX:
        return "this is not Linux"
    if (abi := landlock.abi()) < landlock.LEAST_ABI:
        offered = f"Landlock of ABI {abi}" if abi else "no Landlock"
        return f"this kernel has {offered}, and ABI {landlock.LEAST_ABI} (Linux 6.2) is needed"
    return None


def _seccomp_problem() -> str | None:
    return None if seccomp.available() else "this kernel, or this processor, has no seccomp with user notification"


def _bubblewrap_problem() -> str | None:
    if not IS_LINUX:
        return "this is not Linux"
    if (program := shutil.which("bwrap")) is None:
        return "bubblewrap (the program bwrap) is not installed"
    line = [*bubblewrap_line(program, (), (), network=False), "true"]
    try:
        tried = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        return f"bubblewrap cannot be run: {type(problem).__name__}"
    if tried.returncode == 0:
        return None
    said = tried.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    return f"bubblewrap does not work here: {said[:200] or 'no reason given'}"
