"""Lifespans: what plugins open before the first call and close after the last, such as pools and clients.

`@lifespan` marks an async generator function: the part before its `yield` runs at the start, the part after it at the
end. All of them run in one task, in the order of the plugins, and end in the reverse order.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from types import ModuleType
from typing import Any, TypeVar, overload

import structlog
from anyio import CancelScope

from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.domain.failures import summary

Lifespan = Callable[[], AsyncIterator[None]]
LifespanT = TypeVar("LifespanT", bound=Lifespan)
_MARK = "__tfo_mcp_lifespan__"
_START_SECONDS, _END_SECONDS = 30.0, 5.0
_log = structlog.get_logger("tfo_mcp.plugins")


class LifespanError(Exception):
    """A lifespan cannot begin; the message names it and says why."""


@overload
def lifespan(function: LifespanT, /) -> LifespanT: ...
@overload
def lifespan() -> Callable[[LifespanT], LifespanT]: ...
def lifespan(*functions: Any) -> Any:
    """Mark an async generator function without parameters and with one `yield`; a reload runs it again.

    `@lifespan()` is the same as `@lifespan`.

    Raises:
        InvalidDefinition: at import, for any other function.
    """
    if not functions:
        return lifespan
    (function,) = functions
    name = getattr(function, "__qualname__", repr(function))
    if not inspect.isasyncgenfunction(function) or inspect.signature(function).parameters:
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
        self._beginning = ""

    async def start(self) -> None:
        """Run each lifespan to its `yield`; a no-op after the first time. Cancellation ends those that have begun.

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
        except BaseException as problem:
            with CancelScope(shield=True):
                if not isinstance(problem, LifespanError):
                    self._task.cancel()
                await self.aclose()
            if isinstance(problem, TimeoutError):
                reason = f"has not reached its yield within {_START_SECONDS:g} seconds"
                raise LifespanError(f"Lifespan {self._beginning} {reason}") from None
            raise

    async def aclose(self) -> None:
        """End the lifespans; those that have not ended after 5 seconds are cancelled."""
        self._ended.set()
        if self._task is not None:
            done, _ = await asyncio.wait([self._task], timeout=_END_SECONDS)
            if not done:
                self._task.cancel()
                await asyncio.wait([self._task], timeout=_END_SECONDS)

    async def _run(self, begun: "asyncio.Future[None]") -> None:
        entered: list[tuple[str, AbstractAsyncContextManager[None]]] = []
        failed = await self._enter(entered)
        if not begun.done():
            if failed is None:
                begun.set_result(None)
            else:
                begun.set_exception(failed)
        if failed is None:
            with suppress(asyncio.CancelledError):
                await self._ended.wait()
        for name, context in reversed(entered):
            try:
                await context.__aexit__(None, None, None)
            except BaseException as problem:  # the others must end as well
                _log.error("a lifespan failed at its end", lifespan=name, reason=summary(problem))

    async def _enter(self, entered: list[tuple[str, AbstractAsyncContextManager[None]]]) -> LifespanError | None:
        """Run each lifespan to its `yield`; return the first failure, after which no other one begins."""
        for function in self._functions:
            if self._ended.is_set():
                break
            self._beginning = function.__qualname__
            context = asynccontextmanager(function)()
            try:
                await context.__aenter__()
            except BaseException as problem:  # SystemExit and a cancellation of its own are failures as well
                return LifespanError(f"Lifespan {self._beginning} failed: {summary(problem)}")
            entered.append((self._beginning, context))
        return None
