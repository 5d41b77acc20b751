"""Everything of a text file can be read by following the hints of truncated results."""

from pathlib import Path

import pytest

from tests.support.builtins import Builtins, builtins
from tests.support.hints import next_arguments
from tfo_mcp.domain.content import Text

pytestmark = pytest.mark.anyio

LONG = "0123456789" * 500
SHAPES = {
    "one long line": LONG,
    "one long line with an end": LONG + "\n",
    "one long line of wide characters": "日本😀é" * 800,
    "long and short lines": f"a\n{LONG}\nb\n\n{LONG}\r\nc",
    "carriage returns only": "line\r" * 900,
    "a line end at the limit": "x" * 999 + "\n" + "y" * 1000 + "\n" + "z" * 1001,
    "CRLF at the limit": "x" * 999 + "\r\n" + "y" * 998 + "\r\nz",
    "empty lines": "\n" * 3000,
    "a mark": "\ufeff" + LONG,
    "short": "short\n",
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def followed(server: Builtins, most: int, **arguments: object) -> list[str]:
    """Return the texts of a file that is read by following the hints, in at most this number of calls."""
    texts: list[str] = []
    hint: dict[str, int] | None = {}
    while hint is not None:
        given = {name: value for name, value in arguments.items() if name in ("path", "encoding") or not texts}
        result = await server.call("read_file", **{**given, **hint})
        assert not result.is_error, result.content
        blocks = [block.text for block in result.content if isinstance(block, Text)]
        texts.append(blocks[0])
        hint = next_arguments(blocks)
        assert len(texts) <= most
    return texts


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-be", "utf-32", "gb18030"])
async def test_the_texts_together_are_the_file(tmp_path: Path, shape: str, encoding: str) -> None:
    async with builtins(tmp_path) as server:
        data = SHAPES[shape].encode(encoding)
        (tmp_path / "text").write_bytes(data)
        texts = await followed(server, 40, path="text", encoding=encoding)
        assert "".join(texts).encode(encoding) == data


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7])
async def test_the_smallest_limits_end_too(tmp_path: Path, limit: int) -> None:
    text = "é\r\n日本\n\n😀 end"
    (tmp_path / "text").write_bytes(text.encode())
    async with builtins(tmp_path, read_bytes=limit) as server:
        assert "".join(await followed(server, len(text), path="text")) == text
        (end, *_) = await followed(server, len(text) + 1, path="text", tail=1)
        assert text.endswith(end)
        assert end


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"head": 2}, f"a\n{LONG}\n"),
        ({"offset": 2, "limit": 3}, f"{LONG}\nb\n\n"),
        ({"offset": 2, "limit": 1, "column": 4001}, LONG[4000:] + "\n"),
        ({"offset": 2, "column": 2}, f"{LONG[1:]}\nb\n\n{LONG}\r\nc"),
        ({"column": 2}, f"\n{LONG}\nb\n\n{LONG}\r\nc"),
        ({"limit": 9}, SHAPES["long and short lines"]),
    ],
)
async def test_the_hints_lead_through_the_lines_that_were_asked_for(
    tmp_path: Path, arguments: dict[str, int], expected: str
) -> None:
    (tmp_path / "text").write_bytes(SHAPES["long and short lines"].encode())
    async with builtins(tmp_path) as server:
        assert "".join(await followed(server, 20, path="text", **arguments)) == expected


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "short"])
async def test_a_tail_shows_the_end_and_leads_to_the_rest(tmp_path: Path, shape: str) -> None:
    text = SHAPES[shape]
    (tmp_path / "text").write_bytes(text.encode())
    async with builtins(tmp_path) as server:
        for tail in (1, 2, 5000):
            end, *whole = await followed(server, 40, path="text", tail=tail)
            assert end
            assert text.endswith(end)
            assert "".join(whole) in ("", text)
            assert whole or end.count("\n") <= tail


async def test_a_line_of_many_megabytes_is_read_to_its_end(tmp_path: Path) -> None:
    text = '{"a":"' + "x" * 7_000_000 + 'END"}'
    (tmp_path / "one.json").write_text(text)
    async with builtins(tmp_path, result_bytes=1 << 20, read_bytes=1 << 20) as server:
        assert "".join(await followed(server, 8, path="one.json")) == text
        end = await followed(server, 9, path="one.json", tail=1)
        assert end[0].endswith('END"}')
