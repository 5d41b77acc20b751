"""Listing and finding files below the roots, on a real file system: order, pages, limits, links and odd names."""

import os
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from tests.support.files import ENTRIES, rooted
from tfo_mcp.application.ports import FileType, Filter, Listing
from tfo_mcp.domain.errors import FileMissing, OperationFailed
from tfo_mcp.infrastructure.files import RootedFiles

AT_ONCE = 1.0  # maximum seconds of a result or a refusal
DEEPEST = 64

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with `notes.txt`, `docs/guide.md` and `docs/deep/more.md`, and a secret outside of it."""
    root = tmp_path / "root"
    (root / "docs" / "deep").mkdir(parents=True)
    (root / "notes.txt").write_text("notes")
    (root / "docs" / "guide.md").write_text("guide")
    (root / "docs" / "deep" / "more.md").write_text("more")
    (tmp_path / "secret.txt").write_text("secret")
    return root


@pytest.fixture
def files(root: Path) -> Iterator[RootedFiles]:
    store = rooted(root)
    yield store
    store.close()


def paths(listing: Listing) -> list[str]:
    return [entry.path for entry in listing.entries]


async def listed(
    files: RootedFiles, path: str, depth: int | None = 1, cursor: str | None = None, most: int | None = None
) -> Listing:
    return await files.list(path, depth=depth, cursor=cursor, most=most)


async def found(files: RootedFiles, path: str, pattern: str | None, *exclude: str, ignored: bool = False) -> list[str]:
    return paths(await files.find(path, Filter(pattern, exclude, ignored), most=None))


class TestListing:
    async def test_a_directory_is_listed_in_order_with_types_sizes_and_times(
        self, files: RootedFiles, root: Path
    ) -> None:
        (root / "a.txt").write_bytes(b"12345")
        os.utime(root / "a.txt", (1_000_000_000, 1_000_000_000))
        (root / "link").symlink_to("..")
        os.mkfifo(root / "pipe")
        listing = await listed(files, ".")
        expected: list[tuple[str, FileType, int | None]] = [
            ("a.txt", "file", 5),
            ("docs", "directory", None),
            ("link", "symlink", None),
            ("notes.txt", "file", 5),
            ("pipe", "other", None),
        ]
        assert [(entry.path, entry.type, entry.size) for entry in listing.entries] == expected
        assert listing.entries[0].modified == 1_000_000_000
        assert not listing.truncated

    async def test_a_recursive_listing_goes_into_directories_and_never_through_links(
        self, files: RootedFiles, root: Path
    ) -> None:
        (root / "docs" / "out").symlink_to("../..")
        (root / "docs" / "loop").symlink_to(".")
        (root / "docs-more").mkdir()
        assert paths(await listed(files, ".", None)) == [
            "docs",
            "docs/deep",
            "docs/deep/more.md",
            "docs/guide.md",
            "docs/loop",
            "docs/out",
            "docs-more",
            "notes.txt",
        ]

    async def test_so_many_levels_are_listed_as_are_asked_for(self, files: RootedFiles) -> None:
        assert paths(await listed(files, ".", 2)) == ["docs", "docs/deep", "docs/guide.md", "notes.txt"]

    @pytest.mark.parametrize("size", [1, 2, 3, 6])
    async def test_pages_together_are_the_whole_listing_and_nothing_twice(
        self, files: RootedFiles, root: Path, size: int
    ) -> None:
        for name in ("docs/deep/a", "docs/deep/b", "docs.d", "docs/z", "a/b/c/d"):
            (root / name).mkdir(parents=True)
        whole = await listed(files, ".", None)
        pages, cursor = [], None
        while True:
            page = await listed(files, ".", None, cursor, size)
            pages += paths(page)
            assert page.truncated == (page.cursor is not None)
            if page.cursor is None:
                break
            assert len(page.entries) == size
            cursor = page.cursor
        assert pages == paths(whole)
        assert len(pages) > 2 * size

    async def test_a_page_goes_on_after_an_entry_that_has_gone_meanwhile(self, files: RootedFiles, root: Path) -> None:
        first = await listed(files, "docs", None, None, 2)
        assert paths(first) == ["deep", "deep/more.md"]
        (root / "docs" / "deep" / "more.md").unlink()
        (root / "docs" / "deep").rmdir()
        assert paths(await listed(files, "docs", None, first.cursor, 2)) == ["guide.md"]

    @pytest.mark.parametrize("cursor", ["?", "", "é", "====", "a" * 1001])
    async def test_a_cursor_that_is_none_is_refused(self, files: RootedFiles, cursor: str) -> None:
        with pytest.raises(OperationFailed, match="cursor is not valid"):
            await listed(files, ".", 1, cursor)

    async def test_a_long_listing_is_cut_and_says_so(self, files: RootedFiles, root: Path) -> None:
        (root / "many").mkdir()
        for number in range(ENTRIES):
            (root / "many" / f"{number:03}").touch()
        whole = await listed(files, "many")
        (root / "many" / "zzz").touch()
        part = await listed(files, "many")
        assert len(whole.entries) == ENTRIES
        assert not whole.truncated
        assert (part.entries, part.truncated) == (whole.entries, True)

    async def test_of_a_huge_directory_the_first_names_come_first(self, root: Path) -> None:
        (root / "huge").mkdir()
        for number in range(15_000):
            (root / "huge" / f"{number * 7919 % 15_000:05}").touch()
        store = rooted(root, entries=3)
        assert paths(await listed(store, "huge")) == ["00000", "00001", "00002"]
        store.close()

    async def test_a_very_deep_tree_is_cut_and_says_so(self, root: Path) -> None:
        (root / "/".join(["d"] * 200)).mkdir(parents=True)
        store = rooted(root, entries=1000)
        listing = await listed(store, "d", None)
        store.close()
        assert listing.truncated
        assert len(listing.entries) == DEEPEST

    async def test_names_that_are_no_text_are_shown_escaped_and_have_a_uri(
        self, files: RootedFiles, root: Path
    ) -> None:
        strange = os.fsencode(root / "docs" / "deep")
        for name in (b"\xff\xfe", b"tab\there", b"\x1b[31mred", "rtl\u202e".encode(), "schön 日本".encode()):
            os.close(os.open(strange + b"/" + name, os.O_WRONLY | os.O_CREAT))
        listing = await listed(files, "docs/deep")
        assert paths(listing) == ["\\x1b[31mred", "more.md", "rtl\\u202e", "schön 日本", "tab\\x09here", "\\xff\\xfe"]
        base = (root / "docs" / "deep").as_uri()
        assert [entry.uri for entry in listing.entries] == [
            f"{base}/%1B%5B31mred",
            None,
            f"{base}/rtl%E2%80%AE",
            None,
            f"{base}/tab%09here",
            f"{base}/%FF%FE",
        ]
        for entry in listing.entries:
            if entry.uri is not None:
                assert await files.read(entry.uri) == b""

    async def test_a_name_of_every_byte_can_be_listed_and_read(self, root: Path) -> None:
        everything = os.fsencode(root) + b"/bytes"
        os.mkdir(everything)
        for byte in set(range(1, 256)) - {ord("/"), ord(".")}:
            with open(everything + b"/" + bytes([byte]), "wb") as file:
                file.write(bytes([byte]))
        store = rooted(root, entries=1000)
        with anyio.fail_after(AT_ONCE):
            entries = (await listed(store, "bytes")).entries
        assert len(entries) == 253
        seen = [await store.read(entry.uri or f"bytes/{entry.path}") for entry in entries]
        assert {data[0] for data in seen} == set(range(1, 256)) - {ord("/"), ord(".")}
        store.close()

    @pytest.mark.parametrize(
        ("path", "words"),
        [("notes.txt", "not a directory"), ("none", "no such"), ("..", "outside"), ("out", "outside")],
    )
    async def test_what_is_no_directory_inside_is_not_listed(
        self, files: RootedFiles, root: Path, path: str, words: str
    ) -> None:
        (root / "out").symlink_to("..")
        with pytest.raises(OperationFailed, match=words):
            await listed(files, path)
        with pytest.raises(OperationFailed, match=words):
            await found(files, path, "*")


class TestFinding:
    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("*.md", ["docs/deep/more.md", "docs/guide.md"]),
            ("guide.md", ["docs/guide.md"]),
            ("docs/*.md", ["docs/guide.md"]),
            ("./docs/*", ["docs/deep", "docs/guide.md"]),
            ("docs/**/*.md", ["docs/deep/more.md", "docs/guide.md"]),
            ("**/deep/**", ["docs/deep", "docs/deep/more.md"]),
            ("**/*.txt", ["notes.txt"]),
            ("*.{txt,md}", ["docs/deep/more.md", "docs/guide.md", "notes.txt"]),
            ("{docs,none}/{guide,x}.md", ["docs/guide.md"]),
            ("[gm]*.md", ["docs/deep/more.md", "docs/guide.md"]),
            ("[!g]*.md", ["docs/deep/more.md"]),
            ("note?.txt", ["notes.txt"]),
            ("*.MD", []),
            ("*/more.md", []),
            ("deep", ["docs/deep"]),
            (None, ["docs", "docs/deep", "docs/deep/more.md", "docs/guide.md", "notes.txt"]),
        ],
    )
    async def test_a_glob_finds_names_at_any_depth_or_paths(
        self, files: RootedFiles, pattern: str | None, expected: list[str]
    ) -> None:
        assert await found(files, ".", pattern) == expected

    async def test_paths_are_relative_to_the_directory_that_is_searched(self, files: RootedFiles) -> None:
        assert await found(files, "docs", "*.md") == ["deep/more.md", "guide.md"]

    async def test_sizes_and_types_are_told(self, files: RootedFiles) -> None:
        (entry,) = (await files.find(".", Filter("guide.md"), most=None)).entries
        assert (entry.type, entry.size) == ("file", 5)

    async def test_links_are_not_followed(self, files: RootedFiles, root: Path) -> None:
        (root / "out").symlink_to("..")
        assert await found(files, ".", "secret.txt") == []

    async def test_what_a_gitignore_excludes_is_left_out_unless_asked_for(self, files: RootedFiles, root: Path) -> None:
        (root / ".gitignore").write_text("build/\n*.log\n!keep.log\n")
        (root / "build").mkdir()
        for name in ("build/out.md", "a.log", "keep.log", ".hidden.log2"):
            (root / name).touch()
        (root / "docs" / ".gitignore").write_text("guide.md\n")
        assert await found(files, ".", "*.{md,log,log2}") == [".hidden.log2", "docs/deep/more.md", "keep.log"]
        assert await found(files, "docs", "*.md") == ["deep/more.md"]
        everything = await found(files, ".", "*.{md,log}", ignored=True)
        assert everything == ["a.log", "build/out.md", "docs/deep/more.md", "docs/guide.md", "keep.log"]

    async def test_a_gitignore_above_the_directory_holds_as_far_as_the_root_goes(
        self, files: RootedFiles, root: Path, tmp_path: Path
    ) -> None:
        (root / ".gitignore").write_text("guide.md\n")
        (tmp_path / ".gitignore").write_text("more.md\n")  # outside of the root, so it must have no effect
        assert await found(files, "docs", "*.md") == ["deep/more.md"]

    async def test_what_is_excluded_is_left_out(self, files: RootedFiles) -> None:
        assert await found(files, ".", "*.md", "deep/") == ["docs/guide.md"]
        assert await found(files, ".", None, "*.md", "docs") == ["notes.txt"]

    async def test_the_inside_of_git_is_left_out_unless_asked_for(self, files: RootedFiles, root: Path) -> None:
        (root / ".git").mkdir()
        (root / ".git" / "config.txt").touch()
        assert await found(files, ".", "*.txt") == ["notes.txt"]
        assert await found(files, ".", "*.txt", ignored=True) == [".git/config.txt", "notes.txt"]

    async def test_matches_beyond_the_limit_are_cut_and_it_says_so(self, files: RootedFiles, root: Path) -> None:
        for number in range(ENTRIES + 1):
            (root / f"{number:03}.log").touch()
        listing = await files.find(".", Filter("*.log"), most=None)
        assert paths(listing) == [f"{number:03}.log" for number in range(ENTRIES)]
        assert listing.truncated
        assert len((await files.find(".", Filter("*.log"), most=3)).entries) == 3

    @pytest.mark.parametrize("pattern", ["*a" * 100 + "b", "/".join(["**", "*a*"] * 60) + "/b", "[" * 900])
    async def test_no_pattern_takes_long(self, files: RootedFiles, root: Path, pattern: str) -> None:
        (root / "/".join(["aa"] * 60)).mkdir(parents=True)
        (root / "/".join(["aa"] * 60) / ("a" * 250)).touch()
        with anyio.fail_after(2 * AT_ONCE):
            assert await found(files, ".", pattern) == []

    @pytest.mark.parametrize("pattern", ["", "/", "/etc/*", "../*", "a\0", "a\nb", "x" * 1001, "{a,b}" * 7])
    async def test_a_pattern_that_can_match_nothing_beneath_is_refused(self, files: RootedFiles, pattern: str) -> None:
        with pytest.raises(OperationFailed, match="pattern"):
            await found(files, ".", pattern)

    @pytest.mark.parametrize("line", ["", " ", "a\nb", "\0"])
    async def test_an_exclusion_that_is_no_line_is_refused(self, files: RootedFiles, line: str) -> None:
        with pytest.raises(OperationFailed, match="exclude"):
            await found(files, ".", "*", line)

    async def test_a_name_that_is_no_text_is_found_and_has_a_uri(self, files: RootedFiles, root: Path) -> None:
        os.close(os.open(os.fsencode(root) + b"/\xff\n.md", os.O_WRONLY | os.O_CREAT))
        (entry,) = (await files.find(".", Filter("[!a-z]*.md"), most=None)).entries
        assert (entry.path, entry.uri) == ("\\xff\\x0a.md", f"{root.as_uri()}/%FF%0A.md")


class TestUris:
    async def test_every_name_of_a_file_has_one_absolute_uri(self, files: RootedFiles, root: Path) -> None:
        expected = (root / "docs" / "a b%é.md").as_uri()
        names = ("docs/a b%é.md", "./docs/deep/../a b%é.md", str(root / "docs" / "a b%é.md"), expected)
        for path in (*names, "file:///docs/a%20b%25%C3%A9.md", "FILE://localhost/docs/a%20b%25%c3%a9.md"):
            assert await files.uri(path) == expected

    @pytest.mark.parametrize("path", ["..", "../x", "docs/../../x", "/etc/passwd", "file:///..", "file:///%2e%2e/x"])
    async def test_what_is_outside_has_no_uri(self, files: RootedFiles, path: str) -> None:
        with pytest.raises(OperationFailed, match="outside"):
            await files.uri(path)

    @pytest.mark.parametrize("uri", ["file://elsewhere/x", "file:///x?y", "file:///x#y", "file:///a%00b", "file:"])
    async def test_a_uri_that_is_none_of_a_file_is_refused(self, files: RootedFiles, uri: str) -> None:
        with pytest.raises(OperationFailed):
            await files.read(uri)

    async def test_a_uri_is_read_as_the_path_is(self, files: RootedFiles, root: Path) -> None:
        assert await files.read((root / "docs" / "guide.md").as_uri()) == b"guide"
        assert await files.read("file:///docs/guide.md") == b"guide"
        with pytest.raises(FileMissing):
            await files.read("file:///etc/passwd")


class TestCompletion:
    @pytest.mark.parametrize(
        ("typed", "expected"),
        [
            ("", ["docs/", "notes.txt"]),
            ("n", ["notes.txt"]),
            ("docs/", ["docs/deep/", "docs/guide.md"]),
            ("docs/g", ["docs/guide.md"]),
            ("docs/x", []),
            ("../", []),
            ("none/", []),
            ("/", []),
            ("a\0", []),
        ],
    )
    async def test_what_begins_as_typed_is_suggested(self, files: RootedFiles, typed: str, expected: list[str]) -> None:
        assert list(await files.complete(typed)) == expected

    async def test_absolute_paths_are_completed_with_and_without_the_slash_at_the_top(
        self, files: RootedFiles, root: Path
    ) -> None:
        for top in (str(root), str(root).lstrip("/")):
            assert list(await files.complete(f"{top}/docs/g")) == [f"{top}/docs/guide.md"]
