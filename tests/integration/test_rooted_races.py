"""Races: another process swaps files and directories with links to the outside, and no access escapes the root.

100,000 reads and 20,000 writes use both ways of opening: openat2, and the walk for kernels without it. Every other
operation is attempted a thousand times. Attempts are counted and no time is measured: how many meet the link depends on
the machine's load, so a race only has to meet both the file and the link.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import anyio.to_thread
import pytest

from tests.support.files import LIMIT, rooted
from tfo_mcp.application.ports import Contents, Filter, Write
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.infrastructure.files import RootedFiles
from tfo_mcp.infrastructure.files.cached_read import contents_at_hand
from tfo_mcp.infrastructure.files.progress import Report
from tfo_mcp.infrastructure.files.read import read_whole
from tfo_mcp.infrastructure.files.roots import Root, open_roots
from tfo_mcp.infrastructure.files.write import write as write_file
from tfo_mcp.infrastructure.linux import openat2

READS = 100_000
WRITES = 20_000
ATTEMPTS = 1_000
SEARCHES = 50
IN_MEMORY = Path("/dev/shm")

FLIP = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
here = os.open(sys.argv[1], os.O_RDONLY)
print("ready", flush=True)
while os.getppid() == int(sys.argv[2]):
    for _ in range(1000):
        for one, other in ((b"flip", b"flop"), (b"leaf", b"loaf")):
            if libc.renameat2(here, one, here, other, 2):  # RENAME_EXCHANGE
                sys.exit(os.strerror(ctypes.get_errno()))
"""

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def files(root: Path) -> Iterator[RootedFiles]:
    store = rooted(root)
    yield store
    store.close()


@pytest.fixture
def flipping(root: Path, tmp_path: Path) -> Iterator[None]:
    """Swap `flip` between a directory and a link to one outside, and `leaf` between a file and such a link."""
    outside = tmp_path / "outside"
    for directory in (root / "flip", outside):
        (directory / "sub").mkdir(parents=True)
    (root / "flip" / "data.txt").write_text("inside")
    (root / "flip" / "sub" / "inside.txt").touch()
    (outside / "data.txt").write_text("secret")
    (outside / "sub" / "secret.txt").touch()
    (root / "flop").symlink_to(outside)
    (root / "leaf").write_text("inside")
    (root / "loaf").symlink_to(outside / "data.txt")
    command = [sys.executable, "-I", "-c", FLIP, str(root), str(os.getpid())]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield
        assert process.poll() is None
        process.kill()


@pytest.fixture(params=["openat2", "walk"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open with openat2, or as on a kernel without it."""
    assert openat2.available()
    if request.param == "walk":
        monkeypatch.setattr(openat2, "available", lambda: False)


def nothing_escaped(tmp_path: Path) -> None:
    assert (tmp_path / "outside" / "data.txt").read_text() == "secret"
    assert sorted(os.listdir(tmp_path / "outside")) == ["data.txt", "sub"]


class Race:
    """Counts the attempts that met the file, and those that met the link."""

    def __init__(self, attempts: int) -> None:
        self._attempts = attempts
        self._served = self._refused = 0

    @property
    def goes_on(self) -> bool:
        """Whether attempts are missing, or all of them met the same."""
        return self._served + self._refused < self._attempts or not self._served or not self._refused

    def count(self, served: bool) -> None:
        """Count an attempt."""
        self._served += served
        self._refused += not served


def attempt_often(times: int, attempt: Callable[[], object]) -> None:
    """Attempt at least so often, and until both the file and the link were met."""
    race = Race(times)
    while race.goes_on:
        try:
            attempt()
        except OperationFailed:
            race.count(served=False)
        else:
            race.count(served=True)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("flipping", "way")
async def test_of_many_thousand_reads_none_gets_out(root: Path) -> None:
    roots = open_roots([(str(root), False)])

    def read(path: str) -> None:
        assert contents_at_hand(roots, path) in (None, b"inside")
        assert read_whole(roots, path, LIMIT, Report(None)) == b"inside"

    for path in ("flip/data.txt", "leaf"):
        await anyio.to_thread.run_sync(attempt_often, READS // 4, partial(read, path))
    close(roots)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("flipping", "way")
async def test_of_many_thousand_writes_none_gets_out(root: Path, tmp_path: Path) -> None:
    roots = open_roots([(str(root), False)])

    def write() -> None:
        write_file(roots, "flip/data.txt", lambda beginning: b"inside", Write(), LIMIT, Report(None))

    await anyio.to_thread.run_sync(attempt_often, WRITES // 2, write)
    nothing_escaped(tmp_path)
    close(roots)


def close(roots: tuple[Root, ...]) -> None:
    for root in roots:
        os.close(root.descriptor)


async def race(attempt: str, files: RootedFiles) -> object:
    match attempt:
        case "create":
            return await files.write("flip/new/new.txt", b"new", Write(create_dirs=True))
        case "list":
            return await files.list("flip", depth=9, cursor=None, most=None)
        case "info":
            return (await files.info("flip/data.txt", digest=True)).size == len("inside") or "secret"
        case "move":
            await files.write("new", b"new", Write())
            await files.move("new", "flip/moved", overwrite=True, create_dirs=False)
            return "moved"
        case "delete":
            await files.write("flip/gone", b"new", Write())
            return await files.delete("flip/gone", recursive=False)
        case "find":
            return await files.find(".", Filter("*.txt"), most=None)
        case "search":
            return await files.search(".", Contents("secret|inside"), Filter(), most=None)
        case _:
            descriptor = files.open_directory("flip/sub")
            try:
                return os.listdir(f"/proc/self/fd/{descriptor}")
            finally:
                os.close(descriptor)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("flipping", "way")
@pytest.mark.parametrize("attempt", ["create", "list", "info", "move", "delete", "open_directory"])
async def test_a_directory_that_turns_into_a_link_lets_nothing_escape(
    files: RootedFiles, tmp_path: Path, attempt: str
) -> None:
    running = Race(ATTEMPTS)
    while running.goes_on:
        try:
            result = await race(attempt, files)
        except OperationFailed:
            running.count(served=False)
        else:
            running.count(served=True)
            assert "secret" not in str(result)
    nothing_escaped(tmp_path)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("flipping")
@pytest.mark.parametrize("attempt", ["find", "search"])
async def test_a_search_sees_nothing_outside_whatever_turns_into_a_link(
    files: RootedFiles, tmp_path: Path, attempt: str
) -> None:
    running = Race(SEARCHES)
    while running.goes_on:
        result = str(await race(attempt, files))
        assert "secret" not in result
        running.count(served="flip" in result)
    nothing_escaped(tmp_path)
