"""Files below the roots, on a real file system: reading, refusals, and no escape from the roots.

Not covered: hard links and mounts inside a root, which belong to the root.
"""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from tests.support.deadlines import PATIENCE
from tests.support.files import LIMIT, rooted
from tfo_mcp.application.ports import Write, Written
from tfo_mcp.domain.errors import FileMissing, OperationFailed
from tfo_mcp.infrastructure.files import RootedFiles

AT_ONCE = 1.0  # maximum seconds of a refusal

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
    (tmp_path / "root-sibling").mkdir()
    (tmp_path / "root-sibling" / "secret.txt").write_text("secret")
    return root


@pytest.fixture
def files(root: Path) -> Iterator[RootedFiles]:
    store = rooted(root)
    yield store
    store.close()


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


class TestReading:
    async def test_a_file_is_read_by_its_relative_and_by_its_absolute_path(
        self, files: RootedFiles, root: Path
    ) -> None:
        assert await files.read("docs/guide.md") == b"guide"
        assert await files.read("./docs//guide.md") == b"guide"
        assert await files.read(str(root / "docs" / "guide.md")) == b"guide"

    async def test_a_missing_file_is_named_as_the_caller_named_it(self, files: RootedFiles) -> None:
        with pytest.raises(FileMissing, match=r"^docs/none\.txt: no such file or directory$"):
            await files.read("docs/none.txt")

    @pytest.mark.parametrize(
        "path",
        [
            "..",
            "../secret.txt",
            "docs/../../secret.txt",
            "docs/deep/../../../secret.txt",
            "/etc/passwd",
            "/",
            "file-out",
            "file-out-absolute",
            "out/secret.txt",
            "out-absolute/secret.txt",
            "out-absolute/root/notes.txt",
            "through/secret.txt",
            "docs/../file-out",
        ],
    )
    async def test_no_path_leads_out_of_the_root(
        self, files: RootedFiles, root: Path, tmp_path: Path, path: str
    ) -> None:
        (root / "file-out").symlink_to("../secret.txt")
        (root / "file-out-absolute").symlink_to(tmp_path / "secret.txt")
        (root / "out").symlink_to("..")
        (root / "out-absolute").symlink_to(tmp_path)
        (root / "through").symlink_to("docs/../out")
        with pytest.raises(OperationFailed, match=r"outside the directories.*files\.roots") as refused:
            await files.read(path)
        assert str(tmp_path) not in refused.value.message

    async def test_a_directory_whose_name_begins_like_the_root_is_outside(
        self, files: RootedFiles, root: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(OperationFailed, match="outside"):
            await files.read(f"{root}-sibling/secret.txt")
        with pytest.raises(OperationFailed, match="outside"):
            await files.read("../root-sibling/secret.txt")
        with pytest.raises(OperationFailed, match="outside"):
            await files.read(str(tmp_path))

    async def test_links_that_stay_inside_are_followed(self, files: RootedFiles, root: Path) -> None:
        (root / "docs" / "up").symlink_to("../notes.txt")
        (root / "again").symlink_to("docs/up")
        (root / "whole").symlink_to(root / "docs")
        (root / "here").symlink_to(".")
        assert await files.read("again") == b"notes"
        assert await files.read("whole/deep/more.md") == b"more"
        assert await files.read("here/here/notes.txt") == b"notes"

    async def test_two_dots_behind_a_link_lead_above_what_the_link_points_to(
        self, files: RootedFiles, root: Path
    ) -> None:
        (root / "deep").symlink_to("docs/deep")
        assert await files.read("deep/../guide.md") == b"guide"

    async def test_links_in_a_circle_are_refused(self, files: RootedFiles, root: Path) -> None:
        (root / "one").symlink_to("two")
        (root / "two").symlink_to("one")
        for path in ("one", "one/x"):
            with pytest.raises(OperationFailed, match="too many symbolic links"):
                await files.read(path)

    async def test_only_regular_files_are_read_and_nothing_waits_for_a_fifo(
        self, files: RootedFiles, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        os.mkfifo(root / "fifo")
        monkeypatch.chdir(root)  # the path of a socket must be short
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
            with anyio.fail_after(AT_ONCE):
                for path, words in {"fifo": "not a regular", "socket": "not a regular", "docs": "a directory"}.items():
                    with pytest.raises(OperationFailed, match=rf"^{path}: .*{words}"):
                        await files.read(path)

    async def test_a_fifo_that_is_asked_for_does_not_let_its_writer_go_on(self, files: RootedFiles, root: Path) -> None:
        os.mkfifo(root / "fifo")
        with pytest.raises(OperationFailed, match="not a regular"):
            await files.read("fifo")
        with pytest.raises(OSError, match="No such device or address"):  # while the FIFO has no reader
            os.open(root / "fifo", os.O_WRONLY | os.O_NONBLOCK)

    async def test_a_device_is_not_read(self, tmp_path: Path) -> None:
        everything = rooted("/")
        with pytest.raises(OperationFailed, match="not a regular file"):
            await everything.read("dev/zero")
        everything.close()

    @pytest.mark.parametrize("path", ["proc/self/environ", "proc/1/environ", "sys/kernel/uevent_seqnum"])
    async def test_what_the_kernel_makes_up_is_no_file(self, path: str) -> None:
        everything = rooted("/")
        with pytest.raises(OperationFailed, match="part of a kernel file system"):
            await everything.read(path)
        with pytest.raises(OperationFailed, match="part of a kernel file system"):
            await everything.list("proc/self/task", depth=1, cursor=None, most=None)
        everything.close()

    async def test_a_file_beyond_the_limit_is_refused_however_large(self, files: RootedFiles, root: Path) -> None:
        (root / "fits").write_bytes(b"x" * LIMIT)
        (root / "over").write_bytes(b"x" * (LIMIT + 1))
        with (root / "sparse").open("wb") as file:
            file.truncate(5 << 30)
        assert len(await files.read("fits")) == LIMIT
        for path in ("over", "sparse"):
            with pytest.raises(OperationFailed, match=rf"over the limit of {LIMIT} bytes \(files\.max_read_bytes\)"):
                await files.read(path)

    @pytest.mark.parametrize(
        ("path", "words"),
        [
            ("notes\0.txt", "must not contain NUL"),
            ("", "empty"),
            ("\ud800", r"\\ud800: .*not valid Unicode"),
            ("x/" * 3000, "longer than 4096 bytes"),
            ("x" * 6000, "longer than 4096 bytes"),
            ("x" * 300, "too long"),
            ("docs/../" * 500 + "notes.txt/x", "not a directory"),
            ("notes.txt/x", "not a directory"),
        ],
    )
    async def test_a_path_that_cannot_be_one_is_refused_at_once(
        self, files: RootedFiles, path: str, words: str
    ) -> None:
        with anyio.fail_after(AT_ONCE), pytest.raises(OperationFailed, match=words):
            await files.read(path)

    async def test_a_long_way_around_is_either_gone_or_refused(self, files: RootedFiles, root: Path) -> None:
        assert await files.read("docs/../" * 500 + "notes.txt") == b"notes"
        deep = "/".join(["d"] * 400)
        (root / deep).mkdir(parents=True)
        with anyio.fail_after(AT_ONCE), pytest.raises(OperationFailed, match="too many components"):
            await files.read(deep + "/.." * 300)

    async def test_control_characters_in_a_path_are_escaped_in_the_error(self, files: RootedFiles) -> None:
        with pytest.raises(FileMissing) as missing:
            await files.read("a\x1b[2Jb\n\u202ec")
        assert missing.value.message == "a\\x1b[2Jb\\x0a\\u202ec: no such file or directory"

    async def test_refusals_leave_no_descriptor_open(self, files: RootedFiles, root: Path) -> None:
        (root / "out").symlink_to("..")
        os.mkfifo(root / "fifo")
        await files.list(".", depth=9, cursor=None, most=None)
        before = open_descriptors()
        for path in ("out/secret.txt", "fifo", "none/none", "docs/../..", "notes.txt/x", "docs"):
            with pytest.raises(OperationFailed):
                await files.read(path)
            with pytest.raises(OperationFailed):
                await files.write(path, b"", Write())
        assert open_descriptors() == before


class TestRoots:
    async def test_relative_paths_start_at_the_first_root_and_absolute_ones_choose_theirs(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "name").write_text(name)
        both = rooted(tmp_path / "one", tmp_path / "two")
        assert await both.read("name") == b"one"
        assert await both.read(str(tmp_path / "two" / "name")) == b"two"
        with pytest.raises(OperationFailed, match="outside"):
            await both.read("../two/name")
        both.close()

    async def test_a_root_may_be_reached_through_a_link(self, root: Path, tmp_path: Path) -> None:
        (tmp_path / "alias").symlink_to(root)
        store = rooted(tmp_path / "alias")
        assert await store.read(str(tmp_path / "alias" / "notes.txt")) == b"notes"
        assert await store.read(str(root / "notes.txt")) == b"notes"
        store.close()

    async def test_a_root_stays_the_same_directory_when_its_name_is_given_to_another(
        self, files: RootedFiles, root: Path, tmp_path: Path
    ) -> None:
        root.rename(tmp_path / "moved")
        root.symlink_to(tmp_path)
        assert await files.read("notes.txt") == b"notes"
        assert await files.read(str(root / "notes.txt")) == b"notes"

    @pytest.mark.parametrize("name", ["none", "secret.txt", "\0"])
    def test_a_root_that_is_no_directory_is_an_error_at_start(self, root: Path, tmp_path: Path, name: str) -> None:
        with pytest.raises(ValueError, match=r"^files\.roots: .*cannot be opened as a directory"):
            rooted(root, tmp_path / name)

    def test_no_root_at_all_is_an_error_at_start(self) -> None:
        with pytest.raises(ValueError, match=r"^files\.roots: name at least one directory"):
            rooted()


class TestWriting:
    async def test_a_file_is_created_and_replaced_whole(self, files: RootedFiles, root: Path) -> None:
        assert await files.write("new.txt", b"first", Write()) == Written(5, 5)
        assert await files.write("new.txt", b"2nd", Write()) == Written(3, 3)
        assert (root / "new.txt").read_bytes() == b"2nd"
        assert sorted(os.listdir(root)) == ["docs", "new.txt", "notes.txt"]

    async def test_an_existing_file_keeps_its_mode_and_loses_set_user_id(self, files: RootedFiles, root: Path) -> None:
        (root / "notes.txt").chmod(0o4640)
        await files.write("notes.txt", b"changed", Write())
        assert stat.S_IMODE((root / "notes.txt").stat().st_mode) == 0o640

    async def test_a_new_file_gets_the_mode_that_the_umask_leaves(self, files: RootedFiles, root: Path) -> None:
        before = os.umask(0o027)
        try:
            await files.write("new.txt", b"", Write())
        finally:
            os.umask(before)
        assert stat.S_IMODE((root / "new.txt").stat().st_mode) == 0o640

    async def test_directories_are_created_only_when_asked_for(self, files: RootedFiles, root: Path) -> None:
        with pytest.raises(FileMissing, match=r"^a/b/new\.txt: "):
            await files.write("a/b/new.txt", b"x", Write())
        await files.write("a/b/new.txt", b"x", Write(create_dirs=True))
        await files.write("a/b/other.txt", b"y", Write(create_dirs=True))
        assert (root / "a" / "b" / "new.txt").read_bytes() == b"x"

    async def test_a_link_inside_is_written_through_and_stays_a_link(self, files: RootedFiles, root: Path) -> None:
        (root / "link").symlink_to("docs/guide.md")
        (root / "dangling").symlink_to("docs/new.md")
        await files.write("link", b"changed", Write())
        await files.write("dangling", b"new", Write())
        assert (root / "link").is_symlink()
        assert (root / "docs" / "guide.md").read_bytes() == b"changed"
        assert (root / "docs" / "new.md").read_bytes() == b"new"

    @pytest.mark.parametrize(
        "path", ["dangling", "out/new.txt", "out/new/deep.txt", "../new.txt", "docs/../../new.txt"]
    )
    async def test_nothing_is_written_outside(self, files: RootedFiles, root: Path, tmp_path: Path, path: str) -> None:
        (root / "dangling").symlink_to(tmp_path / "new.txt")
        (root / "out").symlink_to("..")
        before = sorted(os.listdir(tmp_path))
        with pytest.raises(OperationFailed, match="outside"):
            await files.write(path, b"x", Write(create_dirs=True))
        assert sorted(os.listdir(tmp_path)) == before

    @pytest.mark.parametrize(
        ("path", "words"),
        [
            ("docs", "this is a directory"),
            (".", "this is a directory"),
            ("new/", "names a directory"),
            ("fifo", "not a regular file"),
            ("notes.txt/x", "not a directory"),
            ("x" * 300, "too long"),
        ],
    )
    async def test_what_cannot_be_a_file_is_refused_and_nothing_is_left_behind(
        self, files: RootedFiles, root: Path, path: str, words: str
    ) -> None:
        os.mkfifo(root / "fifo")
        before = sorted(os.listdir(root))
        with anyio.fail_after(AT_ONCE), pytest.raises(OperationFailed, match=words):
            await files.write(path, b"x", Write())
        assert sorted(os.listdir(root)) == before

    async def test_content_beyond_the_limit_is_refused_and_the_file_is_as_it_was(
        self, files: RootedFiles, root: Path
    ) -> None:
        with pytest.raises(
            OperationFailed, match=rf"1001 bytes are over the limit of {LIMIT} \(files\.max_write_bytes\)"
        ):
            await files.write("notes.txt", b"x" * (LIMIT + 1), Write())
        assert (root / "notes.txt").read_text() == "notes"

    async def test_who_reads_meanwhile_sees_the_old_or_the_new_content_and_never_a_part(
        self, files: RootedFiles
    ) -> None:
        contents = {bytes([letter]) * LIMIT for letter in b"ab"}
        await files.write("shared.txt", b"a" * LIMIT, Write())
        seen: set[bytes] = set()

        async def read() -> None:
            while seen != contents:
                seen.add(await files.read("shared.txt"))
                await anyio.lowlevel.checkpoint()
                assert seen <= contents

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(read)
                while seen != contents:
                    for content in contents:
                        await files.write("shared.txt", content, Write())
