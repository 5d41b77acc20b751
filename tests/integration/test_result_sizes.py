"""Results that a language model can take: long text is truncated, the rest can be read, and nothing is sent twice."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.builtins import Builtins, builtins, text_of
from tfo_mcp.domain.content import Text, TextContents
from tfo_mcp.domain.tool import ToolResult

pytestmark = pytest.mark.anyio
MOST = 40_000
MOST_OF_HOST = 50_000
FILES = 3000


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Builtins]:
    root = tmp_path_factory.mktemp("large")
    for number in range(FILES):
        (root / f"{number:05} and a long name").write_text(f"needle {number} {'ä' * 60}\n")
    async with builtins(root, entries=FILES, output_bytes=32 * 1024) as served:
        yield served


def size(result: ToolResult) -> int:
    assert not result.is_error
    return sum(len(block.text.encode()) for block in result.content if isinstance(block, Text))


async def pages(server: Builtins, tool: str, hint: str, **arguments: Any) -> list[str]:
    """Return the lines of all pages of a result, following the hints, without headings and hints."""
    lines: list[str] = []
    more: dict[str, Any] = {}
    while True:
        result = await server.call(tool, **arguments, **more)
        assert 0 < size(result) <= MOST
        *page, last = text_of(result).splitlines()
        found = re.fullmatch(rf"\[Truncated\. Continue with {hint}=(.+)\.\]", last)
        lines += page if found else [*page, last]
        if found is None:
            return [line for line in lines if line != "size modified path"]
        assert result.structured["truncated"]
        assert result.structured[f"next_{hint}"] == (found[1] if hint == "cursor" else int(found[1]))
        more = {hint: result.structured[f"next_{hint}"]}


async def test_all_entries_of_a_large_directory_are_listed_in_pages(server: Builtins) -> None:
    names = [f"{number:05} and a long name" for number in range(FILES)]
    lines = await pages(server, "list_directory", "cursor")
    assert [line.split(" ", 2)[2] for line in lines] == names
    assert await pages(server, "list_directory", "cursor", details=False) == names


async def test_all_results_of_a_search_are_shown_in_parts(server: Builtins) -> None:
    names = await pages(server, "search_files", "offset", pattern="*")
    assert len(names) == FILES
    lines = await pages(server, "search_files", "offset", contents="needle")
    assert [line for line in lines if line.startswith("1: needle ")] == [
        f"1: needle {number} {'ä' * 60}" for number in range(FILES)
    ]


@pytest.mark.parametrize("arguments", [{"pattern": "*"}, {"contents": "needle"}])
@pytest.mark.parametrize("most", [7, 100])
async def test_pages_of_a_search_neither_miss_nor_repeat_a_result(tmp_path: Path, most: int, arguments: Any) -> None:
    expected = []
    for number in range(1200 if most > 7 else 40):
        place = tmp_path / f"{number * 7919 % 13:02}"
        place.mkdir(exist_ok=True)
        (place / f"{number:05}").write_text("needle\n" if number % 3 else "needle\nneedle\n")
        expected.append(f"{place.name}/{number:05}")
    async with builtins(tmp_path, entries=500) as server:
        found: list[str] = []
        following: int | None = 0
        while following is not None:
            result = await server.call("search_files", max_results=most, offset=following, **arguments)
            assert result.structured["count"] <= most
            entries = [entry["path"] for entry in result.structured["entries"] or () if entry["type"] == "file"]
            found += [f"{each['path']}:{each['line']}" for each in result.structured["matches"] or ()] or entries
            assert result.structured["truncated"] is (result.structured["next_offset"] is not None)
            following = result.structured["next_offset"]
            assert following is None or f"Continue with offset={following}." in text_of(result)
    lines = [f"{path}:{line}" for path in sorted(expected) for line in ((1,) if int(path[3:]) % 3 else (1, 2))]
    assert found == (sorted(expected) if "pattern" in arguments else lines)


@pytest.mark.parametrize("offset", [1, 2, 5])
async def test_a_page_has_the_context_of_its_first_match(tmp_path: Path, offset: int) -> None:
    (tmp_path / "a").write_text("".join(f"{'hit' if number % 3 == 0 else 'line'} {number}\n" for number in range(30)))
    async with builtins(tmp_path) as server:
        whole = (await server.call("search_files", contents="hit", context=4)).structured["matches"]
        page = await server.call("search_files", contents="hit", context=4, offset=offset, max_results=2)
    assert page.structured["matches"] == whole[offset : offset + 2]


LISTINGS: list[tuple[str, dict[str, Any], str]] = [
    ("list_directory", {}, "entries"),
    ("list_directory", {"details": False}, "names"),
    ("search_files", {"contents": "needle"}, "matches"),
    ("search_files", {"pattern": "*"}, "entries"),
]


@pytest.mark.parametrize(("tool", "arguments", "field"), LISTINGS)
async def test_text_and_structured_content_together_fit_a_host(
    server: Builtins, tool: str, arguments: dict[str, Any], field: str
) -> None:
    for most in (50, 150, 200, 400, 700, 1000):
        result = await server.call(tool, max_results=most, **arguments)
        assert size(result) + len(json.dumps(result.structured, ensure_ascii=False)) <= MOST_OF_HOST
        assert most > 50 or len(result.structured[field]) == most


async def test_a_truncated_output_names_the_resource_with_the_rest(server: Builtins) -> None:
    result = await server.call("execute_command", argv=["seq", "20000"])
    shown = result.content[0]
    assert isinstance(shown, Text)
    found = re.search(r"(?m)^\[Truncated\. Continue with the resource (\S+), or \1/FIRST-LAST for", shown.text)
    assert found is not None
    assert found[1] == result.structured["stdout_uri"]
    whole = "".join(f"{number}\n" for number in range(1, 20001))
    for uri, text in ((found[1], whole), (f"{found[1]}/20000-20100", whole[20000:20100])):
        contents = await server.read(uri)
        assert isinstance(contents, TextContents)
        assert contents.text == text


async def test_a_large_result_is_not_sent_twice(server: Builtins) -> None:
    listed = (await server.call("list_directory")).structured
    assert (listed["entries"], listed["count"] > 500) == (None, True)
    names = (await server.call("list_directory", details=False)).structured
    assert (names["entries"], names["names"]) == ([], None)
    found = (await server.call("search_files", contents="needle")).structured
    assert (found["matches"], found["entries"], found["count"] > 100) == (None, [], True)
    output = await server.call("execute_command", argv=["seq", "5000"])
    assert (output.structured["stdout"], output.structured["stdout_bytes"]) == (None, 23_893)
    assert "\n4999\n5000\n" in text_of(output)


@pytest.mark.parametrize("line", ["y", '"' * 40, "\\" * 40, "\x1b[0m"])
async def test_text_and_structured_content_together_are_what_a_host_shows(server: Builtins, line: str) -> None:
    for most, is_repeated in ((1000, True), (9000, False), (18_000, False)):
        command = ["sh", "-c", 'yes "$1" | head -c "$2"', "sh", line, str(most)]
        result = await server.call("execute_command", argv=command)
        assert (result.structured["stdout"] is not None) is is_repeated
        assert len(json.dumps([text_of(result), result.structured], ensure_ascii=False)) <= MOST_OF_HOST


async def test_matches_are_shown_beneath_the_path_of_their_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("before\nhit one\nbetween\nhit two\n")
    (tmp_path / "b.txt").write_text("hit three\n" + "x" * 2000 + "hit four\n")
    async with builtins(tmp_path) as server:
        result = await server.call("search_files", contents="hit", context=1)
        assert text_of(result).startswith(
            "a.txt\n1- before\n2: hit one\n3- between\n3- between\n4: hit two\nb.txt\n1: hit three\n2- x"
        )
        assert re.search(r"^2:\d+: …x+hit four$", text_of(result), re.MULTILINE)
        assert len(result.structured["matches"]) == 4
        assert text_of(await server.call("search_files", contents="nothing")) == "No results."
        assert text_of(await server.call("search_files", pattern="*", offset=9)) == "No results."


async def test_a_long_text_and_a_long_diff_are_truncated(tmp_path: Path) -> None:
    text = "".join(f"line {number}\n" for number in range(20_000))
    (tmp_path / "long").write_text(text)
    async with builtins(tmp_path, write_bytes=1 << 20) as server:
        parts: list[str] = []
        start: int | None = 1
        while start is not None:
            result = await server.call("read_file", path="long", offset=start)
            assert size(result) <= MOST
            shown, *hint = [block.text for block in result.content if isinstance(block, Text)]
            parts.append(shown)
            start = int(re.findall(r"offset=(\d+)", hint[0])[0]) if hint else None
        assert "".join(parts) == text
        edit = {"old_text": "line", "new_text": "row", "replace_all": True}
        tried = await server.call("edit_file", path="long", edits=[edit], dry_run=True)
        assert text_of(tried).endswith("[Truncated. Try fewer edits at once to see the rest.]")
        edited = await server.call("edit_file", path="long", edits=[edit])
        assert size(edited) <= MOST
        assert text_of(edited).endswith("[Truncated. Read the file with read_file to see the rest.]")
        assert (edited.structured["diff"], edited.structured["replacements"]) == (None, 20_000)
        assert (tmp_path / "long").read_text() == text.replace("line", "row")
