"""Searching file contents below the roots with ripgrep: matches, refusals, limits and confinement."""

import os
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.abc
import pytest

from tests.support.deadlines import eventually
from tests.support.files import ENTRIES, rooted
from tfo_mcp.application.ports import Contents, Filter, Match, Matches
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.infrastructure.files import RootedFiles
from tfo_mcp.infrastructure.sandbox import tiers
from tfo_mcp.infrastructure.sandbox.tiers import Findings

AT_ONCE = 1.0
EVERYTHING = Filter()

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "src").mkdir(parents=True)
    (root / "src" / "one.py").write_text("import os\n\ndef one():\n    return os.name\n")
    (root / "src" / "two.txt").write_text("One and ONE\r\nnone\r\n")
    (root / "read.me").write_text("nothing\n")
    (tmp_path / "secret.txt").write_text("one secret\n")
    return root


@pytest.fixture
def files(root: Path) -> Iterator[RootedFiles]:
    store = rooted(root)
    yield store
    store.close()


async def search(
    files: RootedFiles, contents: Contents, filter: Filter = EVERYTHING, path: str = ".", most: int | None = None
) -> Matches:
    return await files.search(path, contents, filter, most=most)


async def lines(files: RootedFiles, expression: str, pattern: str | None = None) -> list[tuple[str, int, str]]:
    found = await search(files, Contents(expression), Filter(pattern))
    return [(match.path, match.line, match.text) for match in found.matches]


class TestMatches:
    async def test_lines_are_found_in_order_with_their_numbers(self, files: RootedFiles) -> None:
        assert await lines(files, "one") == [("src/one.py", 3, "def one():"), ("src/two.txt", 2, "none")]
        assert await lines(files, "^none$") == [("src/two.txt", 2, "none")]

    async def test_case_matters_unless_it_is_not_to(self, files: RootedFiles) -> None:
        found = await search(files, Contents("ONE", ignore_case=True))
        assert [(match.path, match.line) for match in found.matches] == [
            ("src/one.py", 3),
            ("src/two.txt", 1),
            ("src/two.txt", 2),
        ]

    async def test_context_stands_around_a_match(self, files: RootedFiles) -> None:
        (match,) = (await search(files, Contents("def", context=1))).matches
        assert match == Match("src/one.py", 3, "def one():", ("",), ("    return os.name",))
        (match,) = (await search(files, Contents("import", context=20))).matches
        assert (match.before, len(match.after)) == ((), 3)

    async def test_names_narrow_the_search_and_a_directory_does(self, files: RootedFiles) -> None:
        assert await lines(files, "one", "*.py") == [("src/one.py", 3, "def one():")]
        assert await lines(files, "one", "src/*.{txt,md}") == [("src/two.txt", 2, "none")]
        found = await search(files, Contents("one"), path="src")
        assert [match.path for match in found.matches] == ["one.py", "two.txt"]

    async def test_what_is_ignored_or_excluded_is_not_searched_even_when_its_name_fits(
        self, files: RootedFiles, root: Path
    ) -> None:
        (root / ".gitignore").write_text("two.txt\n!three.txt\n")
        (root / "three.txt").write_text("one\n")
        assert await lines(files, "one", "*.txt") == [("three.txt", 1, "one")]
        found = await search(files, Contents("one"), Filter("*.txt", ("three.txt",), True))
        assert [match.path for match in found.matches] == ["src/two.txt"]

    async def test_binary_files_and_links_are_left_out(self, files: RootedFiles, root: Path) -> None:
        (root / "binary").write_bytes(b"one\0one\n")
        (root / "out").symlink_to("../secret.txt")
        (root / "outside").symlink_to("..")
        assert [path for path, _, _ in await lines(files, "one")] == ["src/one.py", "src/two.txt"]

    async def test_lines_that_are_no_text_and_names_that_are_none_are_shown_safely(
        self, files: RootedFiles, root: Path
    ) -> None:
        with open(os.fsencode(root) + b"/\xff", "wb") as file:
            file.write(b"gr\xfc\xdfe\n")
        (match,) = (await search(files, Contents("gr"))).matches
        assert (match.path, match.text, match.uri) == ("\\xff", "gr\ufffd\ufffde", f"{root.as_uri()}/%FF")

    async def test_a_long_line_is_cut_around_the_match(self, files: RootedFiles, root: Path) -> None:
        (root / "min.js").write_text("é" * 3000 + "needle" + "z" * 3000 + "\n")
        (match,) = (await search(files, Contents("needle"))).matches
        assert "needle" in match.text
        assert len(match.text) < 600

    async def test_a_line_of_many_megabytes_costs_nothing_but_itself(self, files: RootedFiles, root: Path) -> None:
        (root / "a.js").write_text("needle " * (1 << 20) + "\n")
        (root / "b.js").write_text("needle\n")
        found = await search(files, Contents("needle"))
        assert [match.path for match in found.matches] == ["a.js", "b.js"]
        assert len(found.matches[0].text) < 600
        assert not found.truncated


class TestLimits:
    async def test_matches_beyond_the_limit_are_cut_and_it_says_so(self, files: RootedFiles, root: Path) -> None:
        (root / "many").write_text("needle\n" * (ENTRIES + 1))
        found = await search(files, Contents("needle"))
        assert len(found.matches) == ENTRIES
        assert found.truncated
        assert not found.timed_out
        exact = await search(files, Contents("needle"), most=5)
        assert [match.line for match in exact.matches] == [1, 2, 3, 4, 5]

    async def test_a_search_that_takes_too_long_answers_with_what_it_has(self, root: Path) -> None:
        store = rooted(root, search_seconds=1e-9)
        with anyio.fail_after(AT_ONCE):
            found = await search(store, Contents("one"))
            names = await store.find(".", Filter("*"), most=None)
        assert (found.timed_out, found.truncated) == (names.timed_out, names.truncated) == (True, True)
        store.close()

    async def test_a_search_that_nobody_waits_for_is_ended(self, files: RootedFiles, root: Path) -> None:
        children = Path(f"/proc/self/task/{os.getpid()}/children")
        before = children.read_text()
        for number in range(2000):
            (root / f"{number}").write_text("x" * 1000)
        with anyio.move_on_after(0.01):
            await search(files, Contents("(x+x+)+y"))
        await eventually(lambda: children.read_text() == before, "the program has ended")

    @pytest.mark.parametrize("expression", ["(x+x+)+y", "(a|aa)+$", "x{1,500}{1,2}y", "(.*)*z"])
    async def test_no_expression_takes_long(self, files: RootedFiles, root: Path, expression: str) -> None:
        (root / "long").write_text("x" * 100_000 + "\n" + "a" * 100_000 + "!\n")
        with anyio.fail_after(10 * AT_ONCE):
            await search(files, Contents(expression))

    @pytest.mark.parametrize(
        ("expression", "words"),
        [
            ("a(", "unclosed group"),
            ("(?=a)", "look-around"),
            (r"(a)\1", "backreferences"),
            ("[z-a]", "invalid"),
            ("a\\nb", "the literal"),
            ("(a{1000}){1000}{1000}", "size"),
            ("", "1 to 10000 characters"),
            ("a\0", "1 to 10000 characters"),
            ("a" * 10_001, "1 to 10000 characters"),
        ],
    )
    async def test_an_expression_that_cannot_be_searched_for_says_why(
        self, files: RootedFiles, expression: str, words: str
    ) -> None:
        with pytest.raises(OperationFailed, match=words) as refused:
            await search(files, Contents(expression))
        assert "/" not in refused.value.message.replace("back-references", "").replace("look-around", "")


class TestConfinement:
    async def test_without_landlock_searches_are_held_by_bubblewrap(self, root: Path) -> None:
        assert tiers.find().bubblewrap is None, "the tests install bubblewrap"
        files = rooted(root, find=lambda: Findings("no Landlock", None, "no Landlock"))
        assert await lines(files, "one") == [("src/one.py", 3, "def one():"), ("src/two.txt", 2, "none")]
        files.close()

    async def test_with_neither_a_search_is_refused_and_says_what_to_do(self, root: Path) -> None:
        store = rooted(root, find=lambda: Findings("no Landlock", "no bubblewrap", "no Landlock"))
        with pytest.raises(OperationFailed, match=r"no Landlock; bwrap: no bubblewrap.*doctor.*commands\.sandbox"):
            await search(store, Contents("one"))
        store.close()
        unconfined = rooted(root, sandbox="none")
        assert len(await lines(unconfined, "one")) == 2
        unconfined.close()

    async def test_many_searches_leave_no_descriptor_open(self, files: RootedFiles) -> None:
        await lines(files, "one")
        before = len(os.listdir("/proc/self/fd"))
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(lines, files, "one")
        assert len(os.listdir("/proc/self/fd")) == before
