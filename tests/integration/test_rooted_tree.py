"""Listing, searching and naming files beneath the roots, over a real file system: order, limits, links, odd names."""

import os
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from app.application.ports import Listing
from app.domain.errors import OperationFailed
from app.infrastructure.files import RootedFiles

LIMIT = 1000
ENTRIES = 20
AT_ONCE = 1.0  # seconds that an answer or a refusal may take at most

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with `notes.txt`, `docs/guide.md` and `docs/deep/more.md`; a secret lies beside it."""
    root = tmp_path / "root"
    (root / "docs" / "deep").mkdir(parents=True)
    (root / "notes.txt").write_text("notes")
    (root / "docs" / "guide.md").write_text("guide")
    (root / "docs" / "deep" / "more.md").write_text("more")
    (tmp_path / "secret.txt").write_text("secret")
    return root


@pytest.fixture
def files(root: Path) -> Iterator[RootedFiles]:
    store = RootedFiles([root], max_read_bytes=LIMIT, max_write_bytes=LIMIT, max_entries=ENTRIES)
    yield store
    store.close()


def paths(listing: Listing) -> list[str]:
    return [entry.path for entry in listing.entries]


class TestListing:
    async def test_a_directory_is_listed_in_order_with_sizes(self, files: RootedFiles, root: Path) -> None:
        (root / "a.txt").write_bytes(b"12345")
        (root / "link").symlink_to("..")
        listing = await files.list(".", recursive=False)
        assert [(entry.path, entry.is_directory, entry.size) for entry in listing.entries] == [
            ("a.txt", False, 5),
            ("docs", True, 0),
            ("link", False, 2),
            ("notes.txt", False, 5),
        ]
        assert not listing.truncated

    async def test_a_recursive_listing_goes_into_directories_and_never_through_links(
        self, files: RootedFiles, root: Path
    ) -> None:
        (root / "docs" / "out").symlink_to("../..")
        (root / "docs" / "loop").symlink_to(".")
        (root / "docs-more").mkdir()
        assert paths(await files.list(".", recursive=True)) == [
            "docs",
            "docs/deep",
            "docs/deep/more.md",
            "docs/guide.md",
            "docs/loop",
            "docs/out",
            "docs-more",
            "notes.txt",
        ]

    async def test_a_long_listing_is_cut_and_says_so(self, files: RootedFiles, root: Path) -> None:
        (root / "many").mkdir()
        for number in range(ENTRIES):
            (root / "many" / f"{number:03}").touch()
        whole = await files.list("many", recursive=False)
        (root / "many" / "zzz").touch()
        part = await files.list("many", recursive=False)
        assert len(whole.entries) == ENTRIES
        assert not whole.truncated
        assert part == Listing(whole.entries, truncated=True)

    async def test_a_very_deep_tree_is_cut_and_says_so(self, root: Path) -> None:
        (root / "/".join(["d"] * 200)).mkdir(parents=True)
        store = RootedFiles([root], max_read_bytes=LIMIT, max_write_bytes=LIMIT, max_entries=1000)
        listing = await store.list("d", recursive=True)
        store.close()
        assert listing.truncated
        assert len(listing.entries) == 64

    async def test_names_that_are_no_text_are_shown_escaped(self, files: RootedFiles, root: Path) -> None:
        strange = os.fsencode(root / "docs" / "deep")
        for name in (b"\xff\xfe", b"tab\there", b"\x1b[31mred", "rtl\u202e".encode(), "schön 日本".encode()):
            os.close(os.open(strange + b"/" + name, os.O_WRONLY | os.O_CREAT))
        assert paths(await files.list("docs/deep", recursive=False)) == [
            "\\x1b[31mred",
            "more.md",
            "rtl\\u202e",
            "schön 日本",
            "tab\\x09here",
            "\\xff\\xfe",
        ]

    @pytest.mark.parametrize(
        ("path", "words"),
        [("notes.txt", "not a directory"), ("none", "no such"), ("..", "outside"), ("out", "outside")],
    )
    async def test_what_is_no_directory_inside_is_not_listed(
        self, files: RootedFiles, root: Path, path: str, words: str
    ) -> None:
        (root / "out").symlink_to("..")
        with pytest.raises(OperationFailed, match=words):
            await files.list(path, recursive=False)
        with pytest.raises(OperationFailed, match=words):
            await files.search(path, "*")


class TestSearching:
    @pytest.mark.parametrize(
        ("pattern", "found"),
        [
            ("*.md", ["docs/deep/more.md", "docs/guide.md"]),
            ("guide.md", ["docs/guide.md"]),
            ("docs/*.md", ["docs/guide.md"]),
            ("./docs/*", ["docs/deep", "docs/guide.md"]),
            ("docs/**/*.md", ["docs/deep/more.md", "docs/guide.md"]),
            ("**/deep/**", ["docs/deep", "docs/deep/more.md"]),
            ("**/*.txt", ["notes.txt"]),
            ("[gm]*.md", ["docs/deep/more.md", "docs/guide.md"]),
            ("[!g]*.md", ["docs/deep/more.md"]),
            ("note?.txt", ["notes.txt"]),
            ("*.MD", []),
            ("*/more.md", []),
            ("deep", ["docs/deep"]),
        ],
    )
    async def test_a_glob_finds_names_at_any_depth_or_paths(
        self, files: RootedFiles, pattern: str, found: list[str]
    ) -> None:
        assert paths(await files.search(".", pattern)) == found

    async def test_paths_are_relative_to_the_directory_that_is_searched(self, files: RootedFiles) -> None:
        assert paths(await files.search("docs", "*.md")) == ["deep/more.md", "guide.md"]

    async def test_links_are_found_and_not_followed(self, files: RootedFiles, root: Path) -> None:
        (root / "out").symlink_to("..")
        assert paths(await files.search(".", "out")) == ["out"]
        assert paths(await files.search(".", "secret.txt")) == []

    async def test_matches_beyond_the_limit_are_cut_and_it_says_so(self, files: RootedFiles, root: Path) -> None:
        for number in range(ENTRIES + 1):
            (root / f"{number:03}.log").touch()
        listing = await files.search(".", "*.log")
        assert paths(listing) == [f"{number:03}.log" for number in range(ENTRIES)]
        assert listing.truncated

    async def test_a_search_that_looks_at_too_much_stops_and_says_so(self, root: Path) -> None:
        store = RootedFiles([root], max_read_bytes=LIMIT, max_write_bytes=LIMIT, max_entries=1)
        for number in range(101):
            (root / f"{number:03}").touch()
        listing = await store.search(".", "notes.txt")
        store.close()
        assert listing == Listing((), truncated=True)

    @pytest.mark.parametrize("pattern", ["*a" * 100 + "b", "/".join(["**", "*a*"] * 60) + "/b", "[" * 900])
    async def test_no_pattern_takes_long(self, files: RootedFiles, root: Path, pattern: str) -> None:
        (root / ("a" * 250)).touch()
        (root / "/".join(["aa"] * 60)).mkdir(parents=True)
        with anyio.fail_after(2 * AT_ONCE):
            assert paths(await files.search(".", pattern)) == []

    @pytest.mark.parametrize("pattern", ["", "/", "/etc/*", "../*", "a\0", "x" * 1001])
    async def test_a_pattern_that_can_match_nothing_beneath_is_refused(self, files: RootedFiles, pattern: str) -> None:
        with pytest.raises(OperationFailed, match="pattern"):
            await files.search(".", pattern)


class TestUris:
    async def test_every_name_of_a_file_has_one_absolute_uri(self, files: RootedFiles, root: Path) -> None:
        expected = (root / "docs" / "a b%é.md").as_uri()
        for path in ("docs/a b%é.md", "./docs/deep/../a b%é.md", str(root / "docs" / "a b%é.md")):
            assert await files.uri(path) == expected

    @pytest.mark.parametrize("path", ["..", "../x", "docs/../../x", "/etc/passwd"])
    async def test_what_is_outside_has_no_uri(self, files: RootedFiles, path: str) -> None:
        with pytest.raises(OperationFailed, match="outside"):
            await files.uri(path)
