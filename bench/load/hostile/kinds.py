"""What describes one kind of attack: the attack, the settings that it needs, and what is watched besides pings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from bench.load.hostile.target import Target

Attack = Callable[[Target], None]
"""Runs in a process of its own until the time of the target is over; a function of a module, so that it can be sent."""

Settings = Mapping[str, Mapping[str, Any]]

IDLE_SOON: Settings = {"mcp": {"session_idle_seconds": 10}}
"""For kinds whose sessions stay when the client has left, so that their end can be seen within the campaign."""


class Watch(StrEnum):
    """What is watched besides the pings of another client and the memory."""

    HEALTH = "GET /healthz on fresh connections has to be answered 200"
    FILES = "another client reads a small file"
    GOOD_KEY = "a caller with a good key calls from the address of the hostile client"
    AUDIT = "the growth of the audit log"
    PROCESSOR = "the processor time that is still used when the hostile client has left"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of attack on a running server."""

    name: str
    title: str
    note: str
    attack: Attack
    settings: Settings = field(default_factory=dict)
    prepare: Callable[[Path], None] | None = None
    """Makes the files beneath the root."""
    watches: frozenset[Watch] = frozenset()
    seconds: float = 4.0
    back_seconds: float = 15.0
    """How long memory may take to come back."""
    with_key: bool = False
    """Whether callers need a key; the hostile client then has a good key for tools that only read."""
    elsewhere: bool = False
    """Whether the attack is also run from another address than that of local programs."""


@dataclass(frozen=True, slots=True)
class StopKind:
    """One kind of load under which the server is told to stop."""

    name: str
    title: str
    note: str
    attack: Attack
    prepare: Callable[[Path], None] | None = None
    seconds: float = 3.0
