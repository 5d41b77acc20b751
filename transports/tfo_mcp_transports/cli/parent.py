"""The parent process: notices its end, which closes no pipe that another process has inherited as well."""

import os
from collections.abc import Callable

import anyio

_LOOK_SECONDS = 1.0
_INIT = 1


async def end_with_parent(end: Callable[[], None]) -> None:
    """Call `end` once the process that started this one is gone; until cancelled if that was the first process."""
    parent = os.getppid()
    while True:
        await anyio.sleep(_LOOK_SECONDS)
        if os.getppid() != parent != _INIT:
            end()
            return
