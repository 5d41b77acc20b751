"""The rows about files: the product against the reference filesystem server and, for contents, plain ripgrep.

All run over stdio, one call after the other, on the same files. Each result is checked by the number of occurrences of
a text.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from bench.contenders import Contender, ripgrep
from bench.errors import BenchError
from bench.file_tree import ENTRIES, FILES, FILES_WITH_NEEDLE, KILOBYTE, MEGABYTE, NAMED_SEVEN, NEEDLE, file_tree
from bench.generator import Sample
from bench.messages import Era, Message, call_tool
from bench.row import Row, Sampler, Target
from bench.site import Site

PRODUCT, FILESYSTEM, RIPGREP = Contender.PRODUCT, Contender.FILESYSTEM, Contender.RIPGREP
PLAIN_SHARE = 1 / 1.5  # of the searches of plain ripgrep


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool with a path below the root, and the text that the result must contain `times` times."""

    tool: str
    path: str
    expected: str
    times: int
    arguments: Mapping[str, object] = field(default_factory=dict)

    def message(self) -> Message:
        """Return the request."""
        path = f"{file_tree().root}/{self.path}"
        return call_tool(Era.HANDSHAKE, self.tool, {"path": path, **self.arguments})

    def check(self, answer: Message, number: int) -> None:
        """Check the response to a request.

        Raises:
            BenchError: it is not the expected one.
        """
        result = answer.get("result", {})
        text = "".join(block.get("text", "") for block in result.get("content", []))
        found = text.count(self.expected)
        if answer.get("id") != number or result.get("isError") or found != self.times:
            raise BenchError(f"a wrong answer to {self.tool}: {found} of {self.times} in {text[:300]}")


def over_stdio(ours: Call, theirs: Call) -> Callable[[Site], Sampler]:
    """Repeat a call of the product's tool or of the other server's."""

    def prepare(site: Site) -> Sampler:
        if site.contender is RIPGREP:
            return _plain_ripgrep(site)
        call = ours if site.contender.is_product else theirs
        client = site.stdio(call.message(), call.check, files=file_tree().root)
        client.initialized()
        return lambda seconds: Sample(client.one_by_one(seconds))

    return prepare


def _plain_ripgrep(site: Site) -> Sampler:
    line = [ripgrep(), "--line-number", NEEDLE, str(file_tree().root / "tree")]

    def sample(seconds: float) -> Sample:
        searches, begin = 0, time.perf_counter()
        while (now := time.perf_counter()) < begin + seconds:
            with site.cores.starting_server():
                process = subprocess.Popen(line, stdout=subprocess.PIPE)
            found = process.communicate()[0].count(NEEDLE.encode())
            if found != FILES_WITH_NEEDLE:
                raise BenchError(f"ripgrep found {found} of {FILES_WITH_NEEDLE}")
            searches += 1
        return Sample(searches / (now - begin))

    return sample


def file_rows() -> Iterator[Row]:
    """Reading, listing and searching."""
    both, faster = (PRODUCT, FILESYSTEM), (Target(FILESYSTEM, 1),)
    for size, path, content in (("1 KB", "small.txt", KILOBYTE), ("1 MB", "large.txt", MEGABYTE)):
        ours, theirs = (Call(tool, path, "lazy dog", content.count("lazy dog")) for tool in _READ)
        name = f"files-read-{size.replace(' ', '').lower()}"
        yield Row(name, f"Read a file of {size} (stdio)", "reads/s", both, faster, over_stdio(ours, theirs))
    ours = Call("list_directory", "many", "entry_", ENTRIES)
    theirs = Call("list_directory_with_sizes", "many", "entry_", ENTRIES)
    title = "List 1,000 entries with sizes (stdio)"
    yield Row("files-list-1000-sizes", title, "lists/s", both, faster, over_stdio(ours, theirs))
    ours = Call("list_directory", "many", "entry_", ENTRIES, {"details": False})
    theirs = Call("list_directory", "many", "entry_", ENTRIES)
    title = "List 1,000 entries, names only (stdio)"
    yield Row("files-list-1000-names", title, "lists/s", both, faster, over_stdio(ours, theirs))
    ours = Call("list_directory", "tree", ".py", FILES, {"recursive": True, "details": False})
    theirs = Call("directory_tree", "tree", ".py", FILES)
    title = "List a tree of 20,000 files, names only (stdio)"
    yield Row("files-tree-20000", title, "lists/s", both, faster, over_stdio(ours, theirs))
    ours = Call("search_files", "tree", "module_7.py", NAMED_SEVEN, {"pattern": "module_7.py"})
    theirs = Call("search_files", "tree", "module_7.py", NAMED_SEVEN, {"pattern": "**/module_7.py"})
    title = "Search names in 20,000 files (stdio)"
    yield Row("files-find-20000", title, "searches/s", both, faster, over_stdio(ours, theirs))
    ours = Call("search_files", "tree", NEEDLE, FILES_WITH_NEEDLE, {"contents": NEEDLE})
    title = "Search contents in 20,000 files (stdio)"
    plain = (Target(RIPGREP, PLAIN_SHARE),)
    yield Row("files-search-20000", title, "searches/s", (PRODUCT, RIPGREP), plain, over_stdio(ours, ours))


_READ = ("read_file", "read_text_file")
