"""The cores of the servers and of the load generator.

Every server is pinned to one core and the generator to another, so that the figures are those of one core and the
generator does not reduce them. With a single core both share it, and the report says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the server under test and the core of the generator."""

    server: int
    generator: int

    @property
    def apart(self) -> bool:
        """Whether the generator has a core of its own."""
        return self.server != self.generator

    def pin_generator(self) -> None:
        """Pin this process."""
        os.sched_setaffinity(0, {self.generator})

    @contextmanager
    def starting_server(self, *, all_cores: bool = False) -> Iterator[None]:
        """Pin processes that are started inside the block to the server's core, or let them use both."""
        os.sched_setaffinity(0, {self.server, self.generator} if all_cores else {self.server})
        try:
            yield
        finally:
            self.pin_generator()


def choose_cores() -> Cores:
    """Two of the usable cores, or the same one twice if there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(server=usable[-1], generator=usable[0])
