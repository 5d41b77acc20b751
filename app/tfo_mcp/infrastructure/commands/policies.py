"""Builds the sandbox policy of each command from the settings and the served roots.

Owns the environment variables and directories of a command, and the covers over the server's own files. Must not start
programs.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tfo_mcp.infrastructure.commands.permission import Permission
from tfo_mcp.infrastructure.linux import landlock, seccomp
from tfo_mcp.infrastructure.sandbox.cover_plan import Trees
from tfo_mcp.infrastructure.sandbox.policy import Cover, Policy, ProgramLimits, VisiblePath
from tfo_mcp.infrastructure.sandbox.protected import Protected, path_of
from tfo_mcp.infrastructure.sandbox.protected_place import is_beneath
from tfo_mcp.infrastructure.sandbox.temporary import TemporaryDirectory
from tfo_mcp.infrastructure.sandbox.tiers import Tier, Wanted
from tfo_mcp.infrastructure.sandbox.visible_paths import system_places
from tfo_mcp.value_objects import value_object

_ALWAYS_PASSED_ON = frozenset({"LANG", "LC_ALL", "TERM", "TZ"})

Roots = Callable[[], Sequence[tuple[int, str, bool]]]
"""Returns the roots: descriptors, which the callee owns, absolute paths, and whether they are read-only."""


@value_object
class CommandRights:
    """What commands may do.

    `sandbox` is the configured tier. `readable` are paths that commands may read in addition to the system paths.
    `environment` are names of variables that commands inherit from the server. `network` is whether they may use
    internet sockets. `permission` decides which commands are allowed.
    """

    sandbox: Wanted
    readable: Sequence[Path]
    environment: Sequence[str]
    network: bool
    permission: Permission


class Policies:
    """Builds the policy of each command.

    Args:
        environment: the variables that commands may inherit.
        protected: files that no command may access, wherever they lie; not enforced in the tier `none`.
    """

    def __init__(
        self,
        roots: Roots,
        rights: CommandRights,
        limits: ProgramLimits,
        environment: Mapping[str, str],
        protected: Protected,
    ) -> None:
        self._roots = roots
        self._rights = rights
        self._limits = limits
        self._environment = environment
        self._protected = protected

    def covers(self, tier: Tier) -> tuple[tuple[Cover, ...], Sequence[str]]:
        """Return the covers of a command, and the settings that require them.

        Raises:
            OutOfReach: a protected file cannot be covered.
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
        if tier == "bwrap":  # which mounts a root at its configured path, too
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
        """Return the policy of a command whose working directory is the descriptor `directory`."""
        roots = self._roots()
        if tier == "bwrap":
            real = {path_of(descriptor): (descriptor, read_only) for descriptor, _, read_only in roots}
            named = {path: (descriptor, read_only) for descriptor, path, read_only in roots}
            roots = [(descriptor, path, read_only) for path, (descriptor, read_only) in {**named, **real}.items()]
        writable = [VisiblePath(path, descriptor) for descriptor, path, read_only in roots if not read_only]
        readable = [VisiblePath(path, descriptor) for descriptor, path, read_only in roots if read_only]
        readable += [VisiblePath(os.path.abspath(path)) for path in self._rights.readable]
        is_confined = tier != "none"
        abi = landlock.abi()
        return Policy(
            argv=tuple(argv),
            environment=self._variables(temporary.path),
            directory=VisiblePath(os.readlink(f"/proc/self/fd/{directory}") if tier == "bwrap" else "", directory),
            writable=(*writable, VisiblePath(temporary.path)),
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
