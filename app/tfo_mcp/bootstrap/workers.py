"""Workers: how many processes serve, and what they share although each composes a server of its own.

The parent makes this before it forks. Without it, a secret that is not set would differ from worker to worker.
"""

import os
from dataclasses import field
from math import ceil
from pathlib import Path
from secrets import token_bytes, token_hex

from tfo_mcp.infrastructure.config import ConfigurationError, Settings
from tfo_mcp.infrastructure.workers.scoreboard import Scoreboard, WorkerPlace
from tfo_mcp.value_objects import value_object

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container
_NETWORK = ("http", "websocket", "sse")


@value_object
class ServerSecrets:
    """The secrets that all processes of a server need: as configured, or random.

    `sealing_key` signs `requestState`; `hashing_key` keys the digests of the audit log.
    """

    sealing_key: str = field(default_factory=lambda: token_hex(32), repr=False)
    hashing_key: bytes = field(default_factory=lambda: token_bytes(32), repr=False)

    @classmethod
    def of(cls, settings: Settings) -> "ServerSecrets":
        """Return the secrets of the settings, and random ones for those that are not set."""
        given, key, pepper = cls(), settings.mcp.state_key, settings.security.key_pepper
        return cls(
            given.sealing_key if key is None else key.get_secret_value(),
            given.hashing_key if pepper is None else pepper.get_secret_value().encode(),
        )


@value_object
class Worker:
    """What one worker process has from its parent."""

    place: WorkerPlace
    secrets: ServerSecrets


class WorkerShare:
    """What the workers of one server share."""

    def __init__(self, settings: Settings, count: int) -> None:
        self.scoreboard = Scoreboard(count)
        self._secrets = ServerSecrets.of(settings)

    def worker(self, place: int) -> Worker:
        """Return what the worker in a place has from its parent; to be called in its process."""
        return Worker(self.scoreboard.place(place), self._secrets)


def worker_count(settings: Settings) -> int:
    """Return the number of processes that serve.

    Raises:
        ConfigurationError: several cannot serve what the settings ask for.
    """
    section, wanted = settings.server, settings.server.workers
    if section.transport == "stdio":
        return 1  # its one client has the pipes of one process
    count = _processors() if wanted == "auto" else wanted
    if count == 1:
        return 1
    problems = []
    if section.transport not in _NETWORK:
        problems.append(f"the transport {section.transport} is served by one process: set server.workers to 1")
    if settings.state.is_memory:
        problems.append("they share sessions and limits through Redis: set state.url, or server.workers to 1")
    if problems:
        raise ConfigurationError(tuple(f"server.workers: {count} processes: {problem}" for problem in problems))
    return count


def _processors() -> int:
    """Return the number of processors that this process may use, rounded up."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text(encoding="ascii").split()
        return max(1, min(usable, ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no container, or `max`: no limit
        return usable
