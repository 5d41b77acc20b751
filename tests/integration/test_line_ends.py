"""Edits match line ends of every kind, and leave those of the file."""

from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import anyio
import pytest

from tests.support.builtins import Builtins, builtins, text_of
from tests.support.deadlines import PATIENCE

pytestmark = pytest.mark.anyio

KINDS = ("\n", "\r\n", "\r")
SIZE = 1 << 20


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Builtins]:
    async with builtins(tmp_path, read_bytes=SIZE, write_bytes=SIZE) as served:
        yield served


async def edited(server: Builtins, text: str, *edits: tuple[str, str], everywhere: bool = False) -> str:
    """Return a text after edits that must succeed."""
    (server.root / "text").write_bytes(text.encode())
    wanted = [{"old_text": old, "new_text": new, "replace_all": everywhere} for old, new in edits]
    result = await server.call("edit_file", path="text", edits=wanted)
    assert not result.is_error, text_of(result)
    return (server.root / "text").read_bytes().decode()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("one\ntwo\n", "1\n2\n"),
        ("two", "two\nmore"),
        ("two\n", ""),
        ("\n", ""),
        ("one\n", "one\n\n\n"),
        ("\nthree", "\n3"),
        ("one\ntwo\nthree\n", "one\nnew\ntwo\n"),
        ("three\n", "three\nfour\nfive"),
        ("one", "zero\none"),
    ],
)
async def test_an_edit_fits_files_with_every_kind_of_line_end(server: Builtins, old: str, new: str) -> None:
    text = "one\ntwo\nthree\n"
    for kind, given in product(KINDS, ("\n", "\r\n")):
        changed = await edited(
            server, text.replace("\n", kind), (old.replace("\n", given), new.replace("\n", given)), everywhere=True
        )
        assert changed == text.replace(old, new).replace("\n", kind)


async def test_line_ends_of_the_old_and_of_the_new_text_may_differ(server: Builtins) -> None:
    for kind, (old, new) in product(KINDS, product(("\n", "\r\n"), repeat=2)):
        assert await edited(server, f"a{kind}b{kind}", (f"a{old}b", f"c{new}d{new}e")) == f"c{kind}d{kind}e{kind}"


async def test_each_edit_fits_what_the_edits_before_it_made(server: Builtins) -> None:
    for kind in KINDS:
        edits = [("one\ntwo", "1\n2\n3"), ("1\n2\n", "first\n"), ("first\n3\nthree", "all\n")]
        assert await edited(server, f"one{kind}two{kind}three{kind}", *edits) == f"all{kind}{kind}"


async def test_occurrences_are_counted_whatever_their_line_ends(server: Builtins) -> None:
    text = "a\r\nb\nx\na\nb\r\nx\na\rb\n"
    (server.root / "text").write_bytes(text.encode())
    result = await server.call("edit_file", path="text", edits=[{"old_text": "a\nb", "new_text": "c"}])
    assert result.is_error
    assert "Edit 1: this text occurs 3 times (lines 1, 4, 7)" in text_of(result)
    assert await edited(server, text, ("a\nb", "c"), everywhere=True) == "c\nx\nc\r\nx\nc\n"
    assert await edited(server, text, ("a\r\nb", "a\r\nB"), everywhere=True) == text.replace("b", "B")


@pytest.mark.parametrize(
    ("text", "old", "new", "expected"),
    [
        ("a\r\nb\nc\r", "a\nb\nc\n", "A\nB\nC\n", "A\r\nB\nC\r"),
        ("a\r\nb\nc\r\n", "a\nb\nc\n", "a\nx\nb\nc\n", "a\r\nx\r\nb\nc\r\n"),
        ("a\nb\r\nc\n", "b", "b\nx", "a\nb\r\nx\r\nc\n"),
        ("a\nb\r\nc\n", "a", "a\nx", "a\nx\nb\r\nc\n"),
        ("a\nb\r\nlast", "last", "last\nx", "a\nb\r\nlast\r\nx"),
        ("a\r\nb\nc\r\nd\n", "b\nc\n", "", "a\r\nd\n"),
        ("a\r\nb\nc\r\nd\n", "a\nb\nc\nd\n", "d\nc\n", "d\nc\n"),
        ("a\r\nb\nc\r\nd\n", "a\nb\nc\nd", "a\nd", "a\r\nd\n"),
        ("a\r\nb\nb\r\n", "b\n", "b\nx\n", "a\r\nb\nx\nb\r\nx\r\n"),
        ("no end", "no", "yes\nno", "yes\nno end"),
        ("no end", "no", "yes\r\nno", "yes\r\nno end"),
        ("a\r\r\nb", "a\n", "a", "a\r\nb"),
    ],
)
async def test_lines_of_a_mixed_file_keep_their_ends(
    server: Builtins, text: str, old: str, new: str, expected: str
) -> None:
    assert await edited(server, text, (old, new), everywhere=True) == expected


@pytest.mark.parametrize(
    ("text", "old", "new", "expected"),
    [
        ("a\r\nb\r\n", "\r\n", "\n", "a\nb\n"),
        ("a\nb\n", "\n", "\r\n", "a\r\nb\r\n"),
        ("a\r\nb\nc\r\n", "\r\n", "\n", "a\nb\nc\n"),
        ("a\r\nb\r\n", "\r", "", "a\nb\n"),
        ("a\rb\r", "\r", "\n", "a\nb\n"),
        ("a\rb\n", "a\rb", "a\nb", "a\nb\n"),
        ("a\r\nb\nc\r\n", "\n", "\r\n", "a\r\nb\r\nc\r\n"),
        ("a\r\nb\nc\n", "\n", "\r", "a\r\nb\rc\r"),
        ("a\r\nb\rc\r", "\r", "\n", "a\r\nb\nc\n"),
        ("a\r\nb\r\n", "\r", "\n", "a\r\nb\r\n"),
        ("10%\r20%\n", "10%\r20%", "done", "done\n"),
        ("a\r\nb\r\n", "a\nb", "a\r\nb", "a\r\nb\r\n"),
    ],
)
async def test_an_edit_of_the_line_ends_themselves_is_literal(
    server: Builtins, text: str, old: str, new: str, expected: str
) -> None:
    assert await edited(server, text, (old, new), everywhere=True) == expected


async def test_the_diff_shows_the_line_ends_of_the_file(server: Builtins) -> None:
    (server.root / "text").write_bytes(b"one\r\ntwo\r\n")
    result = await server.call("edit_file", path="text", edits=[{"old_text": "two\n", "new_text": "2\n3\n"}])
    assert text_of(result) == "--- text\n+++ text\n@@ -1,2 +1,3 @@\n one\r\n-two\r\n+2\r\n+3\r\n"
    same = await server.call("edit_file", path="text", edits=[{"old_text": "2\n3", "new_text": "2\r\n3"}])
    assert text_of(same) == "No changes."


@pytest.mark.parametrize(
    ("text", "old"),
    [
        ("\n" * 400_000 + "\r\n" * 200_000, "\n" * 200_000 + "x"),
        ("a\r\nb\n" * 100_000, "b\na\n"),
        ("ab" * 300_000 + "\r\n\n", "b"),
        ("a" * 500_000 + "\r\n\n", "a" * 100_000 + "\n\nb"),
    ],
)
async def test_texts_of_any_shape_are_matched_in_time(server: Builtins, text: str, old: str) -> None:
    (server.root / "text").write_bytes(text.encode())
    edits = [{"old_text": old, "new_text": "x\n", "replace_all": True}]
    with anyio.fail_after(PATIENCE):
        await server.call("edit_file", path="text", edits=edits, dry_run=True)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "utf-32", "cp1252", "shift_jis"])
async def test_appended_text_has_the_last_line_end_of_the_file(server: Builtins, encoding: str) -> None:
    for kind, given in product(KINDS, ("\n", "\r\n")):
        for text in (f"one{kind}two{kind}", f"one{kind}two", f"{kind}" + "x" * 100_000 + kind):
            (server.root / "text").write_bytes(text.encode(encoding))
            appended = {"path": "text", "mode": "append", "encoding": encoding, "content": f"three{given}four{given}"}
            result = await server.call("write_file", **appended)
            assert not result.is_error, text_of(result)
            assert (server.root / "text").read_bytes().decode(encoding) == f"{text}three{kind}four{kind}"


@pytest.mark.parametrize(
    ("text", "content", "expected"),
    [
        ("one\ntwo\r\n", "three\n", "one\ntwo\r\nthree\r\n"),
        ("one\r\ntwo\n", "three\r\n", "one\r\ntwo\nthree\n"),
        ("one", "\r\ntwo\n", "one\r\ntwo\n"),
        ("", "a\r\nb\n", "a\r\nb\n"),
        ("one\r\n", "a\rb\n", "one\r\na\rb\r\n"),
    ],
)
async def test_appended_text_fits_the_end_of_a_mixed_file(
    server: Builtins, text: str, content: str, expected: str
) -> None:
    (server.root / "text").write_bytes(text.encode())
    assert not (await server.call("write_file", path="text", mode="append", content=content)).is_error
    assert (server.root / "text").read_bytes().decode() == expected
