"""Tools, resources, prompts and completions that fail in every way that Python allows."""

import asyncio
import concurrent.futures
import contextlib
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn

import anyio
from pydantic import BaseModel, field_serializer, field_validator

from tfo_mcp.plugins import (
    Context,
    Elicit,
    Image,
    PromptMessage,
    SyncContext,
    Text,
    ToolError,
    ToolHints,
    ToolResult,
    prompt,
    resource,
    tool,
)

READ_ONLY = ToolHints(read_only=True)
SECRET = "secret-detail"


class Own(BaseException):
    """An exception of the plugin that derives from BaseException, not from Exception."""


class Mute(Exception):
    """An exception whose `str` and `repr` fail."""

    def __str__(self) -> str:
        raise SystemExit(SECRET)

    __repr__ = __str__


class NoText(Exception):
    """An exception whose `__str__` returns no string."""

    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307


class Unpicklable(Exception):
    """An exception that cannot be copied or pickled."""

    def __reduce__(self) -> NoReturn:
        raise SystemExit(SECRET)


class Hollow(ToolError):
    """A `ToolError` without its message."""

    def __init__(self) -> None:
        pass


def _deep(depth: int = 0) -> int:
    return _deep(depth + 1) + 1


def _nested() -> BaseException:
    problem: BaseException = ValueError(SECRET)
    for _ in range(5000):
        problem = BaseExceptionGroup("more", [problem])
    return problem


WAYS: Mapping[str, Callable[[], Any]] = {
    "exception": lambda: RuntimeError(SECRET),
    "system_exit": lambda: SystemExit(SECRET),
    "keyboard_interrupt": lambda: KeyboardInterrupt(SECRET),
    "generator_exit": lambda: GeneratorExit(SECRET),
    "base_exception": lambda: Own(SECRET),
    "cancelled": lambda: asyncio.CancelledError(SECRET),
    "cancelled_future": lambda: concurrent.futures.CancelledError(SECRET),
    "stop_iteration": lambda: StopIteration(SECRET),
    "stop_async_iteration": lambda: StopAsyncIteration(SECRET),
    "group": lambda: BaseExceptionGroup(SECRET, [SystemExit(SECRET), asyncio.CancelledError()]),
    "nested_group": _nested,
    "mute": Mute,
    "no_text": NoText,
    "huge": lambda: RuntimeError("x" * 100_000_000),
    "unpicklable": lambda: Unpicklable(SECRET),
    "surrogates": lambda: RuntimeError(f"{SECRET} \ud800"),
    "memory": lambda: MemoryError(SECRET),
    "hollow": Hollow,
}


def fail(way: str) -> NoReturn:
    """Fail in one of the `WAYS`, by recursion or by `sys.exit`."""
    if way == "recursion":
        _deep()
    if way == "exit":
        sys.exit(SECRET)
    raise WAYS[way]()


@tool(hints=READ_ONLY)
def fails_in_a_thread(way: str) -> str:
    """Fail in a worker thread."""
    fail(way)


@tool(hints=READ_ONLY)
async def fails_at_once(way: str) -> str:
    """Fail in the event loop before the first await."""
    fail(way)


@tool(hints=READ_ONLY)
async def fails_later(way: str) -> str:
    """Fail in the event loop after an await."""
    await asyncio.sleep(0)
    fail(way)


@tool(hints=READ_ONLY)
async def fails_in_a_task(way: str) -> str:
    """Fail in a task of its own."""

    async def work() -> str:
        await asyncio.sleep(0)
        fail(way)

    return str(await asyncio.gather(work(), work()))


@tool(hints=READ_ONLY)
async def fails_in_a_group(way: str) -> str:
    """Fail in a task group."""

    async def work() -> None:
        fail(way)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
    return "not reached"


@tool(hints=READ_ONLY)
async def fails_after_asking(way: str, ctx: Context) -> str:
    """Fail after the client has answered a question."""
    await ctx.ask(Elicit("Go on?", {"type": "object", "properties": {}}), key="go")
    fail(way)


@tool(hints=READ_ONLY)
def fails_after_asking_in_a_thread(way: str, ctx: SyncContext) -> str:
    """Fail in a worker thread after the client has answered a question."""
    ctx.ask(Elicit("Go on?", {"type": "object", "properties": {}}), key="go")
    fail(way)


@tool(hints=READ_ONLY)
async def asks_in_a_group(ctx: Context) -> str:
    """Ask from a task group."""

    async def ask() -> None:
        await ctx.ask(Elicit("Go on?", {"type": "object", "properties": {}}), key="go")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
    return "asked"


class Refusing(BaseModel):
    """An argument whose validation fails in a chosen way."""

    value: str

    @field_validator("value")
    @classmethod
    def check(cls, value: str) -> str:
        """Fail."""
        fail(value)


class Unshowable(BaseModel):
    """A result whose serialization fails in a chosen way."""

    value: str

    @field_serializer("value")
    def show(self, value: str) -> str:
        """Fail."""
        fail(value)


@tool(hints=READ_ONLY)
async def fails_in_its_arguments(argument: Refusing) -> str:
    """Fail in the validation of the argument."""
    return argument.value


@tool(hints=READ_ONLY)
async def fails_in_its_result(way: str) -> Unshowable:
    """Fail in the serialization of the result."""
    return Unshowable(value=way)


def _numbers() -> Iterator[int]:
    yield 1
    fail("system_exit")


@tool(hints=READ_ONLY)
def returns(what: str) -> Any:
    """Return a value that cannot be sent."""

    async def work() -> str:
        return "work"

    values: Mapping[str, Callable[[], Any]] = {
        "coroutine": work,
        "generator": _numbers,
        "object": object,
        "surrogates": lambda: "\ud800",
        "surrogates within": lambda: {"name \udcff": ["\ud800"]},
        "text": lambda: Text(5),  # type: ignore[arg-type]
        "image": lambda: Image("no bytes", "image/png"),  # type: ignore[arg-type]
        "result": lambda: ToolResult(content=5, structured=object()),  # type: ignore[arg-type]
    }
    return values[what]()


@tool(hints=READ_ONLY, output_schema={"type": "object", "required": ["right"]})
def returns_another_shape() -> dict[str, str]:
    """Return a value that does not match the output schema."""
    return {"wrong": SECRET}


@tool(hints=READ_ONLY)
def refuses_with_surrogates() -> str:
    """Raise a `ToolError` whose message is not valid Unicode."""
    raise ToolError("the file \udcff is missing")


@tool(hints=READ_ONLY)
async def cancels_itself(waits: bool) -> str:
    """Cancel the task that runs this tool, and go on regardless."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    if waits:
        await asyncio.sleep(0)
    return "went on"


@tool(hints=READ_ONLY)
async def starts_a_task(way: str) -> str:
    """Start a task that fails after the result was returned."""

    async def work() -> None:
        await asyncio.sleep(0.05)
        fail(way)

    tasks.append(asyncio.create_task(work()))
    asyncio.get_running_loop().call_soon(fail, way)
    return "started"


tasks: list[asyncio.Task[None]] = []


@tool(hints=READ_ONLY)
def starts_a_thread(way: str) -> str:
    """Start a thread that fails, and issue a warning."""
    thread = threading.Thread(target=fail, args=(way,))
    thread.start()
    thread.join()
    warnings.warn("a warning of a plugin", stacklevel=1)
    return "started"


@tool(hints=READ_ONLY)
async def stubborn(kind: str) -> str:
    """Suppress cancellation: once, or for ever."""
    while True:
        if kind == "once":
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
            return "went on"
        with contextlib.suppress(BaseException):
            await asyncio.sleep(3600)


@tool(hints=READ_ONLY)
def stubborn_thread() -> str:
    """Block a worker thread for a minute and ignore cancellation."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.05)
    return "went on"


@tool(hints=READ_ONLY)
async def impatient(times: int) -> str:
    """Wait for something that does not happen, with a time limit of its own, again and again."""
    for _ in range(times):
        with anyio.move_on_after(0.001):
            await anyio.sleep_forever()
    return "waited"


@tool(hints=READ_ONLY)
async def slow_after_timeout(seconds: float) -> str:
    """Use up a short time limit of its own, and then a long one, cleaning up after both."""
    for limit in (0.001, seconds):
        with anyio.move_on_after(limit):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.sleep_forever)
    return "waited"


@resource("failing://{way}/thread")
def failing_resource(way: str) -> str:
    """Fail in a worker thread."""
    fail(way)


@resource("failing://{way}/async")
async def failing_resource_async(way: str) -> str:
    """Fail in the event loop."""
    await asyncio.sleep(0)
    fail(way)


@resource("refusing://hollow")
def refusing_resource() -> str:
    """Raise a `ToolError` with details that are not serializable as JSON."""
    raise ToolError("refused \udcff", thing=object())


def complete_in_thread(typed: str, others: Mapping[str, str]) -> Iterable[str]:
    """Fail in a worker thread."""
    fail(typed)


async def complete_async(typed: str, others: Mapping[str, str]) -> Iterable[str]:
    """Fail in the event loop."""
    await asyncio.sleep(0)
    fail(typed)


def complete_lazily(typed: str, others: Mapping[str, str]) -> Iterable[str]:
    """Fail, or never end, while the suggestions are iterated."""
    number = 0
    while True:
        yield f"{typed}{number}"
        number += 1
        if typed != "endless":
            fail(typed)


async def complete_lazily_async(typed: str, others: Mapping[str, str]) -> Iterable[str]:
    """Fail, or never end, while the suggestions are iterated."""
    return complete_lazily(typed, others)


@prompt(
    complete={
        "way": complete_in_thread,
        "second": complete_async,
        "third": complete_lazily,
        "fourth": complete_lazily_async,
    }
)
def failing_prompt(way: str, second: str = "", third: str = "", fourth: str = "") -> list[PromptMessage]:
    """Fail in a worker thread."""
    fail(way)


@prompt()
async def failing_prompt_async(way: str) -> list[PromptMessage]:
    """Fail in the event loop."""
    await asyncio.sleep(0)
    fail(way)
