"""Progress of file operations: the bytes or entries so far."""

import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.support.files import rooted
from tfo_mcp.application.ports import Contents, Edit, Filter, Lines, Progress, Write
from tfo_mcp.infrastructure.files import RootedFiles

MEGABYTES = 8
SIZE = MEGABYTES << 20
NAMES = 3000  # more than one chunk of directory entries, or of ripgrep's output

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a long text, and a directory with many subdirectories."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "long").write_text(f"{'x' * 1023}\n" * (SIZE >> 10))
    for number in range(NAMES // 10):
        (root / "many" / str(number)).mkdir(parents=True)
        for other in range(9):
            (root / "many" / str(number) / str(other)).write_text("needle\n")
    return root


@pytest.fixture
def files(root: Path) -> Iterator[RootedFiles]:
    store = rooted(root, read_bytes=2 * SIZE, write_bytes=2 * SIZE, entries=2 * NAMES, report_seconds=0.0)
    yield store
    store.close()


async def told(work: Callable[[Progress], Awaitable[object]]) -> list[tuple[int, int | None]]:
    """Run an operation and return its progress reports."""
    reports: list[tuple[int, int | None]] = []

    async def progress(done: int, total: int | None) -> None:
        reports.append((done, total))

    await work(progress)
    assert reports == sorted(reports)
    return reports


async def test_reading_tells_the_bytes_so_far_and_all_of_them(files: RootedFiles) -> None:
    works: list[Callable[[Progress], Awaitable[object]]] = [
        lambda progress: files.read("long", progress),
        lambda progress: files.read_text("long", "utf-8", Lines(SIZE >> 10), progress),
        lambda progress: files.info("long", digest=True, progress=progress),
        lambda progress: files.write("long", b"", Write("append"), progress),
    ]
    for work in works:
        reports = await told(work)
        assert len({done for done, _ in reports}) > 1
        assert all(0 < done <= SIZE and total == SIZE for done, total in reports)


async def test_looking_and_deleting_tell_the_entries_so_far(files: RootedFiles) -> None:
    works: list[Callable[[Progress], Awaitable[object]]] = [
        lambda progress: files.list("many", depth=9, progress=progress),
        lambda progress: files.names("many", depth=9, progress=progress),
        lambda progress: files.find("many", Filter("*"), progress=progress),
        lambda progress: files.search("many", Contents("needle"), Filter(), progress=progress),
        lambda progress: files.delete("many", recursive=True, progress=progress),
    ]
    for work in works:
        reports = await told(work)
        assert max(done for done, _ in reports) > 1


async def test_editing_tells_the_places_so_far(files: RootedFiles) -> None:
    reports = await told(
        lambda progress: files.edit("long", [Edit("\n", "\r\n", everywhere=True)], dry_run=True, progress=progress)
    )
    assert max(done for done, _ in reports) == SIZE >> 10


async def test_moving_to_another_file_system_tells_the_bytes_so_far(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "none", str(other)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("to mount a file system takes rights that this user does not have")
    files = rooted(root, other, report_seconds=0.0)
    try:
        reports = await told(lambda progress: files.move("long", f"{other}/long", progress=progress))
        assert reports[-1] == (SIZE, SIZE)
        assert (other / "long").stat().st_size == SIZE
    finally:
        files.close()
        subprocess.run(["umount", str(other)], check=True)
