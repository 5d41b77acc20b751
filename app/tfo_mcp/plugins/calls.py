"""Calls of a plugin's functions: in the event loop or in a worker thread, and whatever they raise ends their own call.

A function may raise what ends a process, a task or a generator, cancel its own task, or go on after it was cancelled.
Here each of these becomes an ordinary exception or the end of the function. Knows no tool, resource or prompt.
"""

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import suppress
from math import inf
from time import monotonic
from typing import Any, Generic, NoReturn, TypeVar

import anyio

from tfo_mcp.application.context import CANCEL_GRACE_SECONDS, RequestContext
from tfo_mcp.domain.errors import DomainError, InvalidDefinition, Kind
from tfo_mcp.domain.failures import summary
from tfo_mcp.domain.interaction import InputRequired, Question

ResultT = TypeVar("ResultT")
_MAX_SWALLOWED = 100  # cancellations, of a scope that repeats them without end


class FunctionFailed(Exception):
    """A plugin's function failed in a way that is not for the client; what it raised is the cause."""


async def call_in_thread(work: Callable[[], ResultT], request: RequestContext) -> ResultT:
    """Return what a plain function returns; it runs in a worker thread, in the turn of the call's account.

    Raises:
        FunctionFailed: it raised what means something else to a coroutine, or it returned a coroutine.
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
        raise FunctionFailed("a plain function returned a coroutine: define it by async def")
    return result  # type: ignore[return-value]


def raise_failure(problem: BaseException, request: RequestContext) -> NoReturn:
    """Raise what a call ends with whose function has raised `problem`.

    Raises:
        DomainError: it is for the client.
        InputRequired: the function asks.
        CancelledError: the server has cancelled the call.
        Exception: everything else, which is for the log.
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
    """Return whether the server has cancelled the call, as opposed to its function."""
    return request.cancelled or anyio.current_effective_deadline() == -inf


def _is_for_clients(problem: DomainError) -> bool:
    """Return whether an error can be shown; a subclass of a plugin's may lack what every error has."""
    try:
        is_whole = isinstance(problem.message, str) and isinstance(problem.kind, Kind)
        return is_whole and isinstance(problem.details, Mapping) and not isinstance(problem, InvalidDefinition)
    except BaseException:
        return False


def _questions_of(group: BaseExceptionGroup[Any]) -> Mapping[str, Question]:
    """Return the questions of a group that holds nothing else, as task groups raise it; none for other groups."""
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
    """Awaits a plugin's coroutine, and abandons it when it does not end although its call was cancelled.

    A cancellation is handed to the coroutine, which may clean up. Cancellations that come later than the grace period
    end it: it is never resumed. `close` of the coroutine lets its `finally` blocks run as far as they do not wait.
    """

    __slots__ = ("_request", "_work")

    def __init__(self, work: Coroutine[Any, Any, ResultT], request: RequestContext) -> None:
        self._work = work
        self._request = request

    def __await__(self) -> Generator[Any, Any, ResultT]:
        """Return the coroutine's result.

        Raises:
            FunctionFailed: it raised what may not leave it.
        """
        work, swallowed, deadline = self._work, 0, inf
        resume, value = work.send, None
        while True:
            try:
                waited = resume(value)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            except GeneratorExit as problem:
                raise _failed(problem) from None
            resume, value = work.send, None
            try:
                value = yield waited
            except GeneratorExit:
                self._abandon()  # nobody awaits this any more
                raise
            except BaseException as thrown:
                if isinstance(thrown, asyncio.CancelledError) and _is_cancelled(self._request):
                    deadline = min(deadline, monotonic() + CANCEL_GRACE_SECONDS)
                    swallowed += 1
                    if swallowed > _MAX_SWALLOWED or monotonic() >= deadline:
                        self._abandon()
                        raise
                resume, value = work.throw, thrown

    def _abandon(self) -> None:
        with suppress(BaseException):
            self._work.close()
