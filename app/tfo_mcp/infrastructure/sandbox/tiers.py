"""The tiers of the sandbox: which ones this machine offers, and why the others are unavailable.

`landlock` is Landlock, seccomp and resource limits. `bwrap` adds the namespaces of bubblewrap, which also hide files
that may not be read. `none` confines nothing. The server never falls back to a weaker tier than configured.
"""

import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from typing import Literal

from tfo_mcp.domain.errors import OutOfReach
from tfo_mcp.infrastructure.linux import landlock, seccomp
from tfo_mcp.infrastructure.linux.syscalls import IS_LINUX
from tfo_mcp.infrastructure.sandbox.visible_paths import bubblewrap_line
from tfo_mcp.value_objects import value_object

Tier = Literal["bwrap", "landlock", "none"]
Wanted = Literal["auto", "landlock", "bwrap", "none"]
_PROBE_SECONDS = 5.0


@value_object
class Findings:
    """Why each tier is unavailable, None for those that are available.

    `reading` is the same for programs that only read, which need Landlock but not seccomp.
    """

    landlock: str | None
    bubblewrap: str | None
    reading: str | None

    def choose(self, wanted: Wanted) -> Tier | None:
        """Return the configured tier, for `auto` the strongest one available; None if it is unavailable."""
        if wanted == "none":
            return "none"
        if wanted in ("auto", "bwrap") and self.bubblewrap is None:
            return "bwrap"
        if wanted in ("auto", "landlock") and self.landlock is None:
            return "landlock"
        return None

    def choose_for_reading(self, wanted: Wanted) -> Tier | None:
        """Return the tier for a program that only reads: the cheapest one, since such programs are many and short."""
        if wanted != "none" and self.reading is None:
            return "landlock"
        return self.choose(wanted)

    def why_not(self, wanted: Wanted) -> str:
        """Return why the configured tier is unavailable."""
        reasons = {"landlock": self.landlock, "bwrap": self.bubblewrap}
        told = [f"{name}: {reason}" for name, reason in reasons.items() if reason and wanted in ("auto", name)]
        return "; ".join(told)


Find = Callable[[], Findings]
"""Detects the tiers that the machine offers."""


@cache
def find() -> Findings:
    """Detect the tiers that this machine offers; cached, takes some milliseconds."""
    reading = _landlock_problem()
    return Findings(reading or _seccomp_problem(), _bubblewrap_problem(), reading)


def require(wanted: Wanted, find: Find) -> Tier:
    """Return the tier for a command.

    Raises:
        OutOfReach: the configured tier is not available.
    """
    return "none" if wanted == "none" else _there(find().choose(wanted), wanted, find)


def require_for_reading(wanted: Wanted, find: Find) -> Tier:
    """Return the tier for a program that only reads.

    Raises:
        OutOfReach: the configured tier is not available.
    """
    return "none" if wanted == "none" else _there(find().choose_for_reading(wanted), wanted, find)


def _there(tier: Tier | None, wanted: Wanted, find: Find) -> Tier:
    if tier is None:
        raise OutOfReach(
            f"No programs are run here, since the configured sandbox is not available ({find().why_not(wanted)}). "
            "`tfo-mcp doctor` shows what this machine offers; the setting is commands.sandbox",
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
