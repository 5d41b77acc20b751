"""Policy: what one confined program may do, as plain data that goes from the server to the supervisor as JSON."""

import json
from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Place:
    """A directory or file: by its path, or by an inherited descriptor, which no rename leads astray."""

    path: str
    descriptor: int | None = None


CoverKind = Literal["hidden", "read-only", "fixed", "absent"]


@dataclass(frozen=True, slots=True)
class Cover:
    """A path, links resolved, that is kept from a program which may use what is around it.

    What is `hidden` can be neither read nor changed, what is `read-only` not changed, and what is `fixed`, a directory
    on the way to another cover, neither moved nor removed. Nothing is at a path that is `absent`, and nothing stays.
    """

    path: str
    kind: CoverKind


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of every process (CPU seconds, bytes of memory, bytes of a file), and of the number of all together."""

    cpu_seconds: int
    memory_bytes: int
    file_bytes: int
    processes: int


@dataclass(frozen=True, slots=True)
class Policy:
    """What a program may do, and with what it starts.

    `landlock_abi` is the version to go by, 0 for none; `filtered` says whether system calls are filtered. `directory`
    is where the program starts, `temporary` one of `writable`, which goes with the program: `lock` is held as long as
    somebody is left who removes it.
    """

    argv: tuple[str, ...]
    environment: dict[str, str]
    directory: Place
    writable: tuple[Place, ...]
    readable: tuple[Place, ...]
    network: bool
    limits: Limits
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
        """Return the policy of such a line."""
        plain = json.loads(line)
        return cls(
            argv=tuple(plain["argv"]),
            environment=plain["environment"],
            directory=Place(**plain["directory"]),
            writable=tuple(Place(**place) for place in plain["writable"]),
            readable=tuple(Place(**place) for place in plain["readable"]),
            network=plain["network"],
            limits=Limits(**plain["limits"]),
            landlock_abi=plain["landlock_abi"],
            filtered=plain["filtered"],
            temporary=plain["temporary"],
            lock=plain["lock"],
            covers=tuple(Cover(**cover) for cover in plain["covers"]),
        )
