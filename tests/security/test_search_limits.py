"""Search limits: one client's searches use little memory, whatever the files and the expression."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import psutil
import pytest

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import request, stateless_headers, stateless_params
from tests.support.files import rooted
from tests.support.guarded import Guarded, guarded
from tfo_mcp.application.ports import Contents, Filter, Match
from tfo_mcp.infrastructure.files import RootedFiles

pytestmark = pytest.mark.anyio

MEMORY = 64 << 20
MEGABYTE = 1_000_000
SEARCH_SECONDS = 60.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Guarded]:
    security = {"require_key": False, "anonymous": "all"}
    with guarded(tmp_path, security=security, files={"search_timeout_seconds": SEARCH_SECONDS}) as running:
        yield running


class Watch:
    """Monitors the search programs of a server repeatedly."""

    def __init__(self, server: int) -> None:
        self._server = psutil.Process(server)
        self._stop = threading.Event()
        self._peaks: dict[int, int] = {}
        self._thread = threading.Thread(target=self._look_again)
        self.own_memory = self._server.memory_info().rss
        self.largest_together = 0
        self.most_together = 0
        self.niceness: set[int] = set()
        self.scores: set[int] = set()

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look_again(self) -> None:
        while not self._stop.wait(0.002):
            self._look()

    def _look(self) -> None:
        running = 0
        together = max(0, self._server.memory_info().rss - self.own_memory)
        for child in self._server.children():
            with suppress(psutil.Error, OSError, ValueError, IndexError):  # the program has just exited
                status = Path(f"/proc/{child.pid}/status").read_text()
                if not status.startswith("Name:\trg\n"):
                    continue
                running += 1
                together += int(status.partition("VmHWM:")[2].split()[0]) * 1024
                self.niceness.add(child.nice())
                self.scores.add(int(Path(f"/proc/{child.pid}/oom_score_adj").read_text()))
        self.most_together = max(self.most_together, running)
        self.largest_together = max(self.largest_together, together)


def call(client: httpx.Client, name: str, arguments: dict[str, Any], seconds: float = 2 * SEARCH_SECONDS) -> Any:
    """Call a tool in the stateless era and return its structured result."""
    message = request(1, "tools/call", stateless_params({"name": name, "arguments": arguments}))
    answer = client.post("/mcp", json=message, headers=stateless_headers(message), timeout=seconds)
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith(("data: {", "{"))]
    result = json.loads(lines[-1])["result"]
    assert not result["isError"], result
    return result["structuredContent"]


@contextmanager
def searching(gate: Guarded) -> Iterator[tuple[httpx.Client, Watch]]:
    """Yield a client of a server that has searched before, and a monitor of the server."""
    with gate.client() as client:
        call(client, "search_files", {"contents": "warm"})
        with Watch(gate.server.child.pid) as watch:
            yield client, watch


class TestMemory:
    @pytest.mark.parametrize("expression", ["a", "needle", ".*", "a?", "x*", "(a|b)+", "[^q]", r"\w", "a" * 10_000])
    def test_a_line_of_twenty_megabytes_takes_no_more_than_itself(self, gate: Guarded, expression: str) -> None:
        (gate.place / "root" / "one.txt").write_bytes(b"ab" * (10 * MEGABYTE) + b"needle\n")
        with searching(gate) as (client, watch):
            found = call(client, "search_files", {"contents": expression, "context": 20})
        assert len(found["matches"]) == (0 if expression == "a" * 10_000 else 1)
        assert 0 < watch.largest_together <= MEMORY

    def test_many_files_of_one_long_line_take_no_more(self, gate: Guarded) -> None:
        for number in range(1000):
            (gate.place / "root" / f"{number}.txt").write_bytes(b"ab" * 50_000 + b"\n")
        with searching(gate) as (client, watch):
            found = call(client, "search_files", {"contents": "b", "context": 20})
        assert (found["count"] >= 50, found["truncated"]) == (True, True)
        assert watch.largest_together <= MEMORY

    def test_long_lines_of_context_take_no_more(self, gate: Guarded) -> None:
        line = b"x" * 100_000 + b"\n"
        (gate.place / "root" / "one.txt").write_bytes((line * 20 + b"needle\n") * 10)
        with searching(gate) as (client, watch):
            found = call(client, "search_files", {"contents": "needle", "context": 20})
        assert (found["count"], found["next_offset"]) == (1, 1)
        assert watch.largest_together <= MEMORY

    def test_a_directory_of_many_files_takes_no_more(self, gate: Guarded) -> None:
        (gate.place / "root" / "many").mkdir()
        for number in range(100_000):
            (gate.place / "root" / "many" / f"a_file_with_a_name_of_some_length_{number}").touch()
        with searching(gate) as (client, watch):
            found = call(client, "search_files", {"contents": "needle"})
            names = call(client, "search_files", {"pattern": "*"})
        assert (found["matches"], names["count"] > 500, names["truncated"]) == ([], True, True)
        assert watch.largest_together <= MEMORY

    def test_a_file_beyond_all_memory_is_left_out_and_it_is_said(self, gate: Guarded) -> None:
        with (gate.place / "root" / "huge.txt").open("wb") as file:
            for _ in range(100):
                file.write(b"ab" * (MEGABYTE // 2))
        (gate.place / "root" / "small.txt").write_text("the needle\n")
        with searching(gate) as (client, watch):
            found = call(client, "search_files", {"contents": "needle"})
        assert [match["path"] for match in found["matches"]] == ["small.txt"]
        assert found["truncated"]
        assert watch.largest_together <= MEMORY

    def test_searches_at_once_take_no_more_together(self, gate: Guarded) -> None:
        (gate.place / "root" / "one.txt").write_bytes(b"ab" * (10 * MEGABYTE) + b"\n")
        with searching(gate) as (client, watch), ThreadPoolExecutor(12) as pool:
            tasks = [pool.submit(call, client, "search_files", {"contents": "b"}) for _ in range(12)]
            assert all(len(task.result()["matches"]) == 1 for task in tasks)
        assert watch.largest_together <= MEMORY

    def test_a_search_gives_way_to_others(self, gate: Guarded) -> None:
        (gate.place / "root" / "one.txt").write_bytes(b"ab" * MEGABYTE + b"\n")
        with searching(gate) as (client, watch):
            wait_until(lambda: call(client, "search_files", {"contents": "b"}) and 5 in watch.niceness, "a nice search")
            wait_until(lambda: call(client, "search_files", {"contents": "b"}) and 900 in watch.scores, "its score")


class TestTurns:
    def test_one_client_has_two_searches_at_once_and_another_is_served_meanwhile(self, gate: Guarded) -> None:
        for number in range(40):
            (gate.place / "root" / f"{number}.txt").write_bytes(b"ab" * MEGABYTE + b"\n")
        slow = {"contents": "(a|b|ab)*c(a|b)*d"}
        with (
            searching(gate) as (client, watch),
            gate.client(address="127.0.0.3") as other,
            ThreadPoolExecutor(10) as pool,
        ):
            tasks = [pool.submit(call, client, "search_files", slow) for _ in range(10)]
            wait_until(lambda: watch.most_together >= 2, "two searches run")
            assert call(other, "search_files", {"pattern": "1.txt"}, PATIENCE)["entries"]
            assert all(task.result()["matches"] == [] for task in tasks)
        assert watch.most_together <= 3  # two of the greedy client and one of the other


class TestColumns:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        return tmp_path

    @pytest.fixture
    def files(self, root: Path) -> Iterator[RootedFiles]:
        store = rooted(root, entries=1000)
        yield store
        store.close()

    async def search(self, files: RootedFiles, expression: str, *, ignore_case: bool = False) -> Match:
        (match,) = (await files.search(".", Contents(expression, ignore_case), Filter())).matches
        return match

    @pytest.mark.parametrize("letter", ["x", "é", "漢", "😀"])
    @pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
    @pytest.mark.parametrize("before", [0, 1, 499, 501, 3583, 4090, 4096, 5000, 40_000, 1_000_000])
    @pytest.mark.parametrize("after", [0, 600, 100_000])
    async def test_the_column_says_where_in_the_line_the_shown_part_begins(
        self, files: RootedFiles, root: Path, letter: str, ending: str, before: int, after: int
    ) -> None:
        line = letter * before + "needle" + letter * after
        (root / "long.txt").write_bytes(
            f"first\n{line}{ending}last\n".encode() if ending else f"first\n{line}".encode()
        )
        match = await self.search(files, "needle")
        assert match.line == 2
        text = match.text.strip("…")
        assert "needle" in text
        assert len(text) <= 500
        assert line[match.column - 1 :].startswith(text)
        assert match.text.startswith("…") == (match.column > 1)
        assert match.text.endswith("…") == (match.column - 1 + len(text) < len(line))

    @pytest.mark.parametrize(
        ("expression", "found"),
        [
            ("^xx", 0),
            ("needle$", 20_000),
            (r"\bneedle\b", 10_000),
            (r"x\s", 9_998),
            ("NEEDLE", 10_000),
            ("x.*needle", 0),
            (".*", 0),
            ("(?:^|,)needle", 0),
        ],
    )
    async def test_anchors_and_long_matches_are_found_where_they_are(
        self, files: RootedFiles, root: Path, expression: str, found: int
    ) -> None:
        line = "x" * 9_999 + " needle " + "x" * 9_992 + " needle"
        line = "needle" + line[6:] if expression.startswith("(?:^") else line
        (root / "long.txt").write_text(f"{line}\n")
        match = await self.search(files, expression, ignore_case=expression == "NEEDLE")
        begin = match.column - 1
        assert begin <= found <= begin + len(match.text.strip("…"))
        assert line[begin:].startswith(match.text.strip("…"))

    async def test_a_byte_order_mark_moves_nothing(self, files: RootedFiles, root: Path) -> None:
        (root / "long.txt").write_bytes(b"\xef\xbb\xbf" + b"x" * 10_000 + b"needle\n")
        match = await self.search(files, "needle")
        assert ("needle" in match.text, match.column) == (True, 10_006 - 499)

    async def test_text_in_another_encoding_is_shown_from_its_beginning(self, files: RootedFiles, root: Path) -> None:
        (root / "long.txt").write_bytes("\ufeff".encode("utf-16-le") + ("x" * 10_000 + "needle\n").encode("utf-16-le"))
        match = await self.search(files, "needle")
        assert (match.text, match.column) == ("x" * 500 + "…", 1)

    async def test_every_one_of_many_long_lines_is_shown_where_it_matches(self, files: RootedFiles, root: Path) -> None:
        for number in range(150):
            (root / f"{number:03}.txt").write_text("x" * (number * 1000) + f" needle {number} " + "x" * 1000 + "\n")
        found = (await files.search(".", Contents("needle"), Filter())).matches
        assert [f" needle {number} " in match.text for number, match in enumerate(found)] == [True] * 150

    async def test_names_that_look_like_the_programs_words_are_names(self, files: RootedFiles, root: Path) -> None:
        notice = 'a: binary file matches (found "\\0" byte around offset 1)\n.'
        (root / notice).mkdir()
        (root / notice / "b\n1:2:c").write_text("needle\n")
        (match,) = (await files.search(".", Contents("needle"), Filter())).matches
        assert match.uri is not None
        assert unquote(match.uri) == f"file://{root}/{notice}/b\n1:2:c"

    async def test_what_is_said_of_a_binary_file_is_no_match(self, files: RootedFiles, root: Path) -> None:
        (root / "a").write_bytes(b"needle\n" + b"x\n" * 100_000 + b"\0")
        for number in range(20):
            (root / f"b{number}").write_text("needle\n")
        found = await files.search(".", Contents("needle"), Filter())
        assert {match.path for match in found.matches} >= {f"b{number}" for number in range(20)}
        assert all(match.text == "needle" for match in found.matches)
