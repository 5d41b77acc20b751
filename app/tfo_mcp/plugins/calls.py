"""Runs plugin functions in the event loop or in a worker thread, and isolates the server from their failures.

A function may raise SystemExit or GeneratorExit, cancel its own task, or ignore cancellation. This module turns each of
these into an ordinary exception of that call, or abandons the function. Knows no tool, resource or prompt.
"""

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import suppress
from math import inf
from time import monotonic
from typing import Any, Generic, NoReturn, TypeVar

import anyio
import structlog

from tfo_mcp.application.context import CANCEL_GRACE_SECONDS, RequestContext
from tfo_mcp.domain.errors import DomainError, InvalidDefinition, Kind
from tfo_mcp.domain.failures import summary
from tfo_mcp.domain.interaction import InputRequired, Question

ResultT = TypeVar("ResultT")
_log = structlog.get_logger("tfo_mcp.plugins")
_BLOCKED_SECONDS = 1.0  # without an await
_MAX_SWALLOWED = 100  # cancellations; a cancel scope repeats them until the function ends


class FunctionFailed(Exception):
    """A plugin function failed with an error that clients must not see; `__cause__` is the original exception."""


async def call_in_thread(work: Callable[[], ResultT], request: RequestContext) -> ResultT:
    """Run a plain function in a worker thread, fairly by account, and return its result.

    Raises:
        FunctionFailed: the function raised an exception that controls coroutines, or returned a coroutine.
    """

    def run() -> tuple[ResultT | None, BaseException | None]:
        try:
            return work(), None
        except BaseException as problem:
            return None, problem

    result, problem = await request.services.threads.run(run)
    if isinstance(problem, GeneratorExit | StopIteration | asyncio.CancelledError):
        raise _failed(problem)
    if problem is not None:
        raise problem
    if inspect.iscoroutine(result):
        result.close()
        raise FunctionFailed("a plain function returned a coroutine: define it with async def")
    return result  # type: ignore[return-value]


def raise_failure(problem: BaseException, request: RequestContext) -> NoReturn:
    """Raise the exception that a call ends with after its function raised `problem`.

    Raises:
        DomainError: an error to show to the client.
        InputRequired: the function needs input from the client.
        CancelledError: the server has cancelled the call.
        Exception: any other error, which is only logged.
    """
    match problem:
        case FunctionFailed() | InputRequired() | GeneratorExit():
            raise problem
        case DomainError():
            raise problem if _is_for_clients(problem) else _failed(problem)
        case asyncio.CancelledError():
            raise problem if _is_cancelled(request) else _failed(problem)
        case BaseExceptionGroup() if questions := _questions_of(problem):
            raise InputRequired(questions)
        case Exception() if not isinstance(problem, StopIteration):
            raise problem
        case _:
            raise _failed(problem)


def _failed(problem: BaseException) -> FunctionFailed:
    failure = FunctionFailed(f"a plugin's function raised {summary(problem)}")
    failure.__cause__ = problem
    return failure


def _is_cancelled(request: RequestContext) -> bool:
    """Return whether the server, and not the function, has cancelled a call whose function has ended."""
    return request.cancelled or anyio.current_effective_deadline() == -inf


def _is_for_clients(problem: DomainError) -> bool:
    """Return whether an error may be shown to clients; a plugin's subclass may lack the required attributes."""
    try:
        is_whole = isinstance(problem.message, str) and isinstance(problem.kind, Kind)
        return is_whole and isinstance(problem.details, Mapping) and not isinstance(problem, InvalidDefinition)
    except BaseException:
        return False


def _questions_of(group: BaseExceptionGroup[Any]) -> Mapping[str, Question]:
    """Return the questions of an exception group that contains only InputRequired; empty for other groups."""
    questions: dict[str, Question] = {}
    pending: list[BaseException] = [group]
    while pending:
        match pending.pop():
            case InputRequired() as need:
                questions.update(need.questions)
            case BaseExceptionGroup() as inner:
                pending += inner.exceptions
            case _:
                return {}
    return questions


class AsyncCall(Generic[ResultT]):
    """Awaits a plugin's coroutine, and abandons it if it ignores the cancellation of its call.

    Cancellations are passed to the coroutine, which may clean up. After the grace period the next cancellation abandons
    it: it is closed and never resumed. On close its `finally` blocks run until they await something. A step that
    blocks the event loop for more than a second is logged with the name of its `owner`.
    """

    __slots__ = ("_owner", "_request", "_work")

    def __init__(self, work: Coroutine[Any, Any, ResultT], request: RequestContext, owner: str) -> None:
        self._work = work
        self._request = request
        self._owner = owner

    def __await__(self) -> Generator[Any, Any, ResultT]:
        """Return the coroutine's result.

        Raises:
            FunctionFailed: the coroutine raised GeneratorExit.
        """
        work, swallowed, deadline = self._work, 0, inf
        resume, value = work.send, None
        while True:
            began = monotonic()
            try:
                waited = resume(value)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            except GeneratorExit as problem:
                raise _failed(problem) from None
            finally:
                if monotonic() - began > _BLOCKED_SECONDS:
                    self._report_blocking(monotonic() - began)
            resume, value = work.send, None
            try:
                value = yield waited
            except GeneratorExit:
                self._abandon()  # the awaiting coroutine was closed
                raise
            except BaseException as thrown:
                # a cancellation may also be that of a time limit or a task group of the function itself
                if isinstance(thrown, asyncio.CancelledError) and self._request.cancelled:
                    deadline = min(deadline, monotonic() + CANCEL_GRACE_SECONDS)
                    swallowed += 1
                    if swallowed > _MAX_SWALLOWED or monotonic() >= deadline:
                        self._abandon()
                        raise
                resume, value = work.throw, thrown

    def _report_blocking(self, seconds: float) -> None:
        _log.warning(
            "a function blocked every other call: use a plain function, or ctx.in_thread",
            function=self._owner,
            seconds=round(seconds, 1),
        )

    def _abandon(self) -> None:
        with suppress(BaseException):
            self._work.close()
