"""The file tools and file resources with real files: results, continuation and errors."""

import hashlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.builtins import Builtins, builtins, text_of
from tests.support.channels import request_by
from tests.support.files import LIMIT
from tfo_mcp.domain.content import BlobContents, Text, TextContents
from tfo_mcp.domain.errors import FileMissing, OperationFailed
from tfo_mcp.domain.resource import Resource, ResourceTemplate

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Builtins]:
    async with builtins(tmp_path) as served:
        yield served


class TestReading:
    async def test_text_is_read_whole_or_by_lines(self, server: Builtins) -> None:
        (server.root / "text").write_text("one\ntwo\nthree\n")
        assert text_of(await server.call("read_file", path="text")) == "one\ntwo\nthree\n"
        assert text_of(await server.call("read_file", path="text", offset=2, limit=1)) == "two\n"
        assert text_of(await server.call("read_file", path="text", head=2)) == "one\ntwo\n"
        assert text_of(await server.call("read_file", path="text", tail=1)) == "three\n"
        assert text_of(await server.call("read_file", path="file:///text", offset=3)) == "three\n"

    async def test_a_long_text_is_cut_and_the_answer_says_how_to_go_on(self, server: Builtins) -> None:
        (server.root / "text").write_text("x" * 99 + "\n" + ("y" * 99 + "\n") * 20)
        first, note = (await server.call("read_file", path="text")).content
        assert isinstance(first, Text)
        assert len(first.text) == LIMIT
        assert note == Text("[Truncated after line 10. Continue with offset=11.]")
        following = (await server.call("read_file", path="text", offset=11)).content
        assert following[1] == Text("[Truncated after line 20. Continue with offset=21.]")
        assert text_of(await server.call("read_file", path="text", offset=21)) == "y" * 99 + "\n"

    async def test_a_line_too_long_and_an_end_too_long_say_so(self, server: Builtins) -> None:
        (server.root / "text").write_text("x" * 5000 + "\nend\n")
        assert (await server.call("read_file", path="text")).content[1] == Text(
            "[Truncated in line 1. Continue with offset=1 and column=1001.]"
        )
        cut = (await server.call("read_file", path="text", tail=2)).content
        assert cut[0] == Text("end\n")
        assert cut[1] == Text("[Truncated: earlier text is omitted. To read the whole file, start with offset=1.]")

    async def test_text_is_read_in_the_encoding_that_is_named(self, server: Builtins) -> None:
        (server.root / "latin").write_bytes("grüße".encode("latin-1"))
        assert text_of(await server.call("read_file", path="latin", encoding="latin-1")) == "grüße"

    async def test_a_longer_text_in_another_encoding_is_not_sent_as_base64(self, tmp_path: Path) -> None:
        (tmp_path / "long").write_bytes("grüße\n".encode("latin-1") * 200)
        async with builtins(tmp_path, read_bytes=10_000) as server:
            refused = await server.call("read_file", path="long")
            assert (refused.is_error, "encoding=latin-1" in text_of(refused)) == (True, True)
            assert text_of(await server.call("read_file", path="long", encoding="latin-1")) == "grüße\n" * 200

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"path": "text", "head": 1, "tail": 1}, "Give one of"),
            ({"path": "text", "head": 1, "offset": 1}, "Give one of"),
            ({"path": "text", "column": 1, "tail": 1}, "Give one of"),
            ({"path": "text", "offset": 4}, "text: the file has fewer than 4 lines"),
            ({"path": "text", "offset": 4, "column": 2}, "text: the file has fewer than 4 lines"),
            ({"path": "text", "offset": 2, "column": 3}, "text: line 2 has only 2 characters"),
            ({"path": "text", "offset": 3, "column": 9}, "text: line 3 has only 2 characters"),
            ({"path": "binary", "head": 1}, "binary: this is a binary file"),
            (
                {"path": "latin", "encoding": "ascii"},
                "latin: this is not ascii text; if it is text in another encoding",
            ),
            ({"path": "large"}, f"large: 2000 bytes are over the limit of {LIMIT} bytes"),
            ({"path": "text", "encoding": "klingon"}, "klingon: no such text encoding; try utf-8"),
            ({"path": "text", "encoding": "rot13"}, "rot13: no such text encoding"),
            ({"path": "text", "encoding": "zlib"}, "zlib: no such text encoding"),
            ({"path": "text", "encoding": "utf_7"}, "utf_7: no such text encoding"),
            ({"path": "text", "encoding": "un\0known"}, "no such text encoding"),
            ({"path": "../x"}, "../x: outside the directories that this server may use (files.roots)"),
        ],
    )
    async def test_what_cannot_be_read_says_what_to_change(
        self, server: Builtins, arguments: dict[str, object], words: str
    ) -> None:
        (server.root / "text").write_text("1\n2\n3\n")
        (server.root / "latin").write_bytes(b"gr\xfc\xdfe")
        (server.root / "binary").write_bytes(b"\0")
        (server.root / "large").write_bytes(b"\0" * 2000)
        result = await server.call("read_file", **arguments)
        assert result.is_error
        assert words in text_of(result)


class TestChanging:
    async def test_a_file_is_written_listed_found_and_described(self, server: Builtins) -> None:
        written = await server.call("write_file", path="a/b.txt", content="grüße", create_dirs=True)
        assert written.structured == {"path": "a/b.txt", "bytes_written": 7, "size": 7}
        more = await server.call("write_file", path="a/b.txt", content="\n", mode="append")
        assert more.structured == {"path": "a/b.txt", "bytes_written": 1, "size": 8}
        os.utime(server.root / "a" / "b.txt", (10**9, 10**9))
        listed = (await server.call("list_directory", recursive=True)).structured
        assert listed["entries"][1] == {
            "path": "a/b.txt", "type": "file", "size": 8, "modified": "2001-09-09T01:46:40Z", "uri": None
        }  # fmt: skip
        assert (listed["truncated"], listed["next_cursor"]) == (False, None)
        found = (await server.call("search_files", pattern="*.txt")).structured
        assert found == {
            "entries": listed["entries"][1:], "matches": [], "count": 1, "truncated": False, "timed_out": False,
            "next_offset": None,
        }  # fmt: skip
        lines = (await server.call("search_files", contents="gr.+e", context=1)).structured
        assert lines["matches"] == [
            {"path": "a/b.txt", "line": 1, "text": "grüße", "before": [], "after": [], "uri": None, "column": 1}
        ]
        info = (await server.call("file_info", path="a/b.txt", digest=True)).structured
        assert info["sha256"] == hashlib.sha256("grüße\n".encode()).hexdigest()
        assert (info["type"], info["size"], info["mime_type"]) == ("file", 8, "text/plain")

    async def test_pages_of_a_directory_are_read_one_after_the_other(self, server: Builtins) -> None:
        for number in range(5):
            (server.root / f"{number}").touch()
        page = (await server.call("list_directory", max_results=3)).structured
        assert [entry["path"] for entry in page["entries"]] == ["0", "1", "2"]
        rest = (await server.call("list_directory", max_results=3, cursor=page["next_cursor"])).structured
        assert [entry["path"] for entry in rest["entries"]] == ["3", "4"]

    async def test_an_edit_answers_with_a_diff(self, server: Builtins) -> None:
        (server.root / "text").write_text("one\ntwo\n")
        edits = [{"old_text": "two", "new_text": "2"}]
        shown = await server.call("edit_file", path="text", edits=edits, dry_run=True)
        diff = "--- text\n+++ text\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n"
        assert text_of(shown) == diff
        assert shown.structured == {"path": "text", "diff": diff, "replacements": 1, "written": False}
        assert (await server.call("edit_file", path="text", edits=edits)).structured["written"]
        assert (server.root / "text").read_text() == "one\n2\n"
        same = await server.call("edit_file", path="text", edits=[{"old_text": "2", "new_text": "2"}])
        assert text_of(same) == "No changes."

    async def test_files_are_moved_and_deleted(self, server: Builtins) -> None:
        (server.root / "one").touch()
        moved = await server.call("move_file", source="one", destination="d/two", create_dirs=True)
        assert moved.structured == {"source": "one", "destination": "d/two"}
        assert (await server.call("delete_file", path="d", recursive=True)).structured == {"path": "d", "deleted": 2}
        assert os.listdir(server.root) == []

    @pytest.mark.parametrize(
        ("tool", "arguments", "words"),
        [
            ("write_file", {"path": "x", "content": "é", "encoding": "ascii"}, "ascii cannot encode"),
            ("write_file", {"path": "x", "content": "x" * (LIMIT + 1)}, "x: 1001 bytes are over the limit of 1000"),
            ("write_file", {"path": "none/x", "content": ""}, "set create_dirs to true"),
            ("search_files", {}, "Give a name pattern (`pattern`), a regular expression (`contents`), or both"),
            ("search_files", {"contents": "("}, "The expression is not valid: unclosed group"),
            ("list_directory", {"cursor": "?"}, "The cursor is not valid"),
            ("file_info", {"path": "none"}, "none: no such file or directory"),
        ],
    )
    async def test_what_cannot_be_done_says_what_to_change(
        self, server: Builtins, tool: str, arguments: dict[str, object], words: str
    ) -> None:
        result = await server.call(tool, **arguments)
        assert result.is_error
        assert words in text_of(result)


class TestResources:
    async def test_a_file_is_read_by_its_absolute_and_by_its_relative_uri(self, server: Builtins) -> None:
        (server.root / "a b.md").write_text("# Hi")
        for uri in (f"{server.root.as_uri()}/a%20b.md", "file:///a%20b.md"):
            assert await server.read(uri) == TextContents(uri, "# Hi", "text/markdown")

    @pytest.mark.parametrize(
        ("name", "data", "mime_type"),
        [
            ("a.json", b"{}", "application/json"),
            ("a.ts", b"let a", "text/plain"),
            ("a", b"text", "text/plain"),
            ("a.png", b"text", "text/plain"),
            ("a.png", b"\x89PNG", "application/octet-stream"),
            ("a.png", b"\x89PNG\r\n\x1a\n\0", "image/png"),
            ("a.txt", b"\xff\xd8\xff\xe0", "image/jpeg"),
            ("a.svg", b"<svg/>", "image/svg+xml"),
            ("a.zip", b"PK\3\4\0", "application/zip"),
            ("a.txt", b"\0", "application/octet-stream"),
            ("a", b"\xff", "application/octet-stream"),
        ],
    )
    async def test_a_file_has_the_type_of_its_contents_or_that_of_its_name_if_they_agree(
        self, server: Builtins, name: str, data: bytes, mime_type: str
    ) -> None:
        (server.root / name).write_bytes(data)
        contents = await server.read(f"file:///{name}")
        assert contents.mime_type == mime_type
        assert (contents.data if isinstance(contents, BlobContents) else contents.text.encode()) == data

    async def test_a_file_whose_name_is_no_text_is_read_by_its_uri(self, server: Builtins) -> None:
        with open(os.fsencode(server.root) + b"/\xff", "w") as file:
            file.write("odd")
        for uri in (f"{server.root.as_uri()}/%FF", "file:///%FF"):
            assert await server.read(uri) == TextContents(uri, "odd", "text/plain")

    async def test_each_root_is_a_resource_that_lists_what_it_holds(self, server: Builtins) -> None:
        (server.root / "d").mkdir()
        (server.root / "f").write_text("12")
        root = server.definitions[server.root.as_uri()]
        assert isinstance(root, Resource)
        assert (root.name, root.mime_type) == (server.root.name, "inode/directory")
        contents = await server.read(server.root.as_uri())
        assert isinstance(contents, TextContents)
        assert json.loads(contents.text) == {
            "entries": [{"path": "d", "type": "directory", "size": None}, {"path": "f", "type": "file", "size": 2}],
            "truncated": False,
        }
        assert await server.read("file:///d") == TextContents(
            "file:///d", '{"entries":[],"truncated":false}', "application/json"
        )

    @pytest.mark.parametrize("path", ["%2e%2e/x", "..%2fx", "etc/passwd", "%2Fetc/passwd", "a%00b", "none"])
    async def test_no_uri_leads_out_of_the_roots(self, server: Builtins, path: str) -> None:
        (server.root.parent / "x").write_text("secret")
        with pytest.raises((OperationFailed, FileMissing)):
            await server.read(f"file:///{path}")

    async def test_paths_are_completed(self, server: Builtins) -> None:
        (server.root / "notes").mkdir()
        (server.root / "notes.txt").touch()
        template = server.definitions["file:///{path}"]
        assert isinstance(template, ResourceTemplate)
        found = await template.completers["path"]("no", {}, request_by(root=str(server.root)))
        assert list(found) == ["notes/", "notes.txt"]
