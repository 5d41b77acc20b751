"""Atomic changes of files below the roots: the three write modes, editing, moving and deleting."""

import asyncio
import fcntl
import hashlib
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.deadlines import PATIENCE
from tests.support.files import LIMIT, rooted
from tfo_mcp.application.ports import Edit, FileInfo, Write, Written
from tfo_mcp.domain.errors import FileMissing, FileTooLarge, NotText, OperationFailed
from tfo_mcp.infrastructure.files import RootedFiles, atomic_write

SOMEBODY = 12345
NOTES = hashlib.sha256(b"notes").hexdigest()

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with `notes.txt` and `docs/guide.md`."""
    root = tmp_path / "root"
    (root / "docs").mkdir(parents=True)
    (root / "notes.txt").write_text("notes")
    (root / "docs" / "guide.md").write_text("guide")
    return root


@pytest.fixture
def files(root: Path) -> Iterator[RootedFiles]:
    store = rooted(root)
    yield store
    store.close()


@pytest.fixture(params=[True, False], ids=["unnamed", "named"])
def temporary(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write through unnamed temporary files (O_TMPFILE), or as on a file system without them."""
    if not request.param:
        monkeypatch.setattr(atomic_write, "_O_TMPFILE", None)


def everything(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


@pytest.mark.usefixtures("temporary")
class TestWriting:
    async def test_appending_adds_at_the_end_or_creates(self, files: RootedFiles, root: Path) -> None:
        assert await files.write("notes.txt", b"+1", Write("append")) == Written(2, 7)
        assert await files.write("new.txt", b"new", Write("append")) == Written(3, 3)
        assert (root / "notes.txt").read_bytes() == b"notes+1"
        assert everything(root) == ["docs", "docs/guide.md", "new.txt", "notes.txt"]

    async def test_creating_never_replaces(self, files: RootedFiles, root: Path) -> None:
        await files.write("new.txt", b"new", Write("create"))
        for path in ("new.txt", "notes.txt"):
            with pytest.raises(OperationFailed, match=rf"^{path}: exists already"):
                await files.write(path, b"other", Write("create"))
        assert (root / "new.txt").read_bytes() == b"new"
        assert everything(root) == ["docs", "docs/guide.md", "new.txt", "notes.txt"]

    async def test_of_many_creators_one_wins(self, files: RootedFiles, root: Path) -> None:
        created: list[bytes] = []

        async def create(content: bytes) -> None:
            try:
                await files.write("new.txt", content, Write("create"))
            except OperationFailed:
                return
            created.append(content)

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(create, b"%d" % number)
        assert [(root / "new.txt").read_bytes()] == created

    async def test_of_many_appenders_nothing_is_lost_over_processes(self, files: RootedFiles, root: Path) -> None:
        program = (
            "import asyncio, sys; from tests.support.files import rooted; from tfo_mcp.application.ports import Write\n"
            "async def main():\n"
            "    store = rooted(sys.argv[1])\n"
            "    for number in range(40): await store.write('log', sys.argv[2].encode() + b'\\n', Write('append'))\n"
            "asyncio.run(main())"
        )
        line = [sys.executable, "-c", program, str(root)]
        others = [subprocess.Popen([*line, name]) for name in "ab"]
        async with anyio.create_task_group() as tasks:
            for _ in range(40):
                tasks.start_soon(files.write, "log", b"c\n", Write("append"))
        assert [other.wait(60) for other in others] == [0, 0]
        assert sorted((root / "log").read_text().split()) == ["a"] * 40 + ["b"] * 40 + ["c"] * 40

    async def test_what_has_changed_meanwhile_is_not_overwritten(self, files: RootedFiles, root: Path) -> None:
        await files.write("notes.txt", b"mine", Write(expected_sha256=NOTES.upper()))
        with pytest.raises(
            OperationFailed, match=r"^notes\.txt: the file has changed \(its SHA-256 is now [0-9a-f]{64}"
        ):
            await files.write("notes.txt", b"late", Write(expected_sha256=NOTES))
        with pytest.raises(OperationFailed, match=r"^none: there is no such file"):
            await files.write("none", b"late", Write(expected_sha256=NOTES))
        assert (root / "notes.txt").read_bytes() == b"mine"

    async def test_mode_owner_and_attributes_are_kept(self, files: RootedFiles, root: Path) -> None:
        target = root / "notes.txt"
        target.chmod(0o640)
        if os.geteuid() == 0:
            os.chown(target, 1234, 2345)
        os.setxattr(target, "user.colour", b"green")
        before = target.stat()
        await files.write("notes.txt", b"changed", Write())
        await files.edit("notes.txt", [Edit("changed", "edited")], encoding="utf-8", dry_run=False)
        after = target.stat()
        assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
        assert os.getxattr(target, "user.colour") == b"green"

    async def test_a_hard_link_is_a_file_like_any_other_and_its_other_name_keeps_what_was(
        self, files: RootedFiles, root: Path, tmp_path: Path
    ) -> None:
        outside = tmp_path / "outside"
        outside.write_text("outside")
        os.link(outside, root / "linked")
        assert await files.read("linked") == b"outside"
        await files.write("linked", b"changed", Write())
        await files.write("linked", b"+", Write("append"))
        assert outside.read_text() == "outside"

    async def test_a_write_that_the_system_ends_half_way_leaves_the_old_file_and_nothing_else(
        self, files: RootedFiles, root: Path
    ) -> None:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        for how in (Write(), Write("append")):
            resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT // 2, limits[1]))
            try:
                with pytest.raises(OperationFailed, match=r"^notes\.txt: File too large$"):
                    await files.write("notes.txt", b"x" * LIMIT, how)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (root / "notes.txt").read_text() == "notes"
        assert everything(root) == ["docs", "docs/guide.md", "notes.txt"]


class TestReadOnly:
    @pytest.fixture
    def store(self, root: Path, tmp_path: Path) -> Iterator[RootedFiles]:
        (tmp_path / "free").mkdir()
        store = rooted(tmp_path / "free", read_only=[root])
        yield store
        store.close()

    async def test_a_root_for_reading_only_is_read_and_never_changed(self, store: RootedFiles, root: Path) -> None:
        notes = str(root / "notes.txt")
        attempts: list[Any] = [
            store.write(notes, b"x", Write()),
            store.write(str(root / "new"), b"x", Write(create_dirs=True)),
            store.edit(notes, [Edit("notes", "x")], encoding="utf-8", dry_run=False),
            store.move(notes, "moved", overwrite=True, create_dirs=False),
            store.delete(notes, recursive=True),
        ]
        await store.write("own", b"own", Write())
        attempts.append(store.move("own", notes, overwrite=True, create_dirs=False))
        for attempt in attempts:
            with pytest.raises(OperationFailed, match=r"for reading only \(files\.roots\)"):
                await attempt
        assert await store.read(notes) == b"notes"
        assert (await store.info(notes, digest=False)).read_only
        assert everything(root) == ["docs", "docs/guide.md", "notes.txt"]
        shown = await store.edit(notes, [Edit("notes", "x")], encoding="utf-8", dry_run=True)
        assert shown.replacements == 1

    def test_it_cannot_lie_inside_of_one_that_may_be_changed(self, root: Path) -> None:
        with pytest.raises(ValueError, match=r"files\.roots: .*docs' cannot be read-only inside of a root that is not"):
            rooted(root, read_only=[root / "docs"])

    async def test_one_that_may_be_changed_can_lie_inside_of_it(self, root: Path) -> None:
        store = rooted(read_only=[root])
        store.close()
        both = rooted(root / "docs", read_only=[root])
        await both.write("new", b"x", Write())
        await both.write(str(root / "docs" / "new2"), b"x", Write())
        with pytest.raises(OperationFailed, match="for reading only"):
            await both.write(str(root / "new"), b"x", Write())
        both.close()


class TestEditing:
    async def edit(self, files: RootedFiles, *edits: Edit, dry_run: bool = False, encoding: str = "utf-8") -> str:
        edited = await files.edit("text", edits, encoding=encoding, dry_run=dry_run)
        return edited.diff

    async def test_the_answer_is_a_unified_diff(self, files: RootedFiles, root: Path) -> None:
        (root / "text").write_text("".join(f"{number}\n" for number in range(1, 31)))
        diff = await self.edit(files, Edit("\n5\n", "\nfive\n"), Edit("30\n", "thirty"))
        assert diff == (
            "--- text\n+++ text\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
            "@@ -27,4 +27,4 @@\n 27\n 28\n 29\n-30\n+thirty\n\\ No newline at end of file\n"
        )
        assert (root / "text").read_text().splitlines()[4::25] == ["five", "thirty"]

    async def test_each_edit_sees_what_those_before_it_made(self, files: RootedFiles, root: Path) -> None:
        (root / "text").write_text("a b\n")
        await self.edit(files, Edit("a", "b"), Edit("b b", "c"))
        assert (root / "text").read_text() == "c\n"

    async def test_a_text_in_several_places_is_replaced_only_if_everywhere_is_meant(
        self, files: RootedFiles, root: Path
    ) -> None:
        (root / "text").write_text("a\na\nb\n")
        with pytest.raises(OperationFailed, match=r"^Edit 1: this text occurs 2 times \(lines 1, 2\)"):
            await self.edit(files, Edit("a", "c"))
        edited = await files.edit("text", [Edit("a", "c", everywhere=True)], encoding="utf-8", dry_run=False)
        assert (edited.replacements, (root / "text").read_text()) == (2, "c\nc\nb\n")

    async def test_one_edit_that_fails_leaves_the_file_as_it_was(self, files: RootedFiles, root: Path) -> None:
        (root / "text").write_text("a\n")
        with pytest.raises(OperationFailed, match=r"^Edit 2: the file does not contain this exact text: 'none'"):
            await self.edit(files, Edit("a", "b"), Edit("none", "c"))
        assert (root / "text").read_text() == "a\n"

    async def test_a_dry_run_only_shows(self, files: RootedFiles, root: Path) -> None:
        (root / "text").write_text("a\r\n")
        diff = await self.edit(files, Edit("a", "b"), dry_run=True)
        assert diff == "--- text\n+++ text\n@@ -1 +1 @@\n-a\r\n+b\r\n"
        assert (root / "text").read_bytes() == b"a\r\n"

    async def test_line_ends_and_the_encoding_stay(self, files: RootedFiles, root: Path) -> None:
        (root / "text").write_bytes("grün\r\nblau\r\n".encode("utf-16"))
        await self.edit(files, Edit("blau", "rot"), encoding="utf-16")
        assert (root / "text").read_bytes().decode("utf-16") == "grün\r\nrot\r\n"

    async def test_a_text_of_any_shape_is_shown_in_time(self, root: Path) -> None:
        store = rooted(root, read_bytes=1 << 20, write_bytes=1 << 20)
        (root / "text").write_text("x\n" * 400_000 + "y\n")
        with anyio.fail_after(2):
            edited = await store.edit("text", [Edit("y", "z")], encoding="utf-8", dry_run=False)
        assert edited.diff.endswith("-y\n+z\n")
        store.close()

    async def test_a_text_in_very_many_places_is_replaced_and_given_up_in_time(self, root: Path) -> None:
        store = rooted(root, read_bytes=4 << 20, write_bytes=4 << 20)
        for text, lines in (("xy" * 50_000, 1), ("x\ny\n" * 50_000, 100_000)):
            (root / "text").write_text(text)
            with anyio.fail_after(PATIENCE):
                edited = await store.edit("text", [Edit("x", "zz", everywhere=True), Edit("y", "", everywhere=True)])
            assert (root / "text").read_text() == text.replace("x", "zz").replace("y", "")
            assert edited.diff.count("\n-") == lines
        (root / "text").write_text("xy" * (1 << 20))
        with anyio.move_on_after(0.2) as scope:
            await store.edit("text", [Edit("x", "zz", everywhere=True)] * 200)
        assert scope.cancelled_caught
        with anyio.fail_after(2):  # the lock of the directory is free
            await store.write("other", b"", Write())
        assert (root / "text").stat().st_size == 2 << 20
        store.close()

    @pytest.mark.parametrize(
        ("edits", "problem", "words"),
        [
            ([Edit("", "x")], OperationFailed, "Edit 1: the text to replace is empty"),
            ([Edit("notes", "x" * (LIMIT + 1))], FileTooLarge, r"over the limit of 1000 \(files\.max_write_bytes\)"),
        ],
    )
    async def test_an_edit_that_cannot_be_made_says_why(
        self, files: RootedFiles, edits: list[Edit], problem: type[OperationFailed], words: str
    ) -> None:
        with pytest.raises(problem, match=words):
            await files.edit("notes.txt", edits, encoding="utf-8", dry_run=False)

    async def test_only_text_is_edited(self, files: RootedFiles, root: Path) -> None:
        (root / "text").write_bytes(b"\xff")
        with pytest.raises(NotText, match=r"^text: this is not utf-8 text"):
            await self.edit(files, Edit("a", "b"))
        (root / "text").write_text("a")
        with pytest.raises(OperationFailed, match=r"^text: ascii cannot encode some"):
            await self.edit(files, Edit("a", "é"), encoding="ascii")
        with pytest.raises(OperationFailed, match="the file has changed"):
            await files.edit("text", [Edit("a", "b")], encoding="utf-8", dry_run=False, expected_sha256=NOTES)


class TestMoving:
    async def move(
        self,
        files: RootedFiles,
        source: str,
        destination: str,
        *,
        overwrite: bool = False,
        create_dirs: bool = False,
    ) -> None:
        await files.move(source, destination, overwrite=overwrite, create_dirs=create_dirs)

    async def test_files_directories_and_links_get_other_names(self, files: RootedFiles, root: Path) -> None:
        (root / "link").symlink_to("/etc/passwd")
        await self.move(files, "notes.txt", "docs/moved.txt")
        await self.move(files, "docs", "new/deep", create_dirs=True)
        await self.move(files, "link", "other")
        assert everything(root) == ["new", "new/deep", "new/deep/guide.md", "new/deep/moved.txt", "other"]
        assert os.readlink(root / "other") == "/etc/passwd"

    async def test_nothing_is_replaced_unless_it_is_meant(self, files: RootedFiles, root: Path) -> None:
        with pytest.raises(OperationFailed, match=r"^docs/guide\.md: exists already; .*overwrite"):
            await self.move(files, "notes.txt", "docs/guide.md")
        await self.move(files, "notes.txt", "docs/guide.md", overwrite=True)
        assert (root / "docs" / "guide.md").read_text() == "notes"

    async def test_of_two_names_of_one_file_the_old_one_goes(self, files: RootedFiles, root: Path) -> None:
        (root / "docs" / "same").hardlink_to(root / "notes.txt")
        await self.move(files, "notes.txt", "docs/same", overwrite=True)
        assert everything(root) == ["docs", "docs/guide.md", "docs/same"]
        await self.move(files, "docs/same", "docs/same", overwrite=True)
        assert (root / "docs" / "same").read_text() == "notes"

    async def test_a_mover_and_a_deleter_wait_for_the_writer_of_a_directory(
        self, files: RootedFiles, root: Path
    ) -> None:
        async def is_made_while_it_is_held(directory: Path, change: Coroutine[Any, Any, object]) -> bool:
            held = os.open(directory, os.O_RDONLY)
            task = asyncio.ensure_future(change)
            try:
                fcntl.flock(held, fcntl.LOCK_EX)
                done, _ = await asyncio.wait([task], timeout=0.1)
            finally:
                os.close(held)
            await task
            return bool(done)

        assert not await is_made_while_it_is_held(root, self.move(files, "notes.txt", "docs/notes.txt"))
        assert not await is_made_while_it_is_held(root, self.move(files, "docs/notes.txt", "notes.txt"))
        assert not await is_made_while_it_is_held(root / "docs", self.move(files, "notes.txt", "docs/notes.txt"))
        assert not await is_made_while_it_is_held(root / "docs", files.delete("docs/notes.txt"))
        assert everything(root) == ["docs", "docs/guide.md"]

    async def test_a_file_goes_to_another_file_system(self, files: RootedFiles, root: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        other.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "none", str(other)], capture_output=True, check=False)
        if mounted.returncode != 0:
            pytest.skip("to mount a file system takes rights that this user does not have")
        both = rooted(root, other)
        try:
            os.setxattr(root / "notes.txt", "user.origin", b"here")
            os.chown(root / "notes.txt", SOMEBODY, SOMEBODY)
            (root / "notes.txt").chmod(0o4604)
            await self.move(both, "notes.txt", f"{other}/moved")
            moved = (other / "moved").stat()
            assert (other / "moved").read_text() == "notes"
            assert (stat.S_IMODE(moved.st_mode), moved.st_uid, moved.st_gid) == (0o604, SOMEBODY, SOMEBODY)
            assert os.getxattr(other / "moved", "user.origin") == b"here"
            assert everything(root) == ["docs", "docs/guide.md"]
            with pytest.raises(OperationFailed, match="not possible across file systems"):
                await self.move(both, "docs", f"{other}/docs")
        finally:
            both.close()
            subprocess.run(["umount", str(other)], check=True)

    @pytest.mark.parametrize(
        ("source", "destination", "words"),
        [
            ("none", "new", "^none: no such"),
            ("notes.txt", "none/new", "^none/new: a directory of the path does not exist"),
            ("docs", "docs/inner", "^docs/inner: a directory cannot be moved into itself"),
            (".", "new", r"^\.: this is, or contains, a root"),
            ("notes.txt", ".", r"^\.: this is, or contains, a root"),
            ("notes.txt", "../new", "outside"),
            ("../root/notes.txt", "new", "outside"),
            ("notes.txt", "docs", "^docs: exists already"),
        ],
    )
    async def test_what_cannot_be_moved_stays_and_says_why(
        self, files: RootedFiles, root: Path, source: str, destination: str, words: str
    ) -> None:
        with pytest.raises(OperationFailed, match=words):
            await self.move(files, source, destination)
        assert everything(root) == ["docs", "docs/guide.md", "notes.txt"]


class TestDeleting:
    async def test_a_file_a_link_and_an_empty_directory_go(self, files: RootedFiles, root: Path) -> None:
        (root / "link").symlink_to("docs")
        (root / "dangling").symlink_to("none")
        (root / "empty").mkdir()
        for path in ("notes.txt", "link", "dangling", "empty"):
            assert await files.delete(path, recursive=False) == 1
        assert everything(root) == ["docs", "docs/guide.md"]

    async def test_a_directory_goes_with_what_it_holds_only_when_asked_for(
        self, files: RootedFiles, root: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside" / "kept").touch()
        (root / "docs" / "out").symlink_to(tmp_path / "outside")
        with pytest.raises(OperationFailed, match=r"^docs: the directory is not empty; .*recursive"):
            await files.delete("docs", recursive=False)
        assert await files.delete("docs", recursive=True) == 3
        assert everything(root) == ["notes.txt"]
        assert (tmp_path / "outside" / "kept").exists()

    @pytest.mark.parametrize(
        ("path", "words"), [(".", "a root"), ("docs/..", "a root"), ("none", "no such"), ("../x", "outside")]
    )
    async def test_what_is_not_to_be_deleted_stays(self, files: RootedFiles, root: Path, path: str, words: str) -> None:
        with pytest.raises(OperationFailed, match=words):
            await files.delete(path, recursive=True)
        assert everything(root) == ["docs", "docs/guide.md", "notes.txt"]

    async def test_a_root_inside_of_another_stays_with_what_holds_it(self, root: Path) -> None:
        (root / "docs" / "deep" / "inner").mkdir(parents=True)
        both = rooted(root, root / "docs" / "deep" / "inner")
        for path in ("docs", "docs/deep", "docs/deep/inner"):
            with pytest.raises(OperationFailed, match=rf"^{path}: this is, or contains, a root"):
                await both.delete(path, recursive=True)
            with pytest.raises(OperationFailed, match=rf"^{path}: this is, or contains, a root"):
                await both.move(path, "elsewhere")
        assert everything(root) == ["docs", "docs/deep", "docs/deep/inner", "docs/guide.md", "notes.txt"]
        both.close()


class TestDescribing:
    async def test_a_file_is_described(self, files: RootedFiles, root: Path) -> None:
        (root / "notes.txt").chmod(0o640)
        os.utime(root / "notes.txt", (5, 7))
        uri = (root / "notes.txt").as_uri()
        expected = FileInfo("file", 5, 7.0, "0640", is_link=False, read_only=False, uri=uri, sha256=NOTES)
        assert await files.info("notes.txt", digest=True) == expected

    async def test_a_link_is_described_by_what_it_leads_to(self, files: RootedFiles, root: Path) -> None:
        (root / "link").symlink_to("docs")
        info = await files.info("link", digest=False)
        assert (info.type, info.is_link, info.sha256) == ("directory", True, None)
        (root / "out").symlink_to("/etc")
        with pytest.raises(OperationFailed, match=r"^out: outside"):
            await files.info("out", digest=False)
        (root / "dangling").symlink_to("none")
        with pytest.raises(FileMissing):
            await files.info("dangling", digest=False)

    async def test_a_root_is_described_and_a_directory_has_no_digest(self, files: RootedFiles, root: Path) -> None:
        info = await files.info(".", digest=False)
        assert (info.type, info.uri) == ("directory", root.as_uri())
        with pytest.raises(OperationFailed, match=r"^\.: this is a directory"):
            await files.info(".", digest=True)


class TestLargeFiles:
    """The digest and the copy of a large file are made without the lock of its directory."""

    @pytest.fixture
    def large(self, tmp_path: Path) -> Path:
        path = tmp_path / "large"
        with path.open("wb") as file:
            file.truncate(16 << 20)
        return path

    @pytest.mark.parametrize("how", [Write("append"), Write("overwrite", expected_sha256="")], ids=["append", "digest"])
    async def test_they_are_written_whole(self, tmp_path: Path, large: Path, how: Write) -> None:
        before = large.read_bytes()
        if how.expected_sha256 is not None:
            how = Write("overwrite", expected_sha256=hashlib.sha256(before).hexdigest())
        files = rooted(tmp_path)
        await files.write("large", b"new", how)
        assert large.read_bytes() == (before if how.mode == "append" else b"") + b"new"
        files.close()

    async def test_one_that_changes_meanwhile_is_not_overwritten(self, tmp_path: Path, large: Path) -> None:
        files = rooted(tmp_path, report_seconds=0.0)

        async def change(done: int, total: int | None) -> None:
            await files.write("other", b"not kept waiting", Write())
            large.write_bytes(b"changed")

        with pytest.raises(OperationFailed, match="has changed"):
            await files.write("large", b"new", Write("append"), change)
        assert large.read_bytes() == b"changed"
        assert (tmp_path / "other").read_bytes() == b"not kept waiting"
        files.close()
