"""Policy: what one confined program may do, as plain data that the server sends to the supervisor as JSON.

Must not know how a policy is enforced.
"""

import json
from dataclasses import asdict
from typing import Literal

from tfo_mcp.value_objects import value_object


@value_object
class VisiblePath:
    """A directory or file: its path, or an inherited descriptor, which stays valid if the file is renamed."""

    path: str
    descriptor: int | None = None


CoverKind = Literal["hidden", "read-only", "fixed", "absent"]


@value_object
class Cover:
    """A resolved path that is protected from a program that may use the files around it.

    A `hidden` path can be neither read nor changed, a `read-only` path cannot be changed. A `fixed` directory, an
    ancestor of another cover, can be neither moved nor removed. At an `absent` path no file exists; a file that the
    program creates there is renamed afterwards.
    """

    path: str
    kind: CoverKind


@value_object
class ProgramLimits:
    """Limits of each process (CPU seconds, bytes of data memory, bytes of a file), and the total number of threads."""

    cpu_seconds: int
    memory_bytes: int
    file_bytes: int
    processes: int


@value_object
class Policy:
    """What a program may do, and its arguments, environment and working directory.

    `landlock_abi` is the ABI version to use, 0 for none; `filtered` is whether system calls are filtered. `temporary`
    is one of `writable`, and is removed with the program; a process that will remove it holds `lock`.
    """

    argv: tuple[str, ...]
    environment: dict[str, str]
    directory: VisiblePath
    writable: tuple[VisiblePath, ...]
    readable: tuple[VisiblePath, ...]
    network: bool
    limits: ProgramLimits
    landlock_abi: int
    filtered: bool
    temporary: str
    lock: int
    covers: tuple[Cover, ...] = ()

    def encode(self) -> bytes:
        """Return the policy as one line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> "Policy":
        """Return the policy of a line that `encode` made."""
        plain = json.loads(line)
        return cls(
            argv=tuple(plain["argv"]),
            environment=plain["environment"],
            directory=VisiblePath(**plain["directory"]),
            writable=tuple(VisiblePath(**place) for place in plain["writable"]),
            readable=tuple(VisiblePath(**place) for place in plain["readable"]),
            network=plain["network"],
            limits=ProgramLimits(**plain["limits"]),
            landlock_abi=plain["landlock_abi"],
            filtered=plain["filtered"],
            temporary=plain["temporary"],
            lock=plain["lock"],
            covers=tuple(Cover(**cover) for cover in plain["covers"]),
        )
