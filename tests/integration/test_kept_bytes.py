"""Edits and appended text leave every other byte of a file as it is, in every encoding."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.builtins import Builtins, builtins, text_of

pytestmark = pytest.mark.anyio

MARK = "\ufeff"
LE, BE = "utf-16-le", "utf-16-be"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Builtins]:
    async with builtins(tmp_path, read_bytes=1 << 20, write_bytes=1 << 20) as served:
        yield served


async def edited(server: Builtins, data: bytes, encoding: str | None, *edits: tuple[str, str]) -> bytes:
    """Return a file with these contents after edits that must succeed."""
    (server.root / "text").write_bytes(data)
    named = {} if encoding is None else {"encoding": encoding}
    wanted = [{"old_text": old, "new_text": new, "replace_all": True} for old, new in edits]
    result = await server.call("edit_file", path="text", edits=wanted, **named)
    assert not result.is_error, text_of(result)
    return (server.root / "text").read_bytes()


@pytest.mark.parametrize(
    ("form", "names"),
    [
        (LE, [None, "utf-8", "utf-16", LE, BE, "utf-8-sig"]),
        (BE, [None, "utf-8", "utf-16", LE, BE]),
        ("utf-32-le", [None, "utf-32", "utf-32-be"]),
        ("utf-32-be", [None, "utf-32", "utf-32-le"]),
        ("utf-8", [None, "utf-8", "utf-8-sig"]),
    ],
)
@pytest.mark.parametrize(("old", "new"), [("port=1", "port=2"), ("a\n", "ä\n"), ("a", ""), ("=1\n", "=1 😀\nend\n")])
async def test_a_file_with_a_byte_order_mark_keeps_it_under_every_name(
    server: Builtins, form: str, names: list[str | None], old: str, new: str
) -> None:
    text = "a\nport=1\n"
    for name in names:
        data = (MARK + text).encode(form)
        assert await edited(server, data, name, (old, new)) == (MARK + text.replace(old, new)).encode(form)


@pytest.mark.parametrize(
    ("form", "name"),
    [("utf-8", "utf-8-sig"), ("utf-8", None), (LE, "utf-16"), (LE, LE), (BE, BE), ("utf-32-be", "utf-32-be")],
)
async def test_a_file_without_a_byte_order_mark_gets_none(server: Builtins, form: str, name: str | None) -> None:
    data = "a\nport=1\n".encode(form)
    assert await edited(server, data, name, ("port=1", "port=2")) == "a\nport=2\n".encode(form)


async def test_an_edit_sees_the_text_that_a_read_returns(server: Builtins) -> None:
    for form, name in (("utf-8", None), ("utf-8", "utf-8-sig"), (BE, None), (BE, "utf-16"), (BE, BE)):
        (server.root / "text").write_bytes((MARK + "one\n").encode(form))
        named = {} if name is None else {"encoding": name}
        text = text_of(await server.call("read_file", path="text", **named))
        edits = [{"old_text": text, "new_text": text.replace("one", "two")}]
        assert not (await server.call("edit_file", path="text", edits=edits, **named)).is_error
        assert (server.root / "text").read_bytes() == (MARK + "two\n").encode(form)


@pytest.mark.parametrize(
    ("codec", "before", "old", "new", "after"),
    [
        ("cp932", b"\xfa\x4a\x87\x54 a=1 \xee\xf9", "=1", "=表", b"\xfa\x4a\x87\x54 a=\x95\x5c \xee\xf9"),
        ("shift_jis", b"\x83\x5c\x83\x5c a\\b\n", "ソ a", "ソ b", b"\x83\x5c\x83\x5c b\\b\n"),
        ("gb18030", b"\xa8\xbb\x81\x30\x81\x30\xfe\x50 x", " x", " 的", b"\xa8\xbb\x81\x30\x81\x30\xfe\x50 \xb5\xc4"),
        ("iso2022_jp", b"\x1b$B\x1b$B$\"\x1b(B\x1b(B a\n", "a", "い", b"\x1b$B\x1b$B$\"\x1b(B\x1b(B \x1b$B$$\x1b(B\n"),
        ("iso2022_jp", b"x\x1b$B$\"$$$&\x1b(By\n", "い", "え", b"x\x1b$B$\"$($&\x1b(By\n"),
        ("iso2022_jp", b"x\x1b$B$\"$$$&\x1b(By\n", "い", "-", b"x\x1b$B$\"\x1b(B-\x1b$B$&\x1b(By\n"),
        ("iso2022_jp", b"\x1b$B$\"\x1b(J a \x1b$B$$\x1b(J\n", "a", "x", b"\x1b$B$\"\x1b(J x \x1b$B$$\x1b(J\n"),
        ("iso2022_kr", b"\x1b$)C\x0eGQ\x0f a\n", "a", "b\nc", b"\x1b$)C\x0eGQ\x0f b\nc\n"),
        ("hz", b"~{<:Ky2;~}~~ a ~{VPVP~}\n", "中中", "中国", b"~{<:Ky2;~}~~ a ~{VP9z~}\n"),
        ("euc_jis_2004", b"\xa4\xf7 a \xa4\xab\xa1\xab\n", "a", "b", b"\xa4\xf7 b \xa4\xab\xa1\xab\n"),
        ("euc_jis_2004", b"\xa4\xf8\xa4\xf8x", "\u309a", "", b"\xa4\xad\xa4\xadx"),
        ("big5hkscs", b"\x88\x62", "\u0304", "Ê", b"\x88\x66\x88\x66"),
        ("big5hkscs", b"\x88\x62 a \xa1\xc3\n", "a", "Ê̄", b"\x88\x62 \x88\x62 \xa1\xc3\n"),
        ("cp1252", b"\x80 a \xe9\r\n", "a", "œ", b"\x80 \x9c \xe9\r\n"),
        ("utf-8", b"e\xcc\x81 \xc3\xa9 a\n", "a", "é", b"e\xcc\x81 \xc3\xa9 \xc3\xa9\n"),
    ],
)  # fmt: skip
async def test_characters_that_have_several_spellings_keep_theirs(
    server: Builtins, codec: str, before: bytes, old: str, new: str, after: bytes
) -> None:
    assert await edited(server, before, codec, (old, new)) == after


async def test_many_edits_far_apart_leave_the_rest(server: Builtins) -> None:
    for codec, odd in (
        ("cp932", b"\xfa\x4a\xed\x40"),
        ("iso2022_jp", b'\x1b$B\x1b$B$"\x1b(B'),
        ("gb18030", b"\xfe\x50"),
    ):
        line = odd + b" key=1\n"
        changed = line.replace(b"key=1", "値=2".encode(codec) if codec != "gb18030" else "值=2".encode(codec))
        new = "值=2" if codec == "gb18030" else "値=2"
        assert await edited(server, line * 5000, codec, ("key=1", new)) == changed * 5000


@pytest.mark.parametrize(
    ("codec", "data", "old", "new", "words"),
    [
        ("iso2022_jp", b"\x1b$B$\"\x1b$B$$$&\x1b(B\n", "い", "え", "would change bytes of the text around it"),
        ("shift_jis", b"price 1\n", "1", "¥1", "cannot encode some of the new text: ¥ (U+00A5)"),
        ("latin-1", b"caf\xe9\n", "caf", "€", "cannot encode some of the new text: € (U+20AC)"),
        ("ascii", b"a\n", "a", "ä", "cannot encode some of the new text"),
        ("utf-16", b"\xff\xfea", "a", "b", "this is not utf-16 text"),
        ("utf-8", b"\xff\xfe\0\xd8\0\0", "a", "b", "this is not utf-16-le (its byte-order mark) text"),
        ("utf-8", b"\xfe\xff\0ab", "a", "b", "this is not utf-16-be (its byte-order mark) text"),
        ("latin-1", b"\xff\xfea\0", "a", "bc", "begins with the byte-order mark of utf-16-le"),
        ("cp932", b"\xfe\xff\0a", "a", "bc", "begins with the byte-order mark of utf-16-be"),
        ("cp1252", b"\0\0\xfe\xff\0\0\0a", "a", "b", "begins with the byte-order mark of utf-32-be"),
        ("koi8-r", b"a\n", "a", "\u65e5a\u672c\u65e5\x9f", "text: \u65e5 (U+65E5), \u672c (U+672C), U+009F"),
        ("utf-7", b"a+AGEAYg-\n", "a", "b", "no such text encoding"),
    ],
)  # fmt: skip
async def test_an_edit_that_cannot_keep_the_rest_is_refused(
    server: Builtins, codec: str, data: bytes, old: str, new: str, words: str
) -> None:
    (server.root / "text").write_bytes(data)
    for dry_run in (True, False):
        edits = [{"old_text": old, "new_text": new}]
        result = await server.call("edit_file", path="text", edits=edits, encoding=codec, dry_run=dry_run)
        assert result.is_error
        assert words in text_of(result)
        assert (server.root / "text").read_bytes() == data


class TestAppending:
    async def appended(self, server: Builtins, data: bytes | None, name: str, content: str) -> bytes:
        """Return a file after text was appended to it."""
        if data is not None:
            (server.root / "log").write_bytes(data)
        result = await server.call("write_file", path="log", content=content, mode="append", encoding=name)
        assert not result.is_error, text_of(result)
        return (server.root / "log").read_bytes()

    @pytest.mark.parametrize(
        ("form", "name"),
        [
            (LE, "utf-16"), (BE, "utf-16"), (BE, LE), (LE, "utf-8"), (BE, "utf-8"),
            ("utf-32-le", "utf-32"), ("utf-32-be", "utf-32"), ("utf-8", "utf-8-sig"), ("utf-8", "utf-8"),
        ],
    )  # fmt: skip
    async def test_appended_text_takes_the_byte_order_of_the_file_and_no_mark(
        self, server: Builtins, form: str, name: str
    ) -> None:
        assert await self.appended(server, f"{MARK}one\n".encode(form), name, "zwölf 😀\n") == (
            f"{MARK}one\nzwölf 😀\n".encode(form)
        )

    @pytest.mark.parametrize(
        ("form", "name"), [(LE, "utf-16"), (BE, BE), ("utf-8", "utf-8-sig"), ("latin-1", "latin-1")]
    )
    async def test_a_file_without_a_mark_gets_none(self, server: Builtins, form: str, name: str) -> None:
        assert await self.appended(server, "one\n".encode(form), name, "zwölf\n") == "one\nzwölf\n".encode(form)

    @pytest.mark.parametrize("name", ["utf-16", "utf-8-sig", "utf-32", "utf-8", BE, "cp932"])
    @pytest.mark.parametrize("data", [None, b""])
    async def test_text_appended_to_nothing_is_written_as_a_new_file(
        self, server: Builtins, data: bytes | None, name: str
    ) -> None:
        assert await self.appended(server, data, name, "one\n") == "one\n".encode(name)

    async def test_a_mark_of_the_content_is_not_doubled(self, server: Builtins) -> None:
        for name in ("utf-8-sig", "utf-16", "utf-32"):
            await server.call("write_file", path="log", content=f"{MARK}one\n", encoding=name)
            assert (server.root / "log").read_bytes() == "one\n".encode(name)
            once = "one\ntwo\n".encode(name)
            assert await self.appended(server, None, name, f"{MARK}two\n") == once

    @pytest.mark.parametrize(
        ("data", "name", "content", "words"),
        [
            (
                f"{MARK}one\n".encode(LE),
                "latin-1",
                "two\n",
                "log: the file begins with the byte-order mark of utf-16-le",
            ),
            (f"{MARK}one\n".encode(), "cp1252", "zwölf\n", "log: the file begins with the byte-order mark of utf-8"),
            (f"{MARK}one\n".encode(), "utf-16", "two\n", "byte-order mark of utf-8: append in that encoding"),
            (b"one\n", "ascii", "zwölf\n", "ascii cannot encode"),
            (b"one\n", "shift_jis", "¥\n", "shift_jis cannot encode: ¥ (U+00A5); the file has that encoding"),
            (b"", "cp932", "1〜2\n", "cp932 cannot encode: 〜 (U+301C); replace them, or use utf-8"),
        ],
    )
    async def test_text_that_does_not_fit_the_file_is_refused(
        self, server: Builtins, data: bytes, name: str, content: str, words: str
    ) -> None:
        (server.root / "log").write_bytes(data)
        result = await server.call("write_file", path="log", content=content, mode="append", encoding=name)
        assert result.is_error
        assert words in text_of(result)
        assert (server.root / "log").read_bytes() == data

    async def test_ascii_fits_a_file_with_a_mark_of_utf_8(self, server: Builtins) -> None:
        assert await self.appended(server, f"{MARK}a\n".encode(), "latin-1", "b\n") == f"{MARK}a\nb\n".encode()
