"""Unit of work: loads an aggregate, changes it, and stores it with its events, again after a lost race. Knows no store.

Stores compare versions instead of holding locks: `put` raises Conflict if another request or process has stored the
aggregate since it was loaded, and has then changed nothing. A store in a database writes the aggregate and its events
in one transaction.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tfo_mcp.domain.errors import Conflict

ResultT = TypeVar("ResultT")
ATTEMPTS = 32
"""How often a unit of work is tried: each lost race is a success of another one."""


async def unit_of_work(work: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Return the result of `work`, which loads an aggregate, changes it and stores it; repeat it after a lost race.

    Raises:
        Conflict: every attempt lost.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return await work()
        except Conflict:
            continue
    return await work()
