"""Opening files while another process turns directories and files into links to outside and back: 0 escapes.

Every way of opening is raced for a second at least, and until it has met both the file and the link many times.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from app.domain.errors import OperationFailed
from app.infrastructure.files import RootedFiles

RACE_SECONDS = 1.0
LEAST_OF_EACH = 300

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
    store = RootedFiles([root], max_read_bytes=1000, max_write_bytes=1000, max_entries=20)
    yield store
    store.close()


@pytest.fixture
def flipping(root: Path, tmp_path: Path) -> Iterator[None]:
    """While the test runs `flip` is now a directory and now a link to one outside, `leaf` the same with a file."""
    outside = tmp_path / "outside"
    for place in (root / "flip", outside):
        (place / "sub").mkdir(parents=True)
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


async def race(attempt: str, files: RootedFiles) -> object:
    match attempt:
        case "read":
            return await files.read("flip/data.txt")
        case "read_leaf":
            return await files.read("leaf")
        case "write":
            return await files.write("flip/data.txt", b"inside", create_dirs=False)
        case "create":
            return await files.write("flip/new/new.txt", b"new", create_dirs=True)
        case "list":
            return await files.list("flip", recursive=True)
        case _:
            descriptor = files.open_directory("flip/sub")
            try:
                return os.listdir(f"/proc/self/fd/{descriptor}")
            finally:
                os.close(descriptor)


@pytest.mark.usefixtures("flipping")
@pytest.mark.parametrize("attempt", ["read", "read_leaf", "write", "create", "list", "open_directory"])
async def test_a_directory_that_turns_into_a_link_lets_nothing_escape(
    files: RootedFiles, tmp_path: Path, attempt: str
) -> None:
    served = refused = 0
    end = anyio.current_time() + RACE_SECONDS
    with anyio.fail_after(20 * RACE_SECONDS):
        while anyio.current_time() < end or min(served, refused) < LEAST_OF_EACH:
            try:
                result = await race(attempt, files)
            except OperationFailed:
                refused += 1
            else:
                served += 1
                assert "secret" not in str(result)
    assert (tmp_path / "outside" / "data.txt").read_text() == "secret"
    assert sorted(os.listdir(tmp_path / "outside")) == ["data.txt", "sub"]
