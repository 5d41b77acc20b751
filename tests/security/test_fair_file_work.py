"""Fair file work in threads: work of one client hardly delays others, ends with its call, and is time-limited."""

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from time import monotonic
from typing import Any

import anyio
import httpx
import psutil
import pytest

from tests.support.deadlines import PATIENCE, eventually, wait_until
from tests.support.envelopes import JsonObject, request, stateless_headers, stateless_params
from tests.support.guarded import PLUGINS, Guarded, guarded
from tests.support.raw_http import head
from tfo_mcp.application.fair_limiter import current_account
from tfo_mcp.application.fair_threads import FairThreads
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.infrastructure.files.progress import Report
from tfo_mcp.infrastructure.files.threads import FileThreads

TERABYTE = 1 << 40
GREEDY, OTHER = "127.0.0.2", "127.0.0.3"
WORKS = 60
SOON = 3.0  # seconds; without fair scheduling it took a minute and a half
ENDS = 5.2  # seconds until work in a thread ends on a busy machine


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Guarded]:
    security = {"require_key": False, "anonymous": "all"}
    mcp = {"plugins": [*PLUGINS, "tests.support.plugins.failing"]}
    with guarded(tmp_path, security=security, mcp=mcp) as running:
        (running.place / "root" / "middle.txt").write_text("a line\n" * 20_000)
        for number in range(WORKS):
            with (running.place / "root" / f"sparse{number}").open("wb") as file:
                file.truncate(TERABYTE)
        yield running


def tool_call(name: str, arguments: JsonObject) -> JsonObject:
    return request(1, "tools/call", stateless_params({"name": name, "arguments": arguments}))


def call(client: httpx.Client, name: str, arguments: JsonObject, seconds: float = PATIENCE) -> JsonObject:
    message = tool_call(name, arguments)
    answer = client.post("/mcp", json=message, headers=stateless_headers(message), timeout=seconds)
    result: JsonObject = answer.json()["result"]
    assert not result["isError"], result
    return result


def start(gate: Guarded, address: str, name: str, arguments: JsonObject) -> socket.socket:
    """Send a call from an address, and leave its response unread."""
    message = tool_call(name, arguments)
    body = json.dumps(message).encode()
    headers = [
        ("Host", f"127.0.0.1:{gate.server.port}"),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("Content-Length", str(len(body))),
        *stateless_headers(message).items(),
    ]
    connection = socket.create_connection(("127.0.0.1", gate.server.port), source_address=(address, 0))
    connection.sendall(head("POST", "/mcp", headers) + body)
    return connection


def started(gate: Guarded, stack: ExitStack, name: str, arguments: Callable[[int], JsonObject]) -> None:
    """Start many calls of the greedy client, and wait until some of them run."""
    for number in range(WORKS):
        stack.enter_context(closing(start(gate, GREEDY, name, arguments(number))))
    process = psutil.Process(gate.server.child.pid)
    before = process.cpu_times().user
    wait_until(lambda: process.cpu_times().user > before + 0.2 or name == "stubborn_thread", "the works run")


ENDLESS: list[tuple[str, Callable[[int], JsonObject]]] = [
    ("file_info", lambda number: {"path": f"sparse{number}", "digest": True}),
    ("read_file", lambda number: {"path": f"sparse{number}", "encoding": "utf-16-le", "offset": 2}),
    ("write_file", lambda number: {"path": f"sparse{number}", "content": "x", "expected_sha256": "0" * 64}),
    ("stubborn_thread", lambda number: {}),
]


@pytest.mark.parametrize(("name", "arguments"), ENDLESS, ids=[name for name, _ in ENDLESS])
def test_another_client_is_answered_at_once_while_one_has_all_the_work_it_can_get(
    gate: Guarded, name: str, arguments: Callable[[int], JsonObject]
) -> None:
    with ExitStack() as stack, gate.client(address=OTHER) as other:
        started(gate, stack, name, arguments)
        for _ in range(5):
            for own, given in (
                ("read_file", {"path": "middle.txt", "limit": 3}),
                ("list_directory", {"path": "."}),
                ("file_info", {"path": "middle.txt", "digest": True}),
                ("write_file", {"path": "new.txt", "content": "new"}),
                ("search_files", {"path": ".", "pattern": "middle.*"}),
                ("mixed", {}),
                ("echo", {"message": "hi"}),
            ):
                began = monotonic()
                call(other, own, given)
                assert monotonic() - began < SOON, own


@pytest.mark.parametrize(("name", "arguments"), ENDLESS[:3], ids=[name for name, _ in ENDLESS[:3]])
def test_work_ends_when_its_client_leaves(gate: Guarded, name: str, arguments: Callable[[int], JsonObject]) -> None:
    process = psutil.Process(gate.server.child.pid)
    with ExitStack() as stack:
        started(gate, stack, name, arguments)

    def is_idle() -> bool:
        before, began = process.cpu_times().user, monotonic()
        with gate.client(address=OTHER) as other:
            while monotonic() - began < 0.3:
                call(other, "echo", {"message": "hi"})
        return process.cpu_times().user - before < 0.25 * (monotonic() - began) + 0.1

    wait_until(is_idle, "the works have ended", 2 * PATIENCE)
    with gate.client(address=GREEDY) as client:
        found = call(client, "file_info", {"path": "middle.txt", "digest": True})["structuredContent"]
    assert found["sha256"] == hashlib.sha256(b"a line\n" * 20_000).hexdigest()


@pytest.mark.parametrize("work", ["read_file", "list_directory", "file_info", "search_files", "mixed"])
def test_the_greedy_client_itself_is_served_when_its_turn_comes(gate: Guarded, work: str) -> None:
    arguments: dict[str, JsonObject] = {
        "read_file": {"path": "middle.txt", "limit": 1},
        "list_directory": {"path": ".", "recursive": True},
        "file_info": {"path": "middle.txt", "digest": True},
        "search_files": {"contents": "a line", "pattern": "middle.txt", "max_results": 1},
    }
    with gate.client(address=GREEDY) as client, ThreadPoolExecutor(8) as pool:
        tasks = [pool.submit(call, client, work, arguments.get(work, {}), 6 * PATIENCE) for _ in range(40)]
        assert all(task.result()["content"] for task in tasks)


@pytest.mark.anyio
class TestThreads:
    async def test_an_account_has_so_many_threads_and_others_find_some(self) -> None:
        threads, release = FairThreads(4, 3), threading.Event()
        running: list[str] = []

        def work() -> None:
            running.append(current_account.get())
            release.wait(PATIENCE)

        async def run(account: str) -> None:
            current_account.set(account)
            await threads.run(work)

        async with anyio.create_task_group() as tasks:
            for account in ["one"] * 6 + ["two"]:
                tasks.start_soon(run, account)
            await eventually(lambda: len(running) == 4, "the threads run")
            assert sorted(running) == ["one", "one", "one", "two"]
            release.set()
        assert sorted(running) == ["one"] * 6 + ["two"]

    async def test_an_abandoned_thread_keeps_its_place_until_it_ends(self) -> None:
        threads, release, told = FairThreads(1, 1), threading.Event(), list[str]()
        current_account.set("one")
        with anyio.move_on_after(0.05):
            await threads.run(lambda: release.wait(PATIENCE), lambda: told.append("abandoned"))
        assert told == ["abandoned"]
        with anyio.move_on_after(0.05) as waiting:
            await threads.run(lambda: told.append("too early"))
        assert waiting.cancelled_caught
        release.set()
        with anyio.fail_after(PATIENCE):
            await threads.run(lambda: told.append("in turn"))
        assert told == ["abandoned", "in turn"]

    async def test_waiting_for_a_turn_ends_at_once_when_it_is_cancelled(self) -> None:
        threads, release = FairThreads(1, 1), threading.Event()
        current_account.set("one")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(threads.run, lambda: release.wait(PATIENCE))
            await anyio.lowlevel.checkpoint()
            for slots in (1, 1):
                began = monotonic()
                with anyio.move_on_after(0.01):
                    await threads.run(lambda: None, slots=slots)
                assert monotonic() - began < SOON
            release.set()

    async def test_work_for_several_threads_takes_them_all_and_gives_them_back(self) -> None:
        threads, order = FairThreads(2, 2), list[str]()
        current_account.set("one")
        async with anyio.create_task_group() as tasks:
            for name in ("a", "b"):
                tasks.start_soon(threads.run, lambda name=name: order.append(name))
            tasks.start_soon(lambda: threads.run(lambda: order.append("both"), slots=2))
        await threads.run(lambda: order.append("last"), slots=2)
        assert order[-1] == "last"
        assert sorted(order) == ["a", "b", "both", "last"]


def endless(report: Report) -> None:
    """Work until the report raises an exception."""
    done = 0
    while True:
        done += 1
        report.tick(done)


@pytest.mark.anyio
class TestTimes:
    async def test_work_that_takes_too_long_is_ended_and_says_so(self) -> None:
        threads = FileThreads(0.1, short_seconds=0.05, long_seconds=0.2)
        for run in (threads.short, threads.long, threads.bounded):
            with pytest.raises(OperationFailed, match=r"took longer than 0\.2 seconds"), anyio.fail_after(PATIENCE):
                await run(endless)

    async def test_short_work_that_takes_long_begins_again_among_the_long(self) -> None:
        threads = FileThreads(0.1, short_seconds=0.05)
        attempts: list[int] = []

        def work(report: Report) -> int:
            attempts.append(1)
            if len(attempts) == 1:
                endless(report)
            return len(attempts)

        assert await threads.short(work) == 2

    @pytest.mark.parametrize("kind", ["short", "long", "bounded", "search"])
    async def test_work_ends_soon_after_its_call_was_cancelled(self, kind: str) -> None:
        threads, ended = FileThreads(0.1), threading.Event()

        def work(report: Report, *_: Any) -> None:
            try:
                endless(report)
            finally:
                ended.set()

        with anyio.move_on_after(0.1):
            if kind == "search":
                await threads.search(work, PATIENCE)
            else:
                await getattr(threads, kind)(work)
        await eventually(ended.is_set, "the work has ended", ENDS)

    async def test_progress_that_nobody_takes_does_not_hold_abandoned_work(self) -> None:
        threads, ended = FileThreads(0.0), threading.Event()

        async def never_taken(done: int, total: int | None) -> None:
            await anyio.sleep_forever()

        def work(report: Report) -> None:
            try:
                endless(report)
            finally:
                ended.set()

        with anyio.move_on_after(0.1):
            await threads.long(work, never_taken)
        await eventually(ended.is_set, "the work has ended", ENDS)
