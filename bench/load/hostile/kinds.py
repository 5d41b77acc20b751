"""The description of a kind of attack: the attack, its settings, and what is measured besides pings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from bench.load.hostile.target import Target

Attack = Callable[[Target], None]
"""Runs in a separate process until the time of the target is over; module-level, so that it can be pickled."""

Settings = Mapping[str, Mapping[str, Any]]

IDLE_SOON: Settings = {"mcp": {"session_idle_seconds": 10}}
"""For kinds whose sessions outlive the client, so that they end within the campaign."""


class Watch(StrEnum):
    """What is measured besides memory and the pings of another client."""

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
    """Creates files in the root."""
    watches: frozenset[Watch] = frozenset()
    seconds: float = 4.0
    back_seconds: float = 15.0
    """Maximum time until the memory is back, in seconds."""
    with_key: bool = False
    """Whether callers need a key; the hostile client then has a valid key for read-only tools."""
    elsewhere: bool = False
    """Whether the attack also runs from another address than that of local programs."""


@dataclass(frozen=True, slots=True)
class StopKind:
    """One kind of attack during which the server gets SIGTERM."""

    name: str
    title: str
    note: str
    attack: Attack
    prepare: Callable[[Path], None] | None = None
    seconds: float = 3.0
