"""One glob language: a pattern finds the same files by name and with `contents`; ignore rules fit every entry."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.files import rooted
from tfo_mcp.application.ports import Contents, Filter
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.infrastructure.files import RootedFiles

pytestmark = pytest.mark.anyio

NAMES = [
    "{id}.tsx", "id.tsx", "{a,b}.txt", "a.txt", "b.txt", "ab.txt", "é.txt", "e\u0301.txt", "[x].md", "x.md", "^x.md",
    "!x.md", "#x.md", r"back\slash.txt", "backslash.txt", " lead.txt", "trail ", "a b.txt", "*.txt", "?.txt", "x,y.txt",
    "{", "}", "{}", "[", "]", "-.txt", ".hidden", ".hidden.txt", "UPPER.TXT", "👨\u200d👩\u200d👧.txt", "a\u00a0b.txt",
    "tab\t.txt", "new\nline.txt", "deep/a.txt", "deep/er/a.txt", "deep/er/est/a.txt", "deep/{id}/a.ts",
    "deep/[id]/a.ts", "deep/id/a.ts", "er/a.txt", "src/test_a.py", "src/pkg/test_b.py", "src/pkg/conftest.py",
    "é/é.py", "a/b/c/d.txt", "build/out.js", "x.log", "keep.log", "logs/x.log", "logs/keep.log", "docs/build/page.md",
    "a.min.js", "$x.txt", "(x).txt", "x+y.txt", "a|b.txt", "~x.txt", "'x'.txt", '"x".txt', "%41.txt", "A.txt",
    "file:x.txt",
]  # fmt: skip
PATTERNS = [
    "{id}.tsx", "{id,ie}.tsx", r"\{id\}.tsx", r"\{a,b\}.txt", "{a,b}.txt", "{a,{b,ab}}.txt", "{a,b", "a,b}", "{}", "{",
    "}", "{,a}b.txt", "{a,}b.txt", "{{id}}.tsx", "{{a,b}}.txt", "x,y.txt", "{deep,src}/**", "{*.py,deep/*.txt}",
    "?.txt", "??.txt", "?", "*", "*.txt", "**", "**/*", "**/*.txt", "*.{txt,md}", "[x].md", "[[]x].md", r"\[x\].md",
    "[!x].md", "[^x].md", "[a-b].txt", "[b-a].txt", "[]].md", "[]", "[", "[!", "[]", "[!]]", "[a", "[é].txt",
    "[!a].txt", "[a-].txt", "[-a].txt", r"[\]]", "[*].txt", "[?].txt", r"\*.txt", r"\?.txt", "back\\slash.txt",
    r"back\\slash.txt", "back*", "\\", "a\\", "!x.md", r"\!x.md", "#x.md", r"\#x.md",
    " lead.txt", "trail ", "trail*", "a b.txt", "a?b.txt",
    "deep/*", "deep/**", "deep/**/a.txt", "**/er/*", "**/er/**", "deep/*/a.ts", "deep/{id}/a.ts", "deep/[id]/a.ts",
    "deep/[i]*/a.ts", "./*.txt", "./a.txt", "./deep/a.txt", "deep//a.txt", "deep/./a.txt", "*/a.txt", "**/a.txt",
    "**/**/a.txt", "a**", "**a.txt", "a/**/d.txt", "a/**/b/**/d.txt", "a/*/d.txt", ".*", ".h*", "*.TXT", "UPPER*",
    "é.txt", "e\u0301.txt", "é/*", "👨\u200d👩\u200d👧.txt", "*👧*", "a\u00a0b.txt", "tab?.txt", "new?line.txt",
    "(x).txt", "x+y.txt", "a|b.txt", "$x.txt", "~x.txt", "'x'.txt", '"x".txt', "%41.txt", "file:x.txt",
    "file:*", "build/", "deep/", "*/", "src/**/test_*.py", "test_*.py", "src/*.py", "*.log",
    "a.min.js", "*.min.*", "*a*a*", "-.txt", "-*",
]  # fmt: skip
IGNORE_FILES = {
    ".gitignore": "build/\n*.log\n!keep.log\n#x.md\n\\!x.md\n\\#x.md\n/a.txt\ntrail\\ \n\n[x].md \n{a,b}.txt\r\n"
    "deep/**/a.ts\nlogs/**\n!logs/keep.log\n**/est\na/*/c\nfile:*\n?.txt\n",
    "deep/.gitignore": "*.txt\n!er/\n!/a.txt\n",
    "src/.gitignore": "/pkg/test_*\n!conftest.py\nconf[!x]est.py\n",
    "docs/.gitignore": "!build/\n",
}
OTHER_IGNORE_FILES = {".ignore": "a.txt\n", ".rgignore": "b.txt\n", ".git/info/exclude": "ab.txt\n"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def fill(root: Path, names: list[str], *, links: bool = False) -> Path:
    """Create files with one line, or dangling links, of these names."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if links:
            path.symlink_to("nowhere")
        else:
            path.write_text("needle\n")
    return root


def write(root: Path, contents: dict[str, str]) -> None:
    for name, text in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, newline="")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = fill(tmp_path_factory.mktemp("tree"), NAMES)
    (root / "empty").mkdir()
    (root / "link.txt").symlink_to("a.txt")
    (root / "out").symlink_to("deep", target_is_directory=True)
    os.mkfifo(root / "pipe.txt")
    return root


@pytest.fixture(scope="module")
def files(tree: Path) -> Iterator[RootedFiles]:
    store = rooted(tree, entries=1000)
    yield store
    store.close()


async def entries(files: RootedFiles, filter: Filter, path: str = ".") -> dict[str, str]:
    """Return the paths that are found by name, with their types."""
    listing = await files.find(path, filter, most=None)
    assert not listing.truncated
    return {entry.path: entry.type for entry in listing.entries}


async def names(files: RootedFiles, filter: Filter, path: str = ".") -> list[str]:
    """Return the regular files that are found by name."""
    return sorted(name for name, kind in (await entries(files, filter, path)).items() if kind == "file")


async def matching(files: RootedFiles, filter: Filter, path: str = ".") -> list[str]:
    """Return the files that are found with `contents`."""
    found = await files.search(path, Contents("needle"), filter)
    assert not found.truncated
    return sorted({match.path for match in found.matches})


class TestOneLanguage:
    @pytest.mark.parametrize("pattern", PATTERNS)
    async def test_a_pattern_finds_the_same_files_by_name_and_with_contents(
        self, files: RootedFiles, pattern: str
    ) -> None:
        assert await names(files, Filter(pattern)) == await matching(files, Filter(pattern))

    @pytest.mark.parametrize("name", [name for name in NAMES if "\n" not in name and "\t" not in name])
    async def test_every_name_is_found_by_its_escaped_form(self, files: RootedFiles, name: str) -> None:
        escaped = "".join(f"\\{char}" if char in r"\*?[]{}!" else char for char in name)
        assert name in await names(files, Filter(f"./{escaped}"))
        assert name in await matching(files, Filter(f"./{escaped}"))

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("{id}.tsx", ["{id}.tsx"]),
            (r"\{a,b\}.txt", ["{a,b}.txt"]),
            ("{a,{b,ab}}.txt", ["a.txt", "ab.txt", "b.txt", "deep/a.txt", "deep/er/a.txt", "deep/er/est/a.txt",
                                "er/a.txt"]),
            ("{{a,b}}.txt", []),
            ("[!x].md", []),
            ("[!a-z]x.md", ["!x.md", "#x.md", "^x.md"]),
            ("[^a-z]x.md", ["!x.md", "#x.md", "^x.md"]),
            (r"\[x\].md", ["[x].md"]),
            ("[[]x].md", ["[x].md"]),
            ("[]]", ["]"]),
            ("[", ["["]),
            ("{", ["{"]),
            (r"back\slash.txt", ["backslash.txt"]),
            (r"back\\slash.txt", [r"back\slash.txt"]),
            ("deep/{id}/*", ["deep/{id}/a.ts"]),
            ("deep/[id]/*", []),
            (r"deep/\[id\]/*", ["deep/[id]/a.ts"]),
            ("./a.txt", ["a.txt"]),
            ("deep/**", ["deep/[id]/a.ts", "deep/a.txt", "deep/er/a.txt", "deep/er/est/a.txt", "deep/id/a.ts",
                         "deep/{id}/a.ts"]),
            ("é.txt", ["e\u0301.txt", "é.txt"]),
            ("?.ts", ["deep/[id]/a.ts", "deep/id/a.ts", "deep/{id}/a.ts"]),
            ("build/", []),
        ],
    )  # fmt: skip
    async def test_what_a_pattern_means(self, files: RootedFiles, pattern: str, expected: list[str]) -> None:
        assert await names(files, Filter(pattern)) == sorted(expected)
        assert await matching(files, Filter(pattern)) == sorted(expected)

    @pytest.mark.parametrize("pattern", ["/a.txt", "/deep/*", "../*", "deep/../a.txt", "", "/", ".", "a\nb", "\ud800"])
    async def test_a_pattern_that_leads_out_is_refused_in_both_ways(self, files: RootedFiles, pattern: str) -> None:
        with pytest.raises(OperationFailed, match="pattern"):
            await names(files, Filter(pattern))
        with pytest.raises(OperationFailed, match="pattern"):
            await matching(files, Filter(pattern))


class TestEveryEntry:
    async def test_everything_that_is_listed_is_found_by_name(self, files: RootedFiles) -> None:
        listing = await files.list(".", depth=None)
        found = await entries(files, Filter(None, (), True))
        assert found == {entry.path: entry.type for entry in listing.entries}

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("empty", {"empty": "directory"}),
            ("empty/", {"empty": "directory"}),
            ("link.txt", {"link.txt": "symlink"}),
            ("link.txt/", {}),
            ("out", {"out": "symlink"}),
            ("out/", {}),
            ("out/*", {}),
            ("pipe.*", {"pipe.txt": "other"}),
            ("e*", {"empty": "directory", "er": "directory", "deep/er": "directory", "deep/er/est": "directory",
                    "e\u0301.txt": "file"}),
            ("deep/*/", {"deep/er": "directory", "deep/id": "directory", "deep/[id]": "directory",
                         "deep/{id}": "directory"}),
        ],
    )  # fmt: skip
    async def test_directories_links_and_special_files_are_found(
        self, files: RootedFiles, pattern: str, expected: dict[str, str]
    ) -> None:
        assert await entries(files, Filter(pattern)) == expected

    @pytest.mark.parametrize("start", [".", "deep", "deep/er", "logs", "src", "docs"])
    async def test_ignore_rules_hold_for_links_as_for_files(self, tmp_path: Path, start: str) -> None:
        for kind in ("files", "links"):
            write(tmp_path / kind, {**IGNORE_FILES, **OTHER_IGNORE_FILES})
            fill(tmp_path / kind, NAMES, links=kind == "links")
        with_files, with_links = rooted(tmp_path / "files", entries=1000), rooted(tmp_path / "links", entries=1000)
        for exclude in ((), ("*.py",), ("!a.ts", "/er/", "x*"), ("{id}*", "**/a.*", "!deep/"), ("deep/**",)):
            expected = await names(with_files, Filter("*", exclude), start)
            found = await entries(with_links, Filter("*", exclude), start)
            ignore_files = {name for name in expected if name.endswith((".gitignore", ".ignore", ".rgignore"))}
            assert sorted(name for name, kind in found.items() if kind == "symlink") == sorted(
                {*expected} - ignore_files
            )
        with_files.close()
        with_links.close()

    async def test_empty_directories_are_ignored_as_others(self, tmp_path: Path) -> None:
        write(tmp_path, IGNORE_FILES)
        for name in ("build", "docs/build", "logs", "logs/inner", "src/build", "a/b/c", "kept", "deep/er", "est"):
            (tmp_path / name).mkdir(parents=True, exist_ok=True)
        store = rooted(tmp_path, entries=1000)
        found = await entries(store, Filter("**/*/"))
        assert sorted(found) == ["a", "a/b", "deep", "deep/er", "docs", "docs/build", "kept", "logs", "src"]
        assert sorted(await entries(store, Filter("*/", ("kept", "docs/")))) == [
            "a",
            "a/b",
            "deep",
            "deep/er",
            "logs",
            "src",
        ]
        assert "build" in await entries(store, Filter("build", (), True))
        store.close()


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("\u00e9.txt", "e\u0301.txt"),
        ("e\u0301.txt", "\u00e9.txt"),
        ("e\u0301*", "e\u0301.txt"),
        ("\u30b7\u3099/*.txt", "\u30b8/a.txt"),
        ("**/\u00f6/{a\u0308,b}.txt", "x/o\u0308/\u00e4.txt"),
        ("?\u00e9[\u00fc].txt", "1e\u0301u\u0308.txt"),
        ("\ud55c.txt", "\u1112\u1161\u11ab.txt"),
    ],
)
async def test_a_name_in_another_unicode_normalization_is_found_in_both_ways(
    tmp_path: Path, pattern: str, name: str
) -> None:
    store = rooted(fill(tmp_path, [name, "e.txt", "o/a.txt"]))
    assert await names(store, Filter(pattern)) == await matching(store, Filter(pattern)) == [name]
    store.close()


class TestIgnoreFiles:
    @pytest.mark.parametrize("lines", ["!.git\n", "*\n!*/\n!*.txt\n", "!*/\n", "!/.git/\n!.git/**\n"])
    @pytest.mark.parametrize("above", ["", "deep/"])
    async def test_no_gitignore_file_brings_the_repository_in(self, tmp_path: Path, lines: str, above: str) -> None:
        fill(tmp_path, [f"{above}.git/x.txt", f"{above}.git/refs/y.txt", f"{above}a.txt", "sub/.git/x.txt"])
        (tmp_path / ".git").mkdir(exist_ok=True)
        (tmp_path / ".git" / "link.txt").symlink_to("nowhere")
        (tmp_path / "sub" / ".gitignore").write_text(lines)
        (tmp_path / ".gitignore").write_text(lines)
        store = rooted(tmp_path)
        assert not [name for name in await entries(store, Filter("**")) if ".git" in name.split("/")]
        assert await matching(store, Filter("*.txt")) == await names(store, Filter("*.txt")) == [f"{above}a.txt"]
        assert f"{above}.git/x.txt" in await names(store, Filter("x.txt", (), True))
        store.close()

    async def test_only_gitignore_files_count_in_both_ways(self, tmp_path: Path) -> None:
        write(tmp_path, OTHER_IGNORE_FILES)
        fill(tmp_path, ["a.txt", "b.txt", "ab.txt", "c.txt"])
        (tmp_path / ".gitignore").write_text("c.txt\n")
        store = rooted(tmp_path)
        for found in (names, matching):
            assert await found(store, Filter("*.txt")) == ["a.txt", "ab.txt", "b.txt"]
        store.close()

    async def test_a_name_that_is_no_text_is_found_in_both_ways(self, tmp_path: Path) -> None:
        for raw in (b"\xff.txt", b"a\xffb.txt", b"\xc3\xa9.txt"):
            with open(os.fsencode(tmp_path) + b"/" + raw, "wb") as file:
                file.write(b"needle\n")
        store = rooted(tmp_path)
        for pattern, count in (("?.txt", 2), ("a?b.txt", 1), ("*.txt", 3), ("[!a].txt", 2), ("é.txt", 1)):
            assert len(await names(store, Filter(pattern))) == count
            assert await names(store, Filter(pattern)) == await matching(store, Filter(pattern))
        store.close()
