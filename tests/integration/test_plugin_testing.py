"""`tfo_mcp.testing.client`: plugins in memory, with their lifespans, questions, failures and refusals."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from tests.support.deadlines import PATIENCE
from tests.support.processes import PROJECT
from tfo_mcp.bootstrap import PluginError
from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.plugins import (
    Context,
    Elicit,
    Image,
    ListRoots,
    MissingScope,
    SyncContext,
    lifespan,
    prompt,
    resource,
    tool,
)
from tfo_mcp.testing import CallError, client

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def module(*values: Any) -> ModuleType:
    """Return a module with these attributes, which can be imported by its name."""
    made = ModuleType(f"plugin_{len(sys.modules)}")
    for number, value in enumerate(values):
        setattr(made, f"value_{number}", value)
    sys.modules[made.__name__] = made
    return made


@tool
def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


@tool
def divide(a: int, b: int) -> float:
    """Divide two numbers."""
    return a / b


@tool
def draw(count: int) -> list[Image]:
    """Draw."""
    return [Image(b"dot", "image/png")] * count


@tool
async def block() -> str:
    """Block the event loop."""
    time.sleep(1.05)
    return "done"


@prompt
def greet(name: str) -> str:
    """Greet."""
    return f"Greet {name}"


@resource("note://one")
def note() -> str:
    return "a note"


async def test_tools_resources_and_prompts_are_used_as_by_a_client() -> None:
    async with client(module(add, draw, greet, note)) as plugin:
        assert {"add", "draw", "echo"} <= {each["name"] for each in await plugin.tools()}
        assert (await plugin.call("add", a=1)).structured == {"result": 3}
        assert [block["type"] for block in (await plugin.call("draw", count=2)).content] == ["image", "image"]
        assert (await plugin.read("note://one"), "note://one") in {
            ("a note", each["uri"]) for each in await plugin.resources()
        }
        assert (await plugin.prompt("greet", name="Ada"))[0]["content"]["text"] == "Greet Ada"
        assert "greet" in {each["name"] for each in await plugin.prompts()}
        assert (await plugin.call("add", a="x")).is_error
        with pytest.raises(CallError, match="nowhere"):
            await plugin.call("nowhere")


async def test_a_failure_shows_the_traceback_of_the_function_alone() -> None:
    async with client(module(divide)) as plugin:
        failed = await plugin.call("divide", a=1, b=0)
    assert failed.is_error
    assert "return a / b" in failed.text
    assert failed.text.endswith("ZeroDivisionError: division by zero")
    assert "/tfo_mcp/" not in failed.text


@resource("note://broken")
def broken_note() -> str:
    return str(1 / 0)


@prompt
def broken_prompt() -> str:
    """Fail."""
    return str(1 / 0)


async def test_failures_of_resources_and_prompts_show_it_as_well() -> None:
    async with client(module(broken_note, broken_prompt)) as plugin:
        for request in (plugin.read("note://broken"), plugin.prompt("broken_prompt")):
            with pytest.raises(CallError) as failed:
                await request
            assert "return str(1 / 0)" in str(failed.value)
            assert "ZeroDivisionError" in str(failed.value)


def test_nothing_but_warnings_is_logged_and_not_to_standard_output(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from tfo_mcp.plugins import tool\n@tool\ndef add(a: int) -> int:\n    'Add.'\n    return a + 1\n"
    )
    program = (
        "import asyncio",
        "from tfo_mcp.testing import client",
        "async def run():",
        "    async with client('mine') as mine:",
        "        print((await mine.call('add', a=1)).text)",
        "asyncio.run(run())",
    )
    (tmp_path / "run.py").write_text("\n".join(program))
    done = subprocess.run(
        [sys.executable, "run.py"], cwd=tmp_path, capture_output=True, text=True, timeout=2 * PATIENCE, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")


async def test_a_question_without_an_answer_names_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "docs" / "examples"))
    async with client("trips") as plugin:
        with pytest.raises(LookupError, match="answer"):
            await plugin.call("plan_trip")
    async with client("trips", answers={"answer": {"action": "decline"}}) as plugin:
        assert (await plugin.call("plan_trip")).text == "No trip is planned."


def ending(seen: list[str]) -> Callable[[], AsyncIterator[None]]:
    """Return a lifespan that notes its end."""

    @lifespan
    async def run() -> AsyncIterator[None]:
        yield
        seen.append("ended")

    return run


async def test_lifespans_begin_in_order_and_end_in_reverse() -> None:
    seen: list[str] = []

    def one(name: str) -> Callable[[], AsyncIterator[None]]:
        @lifespan
        async def run() -> AsyncIterator[None]:
            seen.append(f"{name} begins")
            yield
            seen.append(f"{name} ends")

        return run

    async with client(module(one("first"), one("second"))):
        assert seen == ["first begins", "second begins"]
    assert seen[2:] == ["second ends", "first ends"]


async def test_a_lifespan_that_fails_keeps_the_server_from_starting_and_ends_the_others() -> None:
    seen: list[str] = []
    good = ending(seen)

    @lifespan
    async def bad() -> AsyncIterator[None]:
        raise OSError("no database")
        yield

    with pytest.raises(PluginError, match=r"bad failed: .*no database"):
        async with client(module(good, bad)):
            pass
    assert seen == ["ended"]


@pytest.mark.parametrize("raised", [SystemExit(0), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()])
async def test_whatever_a_lifespan_raises_before_its_yield_is_one_error_with_its_name(raised: BaseException) -> None:
    seen: list[str] = []
    good = ending(seen)

    @lifespan
    async def bad() -> AsyncIterator[None]:
        raise raised
        yield

    with pytest.raises(PluginError, match=f"bad failed: {type(raised).__name__}"):
        async with client(module(good, bad)):
            pass
    assert seen == ["ended"]


@pytest.mark.parametrize("raised", [OSError("lost"), SystemExit(0), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_whatever_a_lifespan_raises_at_its_end_is_logged_and_the_others_end(raised: BaseException) -> None:
    seen: list[str] = []
    good = ending(seen)

    @lifespan
    async def bad() -> AsyncIterator[None]:
        yield
        raise raised

    with capture_logs() as logs:
        async with client(module(good, bad)):
            pass
    assert seen == ["ended"]
    (line,) = [line for line in logs if line["event"] == "a lifespan failed at its end"]
    assert line["lifespan"].endswith("bad")
    assert line["reason"].startswith(type(raised).__name__)


async def test_a_lifespan_that_waits_ends_when_its_start_is_cancelled() -> None:
    seen: list[str] = []
    good = ending(seen)

    @lifespan
    async def slow() -> AsyncIterator[None]:
        scope.cancel()
        await asyncio.Event().wait()
        yield

    with anyio.CancelScope() as scope:
        async with client(module(good, slow)):
            seen.append("began")
    assert seen == ["ended"]


async def test_a_function_that_blocks_the_loop_is_logged_by_its_name() -> None:
    with capture_logs() as logs:
        async with client(module(block)) as plugin:
            assert (await plugin.call("block")).text == "done"
    (line,) = [line for line in logs if line["log_level"] == "warning" and "function" in line]
    assert line["function"] == "Tool 'block'"


class Holder:
    """A class whose methods somebody decorates."""

    def method(self, a: int) -> int:
        return a

    @staticmethod
    def static(a: int) -> int:
        return a


def optional(a: int = None) -> int:  # type: ignore[assignment]  # noqa: RUF013
    return a


def text(a: int = "x") -> int:  # type: ignore[assignment]
    return a


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (Holder.method, "methods cannot be decorated"),
        (Holder.static, "methods cannot be decorated"),
        (Holder().method, "methods cannot be decorated"),
        (Holder.__dict__["static"], "methods cannot be decorated"),
        (optional, "the default of 'a' does not fit its type"),
        (text, "the default of 'a' does not fit its type"),
    ],
)
def test_a_mistake_is_refused_in_one_clear_line(function: Callable[..., Any], reason: str) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        tool(function)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


async def test_the_client_declares_extensions_with_their_settings() -> None:
    @tool
    async def shown(ctx: Context) -> str:
        """Return what the client declared."""
        return f"{ctx.extension('example.org/a')} {ctx.extension('example.org/b')} {ctx.supports('example.org/a')}"

    @tool
    def shown_plainly(ctx: SyncContext) -> str:
        """Return what the client declared."""
        return f"{ctx.extension('example.org/a')} {ctx.extension('example.org/b')}"

    async with client(module(shown, shown_plainly), extensions={"example.org/a": {"n": 1}}) as plugin:
        assert (await plugin.call("shown")).text == "{'n': 1} None True"
        assert (await plugin.call("shown_plainly")).text == "{'n': 1} None"
    async with client(module(shown)) as plugin:
        assert (await plugin.call("shown")).text == "None None False"


@dataclass
class Trip:
    """A form."""

    place: str = "Rome"


@pytest.mark.parametrize(
    ("question", "advice"),
    [
        (Elicit("Where?", Trip()), "give the class Trip, not an object of it"),  # type: ignore[arg-type]
        (Elicit("Where?", "place"), "give a class or a JSON Schema, not a str"),  # type: ignore[arg-type]
        ("Where?", "a str is no question: use Elicit, ElicitUrl, Sample or ListRoots"),
        (ListRoots, "ListRoots is no question: use an object of it, as in ListRoots(...)"),
    ],
)
async def test_a_question_of_a_wrong_type_is_explained_to_the_author(question: Any, advice: str) -> None:
    @tool
    async def ask(ctx: Context) -> str:
        """Ask."""
        await ctx.ask(question)
        return ""

    async with client(module(ask)) as plugin:
        failed = await plugin.call("ask")
    assert failed.is_error
    assert failed.text.endswith(advice)


@pytest.mark.parametrize("function", [add, lambda: None])
def test_a_lifespan_is_an_async_generator_function(function: Any) -> None:
    with pytest.raises(InvalidDefinition, match="async def"):
        lifespan(function)


async def test_a_missing_scope_is_named_with_those_that_the_operation_takes_anyway() -> None:
    @tool(scope="tools:execute")
    def run() -> str:
        """Run."""
        raise MissingScope("orders:write")

    @resource("order://{number}", scope="tools:write")
    def order(number: str) -> str:
        """Return an order."""
        raise MissingScope("orders:read", "resources:read")

    @prompt
    def review() -> str:
        """Review."""
        raise MissingScope("orders:read")

    async with client(module(run, order, review)) as session:
        for refused, scopes in (
            (session.call("run"), ["tools:execute", "orders:write"]),
            (session.read("order://1"), ["resources:read", "tools:write", "orders:read"]),
            (session.prompt("review"), ["prompts:read", "orders:read"]),
        ):
            with pytest.raises(CallError) as error:
                await refused
            assert (error.value.data or {})["scopes"] == scopes
