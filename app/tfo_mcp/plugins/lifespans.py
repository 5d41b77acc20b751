"""Lifespans: what plugins open before the first call and close after the last, such as pools and clients.

`@lifespan` marks an async generator function: the part before its `yield` runs at the start, the part after it at the
end. All of them run in one task, in the order of the plugins, and end in the reverse order.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import ModuleType
from typing import TypeVar

import structlog

from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.domain.failures import summary

Lifespan = Callable[[], AsyncIterator[None]]
LifespanT = TypeVar("LifespanT", bound=Lifespan)
_MARK = "__tfo_mcp_lifespan__"
_START_SECONDS, _END_SECONDS = 30.0, 5.0
_log = structlog.get_logger("tfo_mcp.plugins")


class LifespanError(Exception):
    """A lifespan cannot begin; the message names it and says why."""


def lifespan(function: LifespanT) -> LifespanT:
    """Mark an async generator function without parameters and with one `yield`; a reload runs it again.

    Raises:
        InvalidDefinition: at import, for any other function.
    """
    name = getattr(function, "__qualname__", repr(function))
    checked: object = function
    if not inspect.isasyncgenfunction(checked) or inspect.signature(function).parameters:
        raise InvalidDefinition(f"Lifespan {name}: write async def {name}(): with one yield and no parameters")
    setattr(function, _MARK, True)
    return function


def lifespans_in(modules: Iterable[ModuleType]) -> tuple[Lifespan, ...]:
    """Return the marked functions of modules, each once."""
    values = [value for module in modules for value in vars(module).values() if inspect.isasyncgenfunction(value)]
    return tuple(dict.fromkeys(value for value in values if getattr(value, _MARK, False)))


class Lifespans:
    """Runs lifespans from `start` until `aclose`."""

    def __init__(self, functions: Sequence[Lifespan]) -> None:
        self._functions = functions
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Run each lifespan to its `yield`; a no-op after the first time.

        Raises:
            LifespanError: one fails or takes longer than 30 seconds; those before it have ended again.
        """
        if self._task is not None or not self._functions:
            return
        begun = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(begun))
        try:
            async with asyncio.timeout(_START_SECONDS):
                await begun
        except TimeoutError:
            await self.aclose()
            raise LifespanError(f"A lifespan has not reached its yield within {_START_SECONDS:g} seconds") from None

    async def aclose(self) -> None:
        """End the lifespans; those that have not ended after 5 seconds are cancelled."""
        self._ended.set()
        if self._task is not None:
            done, _ = await asyncio.wait([self._task], timeout=_END_SECONDS)
            if not done:
                self._task.cancel()
                await asyncio.wait([self._task], timeout=_END_SECONDS)

    async def _run(self, begun: "asyncio.Future[None]") -> None:
        failed: LifespanError | None = None
        try:
            async with AsyncExitStack() as stack:
                failed = await self._enter(stack)
                if failed is None:
                    begun.set_result(None)
                    await self._ended.wait()
        except Exception as problem:
            _log.error("a lifespan failed at its end", reason=summary(problem))
        if failed is not None and not begun.done():
            begun.set_exception(failed)

    async def _enter(self, stack: AsyncExitStack) -> LifespanError | None:
        """Run each lifespan to its `yield`; return the first failure, after which no other one begins."""
        for function in self._functions:
            try:
                await stack.enter_async_context(asynccontextmanager(function)())
            except Exception as problem:
                return LifespanError(f"Lifespan {function.__qualname__} failed: {summary(problem)}")
        return None
