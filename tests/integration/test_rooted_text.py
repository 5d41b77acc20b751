"""Reading text by lines: from a line, the beginning or the end, in any encoding, up to the limit."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from tests.support.files import LIMIT, rooted
from tests.support.machine import growing_by_less_than
from tfo_mcp.application.ports import Lines, TextPart
from tfo_mcp.domain.errors import FileTooLarge, NotText
from tfo_mcp.infrastructure.files import RootedFiles

AT_ONCE = 1.0
TEXT = "".join(f"line {number}\n" for number in range(1, 11))
MEMORY = 50 * 1024 * 1024

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def files(root: Path) -> Iterator[RootedFiles]:
    store = rooted(root)
    yield store
    store.close()


async def read(files: RootedFiles, lines: Lines, encoding: str = "utf-8", name: str = "text") -> TextPart:
    return await files.read_text(name, encoding, lines)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (Lines(), TextPart(TEXT, 1, 10, cut=False, more=False)),
        (Lines(9), TextPart("line 9\nline 10\n", 9, 2, cut=False, more=False)),
        (Lines(2, 2), TextPart("line 2\nline 3\n", 2, 2, cut=False, more=True)),
        (Lines(10, 1), TextPart("line 10\n", 10, 1, cut=False, more=False)),
        (Lines(10, 5), TextPart("line 10\n", 10, 1, cut=False, more=False)),
        (Lines(11), TextPart("", 11, 0, cut=False, more=False)),
        (Lines(10**9), TextPart("", 10**9, 0, cut=False, more=False)),
        (Lines(count=1), TextPart("line 1\n", 1, 1, cut=False, more=True)),
        (Lines(last=2), TextPart("line 9\nline 10\n", None, 2, cut=False, more=False)),
        (Lines(last=99), TextPart(TEXT, None, 10, cut=False, more=False)),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32-be", "iso2022_jp", "cp1252"])
async def test_the_lines_that_are_asked_for_are_read(
    files: RootedFiles, root: Path, lines: Lines, expected: TextPart, encoding: str
) -> None:
    (root / "text").write_text(TEXT, encoding=encoding)
    assert await read(files, lines, encoding) == expected


async def test_a_last_line_without_an_end_and_ends_of_other_systems_are_as_they_are(
    files: RootedFiles, root: Path
) -> None:
    (root / "text").write_bytes(b"a\r\nb\rc\n\nd")
    assert await read(files, Lines()) == TextPart("a\r\nb\rc\n\nd", 1, 4, cut=False, more=False)
    assert (await read(files, Lines(2, 1))).text == "b\rc\n"
    assert (await read(files, Lines(last=2))).text == "\nd"


async def test_an_empty_file_has_no_lines(files: RootedFiles, root: Path) -> None:
    (root / "text").touch()
    for lines, first in ((Lines(), 1), (Lines(count=3), 1), (Lines(last=3), None)):
        assert await read(files, lines) == TextPart("", first, 0, cut=False, more=False)


class TestLimit:
    async def test_a_long_text_is_cut_at_the_end_of_a_line_and_can_be_read_on(
        self, files: RootedFiles, root: Path
    ) -> None:
        whole = "".join(f"{'é' * 30} {number}\n" for number in range(200))
        (root / "text").write_text(whole)
        pieces, first = [], 1
        while True:
            part = await read(files, Lines(first))
            assert len(part.text.encode()) <= LIMIT
            assert part.text.endswith("\n")
            pieces.append(part.text)
            first += part.count
            if not part.cut:
                break
            assert part.more
        assert "".join(pieces) == whole
        assert len(pieces) > 10

    async def test_a_line_that_is_too_long_is_cut_in_itself(self, files: RootedFiles, root: Path) -> None:
        (root / "text").write_text("é" * LIMIT + "\nnext\n")
        part = await read(files, Lines())
        assert (part.text, part.count, part.cut) == ("é" * (LIMIT // 2), 1, True)
        assert (await read(files, Lines(2))).text == "next\n"

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "utf-32", "shift_jis"])
    async def test_the_end_of_a_long_text_is_read_without_the_rest(
        self, files: RootedFiles, root: Path, encoding: str
    ) -> None:
        (root / "text").write_text("".join(f"行 {number}\n" for number in range(5000)), encoding=encoding)
        part = await read(files, Lines(last=2), encoding)
        assert (part.text, part.count, part.cut) == ("行 4998\n行 4999\n", 2, False)
        part = await read(files, Lines(last=4000), encoding)
        assert part.cut
        assert part.text.endswith("行 4999\n")
        assert part.text.startswith("行 ")
        assert len(part.text.encode()) <= LIMIT

    @pytest.mark.parametrize("encoding", ["iso2022_jp", "hz", "gb18030", "euc_jis_2004", "cp1252"])
    async def test_the_end_is_read_in_encodings_that_are_read_from_the_beginning(
        self, files: RootedFiles, root: Path, encoding: str
    ) -> None:
        line = "x" if encoding == "cp1252" else "行"
        (root / "text").write_text(f"{line}\n" * 5000 + f"{line}.", encoding=encoding)
        assert await read(files, Lines(last=2), encoding) == TextPart(
            f"{line}\n{line}.", None, 2, cut=False, more=False
        )

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "utf-32-le", "latin-1", "gb18030", "hz"])
    async def test_the_end_of_a_line_that_is_too_long_is_read(
        self, files: RootedFiles, root: Path, encoding: str
    ) -> None:
        letter = "é" if encoding == "latin-1" else "行"
        (root / "text").write_text("first\n" + letter * 5001 + "end", encoding=encoding)
        for last in (1, 2):
            part = await read(files, Lines(last=last), encoding)
            assert part.cut
            assert part.text.lstrip(letter) == "end"
            assert LIMIT - 4 < len(part.text.encode()) <= LIMIT

    @pytest.mark.parametrize("data", [b"x" * 3000 + b"\xff\n", b"\x80" * 3000, b"x" * 2000 + b"\xc3"])
    async def test_an_end_that_is_no_text_is_not_read_as_text(
        self, files: RootedFiles, root: Path, data: bytes
    ) -> None:
        (root / "text").write_bytes(data)
        with pytest.raises(NotText, match=r"^text: this is not utf-8 text"):
            await read(files, Lines(last=1))

    async def test_neither_a_large_file_nor_its_end_takes_memory_or_time(self, root: Path) -> None:
        store = rooted(root, read_bytes=1 << 20)
        with (root / "large").open("wb") as file:
            for _ in range(60):
                file.write(b"x" * 99 + b"\n" + (b"y" * 999 + b"\n") * 1000)
        with growing_by_less_than(MEMORY), anyio.fail_after(3 * AT_ONCE):
            assert (await read(store, Lines(59_000, 2), name="large")).count == 2
            assert (await read(store, Lines(last=5), name="large")).count == 5
            assert (await read(store, Lines(), name="large")).cut
        store.close()

    async def test_a_sparse_file_of_five_gigabytes_is_refused_at_once(self, root: Path) -> None:
        store = rooted(root, read_bytes=1 << 20)
        with (root / "sparse").open("wb") as file:
            file.truncate(5 << 30)
        with growing_by_less_than(MEMORY):
            for lines in (Lines(), Lines(10**6), Lines(count=9), Lines(last=9)):
                with anyio.fail_after(AT_ONCE), pytest.raises(NotText, match=r"^sparse: this is a binary file$"):
                    await read(store, lines, name="sparse")
            refused = pytest.raises(FileTooLarge, match=r"in parts with read_file: offset and limit")
            with anyio.fail_after(AT_ONCE), refused:
                await store.read("sparse")
        store.close()


@pytest.mark.parametrize(
    ("data", "encoding", "words"),
    [
        (b"gr\xfc\xdfe", "utf-8", "not utf-8 text; if it is text in another encoding, name it"),
        (b"\x89PNG\0\0", "utf-8", "a binary file"),
        (b"ab\0", "latin-1", "a binary file"),
        (b"a\0b", "utf-16", "not utf-16 text"),
        (b"text\xc3", "utf-8", "not utf-8 text"),
    ],
)
@pytest.mark.parametrize("lines", [Lines(), Lines(last=1)])
async def test_what_is_no_text_says_so(
    files: RootedFiles, root: Path, data: bytes, encoding: str, words: str, lines: Lines
) -> None:
    (root / "text").write_bytes(data)
    with pytest.raises(NotText, match=rf"^text: this is {words}"):
        await read(files, lines, encoding)
