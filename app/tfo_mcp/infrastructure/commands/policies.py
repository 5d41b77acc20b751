"""The policies of commands: what the sandbox lets one command reach, from the settings and from what lies where.

Owns the environment and the directories of a command, and the covers over the server's own files. Starts nothing.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfo_mcp.infrastructure.commands.permission import Permission
from tfo_mcp.infrastructure.linux import landlock, seccomp
from tfo_mcp.infrastructure.sandbox.cover_plan import Trees
from tfo_mcp.infrastructure.sandbox.policy import Cover, Limits, Place, Policy
from tfo_mcp.infrastructure.sandbox.protected import Protected, path_of
from tfo_mcp.infrastructure.sandbox.protected_place import is_beneath
from tfo_mcp.infrastructure.sandbox.temporary import TemporaryDirectory
from tfo_mcp.infrastructure.sandbox.tiers import Tier, Wanted
from tfo_mcp.infrastructure.sandbox.visible_paths import system_places

_ALWAYS_PASSED_ON = frozenset({"LANG", "LC_ALL", "TERM", "TZ"})

Roots = Callable[[], Sequence[tuple[int, str, bool]]]
"""Gives the roots: descriptors that stay open, absolute paths, and whether they are only read."""


@dataclass(frozen=True, slots=True)
class CommandRights:
    """What commands may do.

    `sandbox` is the wanted tier; `readable` are paths beside the system set; `environment` names variables of the
    server's that commands get; `network` is whether they have the internet's sockets; `permission` says which may be
    run.
    """

    sandbox: Wanted
    readable: Sequence[Path]
    environment: Sequence[str]
    network: bool
    permission: Permission


class Policies:
    """Makes the policy of each command.

    Args:
        environment: where the variables that commands get are taken from.
        protected: what no command may reach, wherever it lies; in the tier `none` nothing holds it.
    """

    def __init__(
        self,
        roots: Roots,
        rights: CommandRights,
        limits: Limits,
        environment: Mapping[str, str],
        protected: Protected,
    ) -> None:
        self._roots = roots
        self._rights = rights
        self._limits = limits
        self._environment = environment
        self._protected = protected

    def covers(self, tier: Tier) -> tuple[tuple[Cover, ...], Sequence[str]]:
        """Return what is covered for a command, and the settings that it comes from.

        Raises:
            OutOfReach: something cannot be covered.
        """
        if tier == "none":
            return (), ()
        roots = [(path_of(descriptor), path, read_only) for descriptor, path, read_only in self._roots()]
        trees = Trees(
            [real for real, _, _ in roots],
            [real for real, _, read_only in roots if not read_only],
            [os.path.realpath(path) for path in self._rights.readable],
        )
        plan = self._protected.plan(trees)
        covers = plan.result()
        if tier == "bwrap":  # where a root is at the path by which it was named, too
            covers += tuple(
                Cover(path + cover.path[len(real) :], cover.kind)
                for real, path, _ in roots
                for cover in covers
                if path != real and is_beneath(cover.path, real)
            )
        return covers, tuple(plan.settings)

    def policy(
        self,
        argv: Sequence[str],
        directory: int,
        temporary: TemporaryDirectory,
        tier: Tier,
        covers: tuple[Cover, ...],
    ) -> Policy:
        """Return the policy of a command that starts in an open directory."""
        roots = self._roots()
        if tier == "bwrap":
            real = {path_of(descriptor): (descriptor, read_only) for descriptor, _, read_only in roots}
            named = {path: (descriptor, read_only) for descriptor, path, read_only in roots}
            roots = [(descriptor, path, read_only) for path, (descriptor, read_only) in {**named, **real}.items()]
        writable = [Place(path, descriptor) for descriptor, path, read_only in roots if not read_only]
        readable = [Place(path, descriptor) for descriptor, path, read_only in roots if read_only]
        readable += [Place(os.path.abspath(path)) for path in self._rights.readable]
        is_confined = tier != "none"
        abi = landlock.abi()
        return Policy(
            argv=tuple(argv),
            environment=self._variables(temporary.path),
            directory=Place(os.readlink(f"/proc/self/fd/{directory}") if tier == "bwrap" else "", directory),
            writable=(*writable, Place(temporary.path)),
            readable=(*system_places(), *readable),
            network=self._rights.network,
            limits=self._limits,
            landlock_abi=abi if is_confined and abi >= landlock.LEAST_ABI else 0,
            filtered=is_confined and seccomp.available(),
            temporary=temporary.path,
            lock=temporary.lock,
            covers=covers,
        )

    def _variables(self, temporary: str) -> dict[str, str]:
        wanted = _ALWAYS_PASSED_ON.union(self._rights.environment)
        passed_on = {
            name: value for name, value in self._environment.items() if name in wanted or name.startswith("LC_")
        }
        own = {"PATH": self._environment.get("PATH") or os.defpath, "HOME": temporary, "TMPDIR": temporary}
        return own | passed_on
