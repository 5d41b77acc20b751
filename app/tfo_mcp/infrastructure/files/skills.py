"""SkillFiles: the skills in the configured directories, each a directory with a SKILL.md.

Owns which files belong to a skill: regular files that are not hidden, not the server's own and not reached through a
link. Links are never followed. Digests are kept until a file's status changes. Must not know the settings model.
"""

import hashlib
import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import structlog

from tfo_mcp.domain.errors import DomainError, FileMissing, InvalidDefinition
from tfo_mcp.domain.skill import DOCUMENT, MOST_BYTES, MOST_FILES, Skill, SkillFile
from tfo_mcp.infrastructure.files.error_messages import shown
from tfo_mcp.infrastructure.files.path_resolution import (
    directory_listed,
    entry_path,
    open_regular,
    open_to_pass,
    refuse_protected_entry,
)
from tfo_mcp.infrastructure.files.progress import Report
from tfo_mcp.infrastructure.files.roots import O_PATH, is_kernels_file
from tfo_mcp.infrastructure.files.threads import FileThreads
from tfo_mcp.infrastructure.sandbox.protected import NOTHING, Protected
from tfo_mcp.value_objects import value_object

_MOST_SKILLS = 500
_DEEPEST = 20
_CHUNK = 256 * 1024
_SETTLED_NS = 2_000_000_000
_log = structlog.get_logger("tfo_mcp.skills")

_Status = tuple[int, int, int, int, int]


@value_object
class _Seen:
    """What a file with an unchanged status holds; `frontmatter` for a document only."""

    size: int
    sha256: str
    frontmatter: Mapping[str, Any] | None


class SkillFiles:
    """Serves the skills in `directories`; of two with one name, the one in the first directory.

    Raises:
        ValueError: a directory cannot be opened.
    """

    def __init__(self, directories: Sequence[str], protected: Protected = NOTHING) -> None:
        self._protected = protected
        self._threads = FileThreads(report_seconds=0.1)
        self._directories: list[int] = []
        self._seen: dict[_Status, _Seen] = {}
        self._paths: Mapping[str, tuple[int, frozenset[str]]] = {}
        self._problems: frozenset[tuple[str, str]] = frozenset()
        for path in directories:
            try:
                self._directories.append(_opened(path))
            except ValueError:
                self.close()
                raise

    def close(self) -> None:
        """Close the directories; there are no skills afterwards."""
        directories, self._directories, self._paths = self._directories, [], {}
        for descriptor in directories:
            os.close(descriptor)

    async def skills(self) -> Sequence[Skill]:
        """Return the valid skills; what is wrong with the others is logged once."""
        return await self._threads.short(self._scan) if self._directories else ()

    async def read(self, name: str, path: str) -> bytes:
        """Return the contents of a file that belongs to a skill.

        Raises:
            FileMissing: there is no such skill, or it has no such file.
        """
        if not self._has(name, path):
            await self.skills()  # it may be new
        if not self._has(name, path):
            raise FileMissing(f"{shown(path)}: no such file in a skill")
        directory, _ = self._paths[name]
        return await self._threads.short(lambda report: self._contents(directory, name, path, report))

    def _has(self, name: str, path: str) -> bool:
        return name in self._paths and path in self._paths[name][1]

    def _contents(self, directory: int, name: str, path: str, report: Report) -> bytes:
        *above, last = path.split("/")
        try:
            with _descended(directory, (name, *above)) as here:
                return b"".join(self._chunks(here, last, path, report))
        except OSError:
            raise FileMissing(f"{shown(path)}: no such file in a skill") from None

    def _scan(self, report: Report) -> Sequence[Skill]:
        found: dict[str, Skill] = {}
        paths: dict[str, tuple[int, frozenset[str]]] = {}
        problems: set[tuple[str, str]] = set()
        seen: dict[_Status, _Seen] = {}
        for directory in self._directories:
            for name in _directories_in(directory):
                try:
                    skill = self._skill(directory, name, seen, report)
                    if skill is None:
                        continue
                    _require_room(found, name)
                except (OSError, DomainError, ValueError) as problem:
                    problems.add((shown(name), _reason(problem)))
                    continue
                found[name] = skill
                paths[name] = directory, frozenset(file.path for file in skill.files)
        for name, reason in sorted(problems - self._problems):
            _log.warning("skill left out", skill=name, reason=reason)
        settled = time.time_ns() - _SETTLED_NS  # a later change could leave the status of a new file as it is
        self._seen = {status: known for status, known in seen.items() if max(status[3:]) < settled}
        self._paths, self._problems = paths, frozenset(problems)
        return tuple(found.values())

    def _skill(self, directory: int, name: str, seen: dict[_Status, _Seen], report: Report) -> Skill | None:
        """Return the skill in a directory, None if it has no document.

        Raises:
            InvalidDefinition: the skill is invalid, or over a limit.
        """
        files: list[SkillFile] = []
        frontmatter: Mapping[str, Any] = {}
        with _descended(directory, (name,)) as top:
            refuse_protected_entry(self._protected, name, directory, name)
            if not _is_regular(top, DOCUMENT):
                return None
            for here, path, last in self._files(top, "", 1):
                if len(files) == MOST_FILES:
                    raise InvalidDefinition(f"more than {MOST_FILES} files: move some out of the directory")
                status = _identity(os.stat(last, dir_fd=here, follow_symlinks=False))
                known = seen[status] = self._look(status, here, path, last, report)
                files.append(SkillFile(path, known.size, known.sha256))
                frontmatter = frontmatter if known.frontmatter is None else known.frontmatter
        return Skill(name, frontmatter, tuple(sorted(files, key=lambda file: file.path)))

    def _files(self, directory: int, prefix: str, depth: int) -> Iterator[tuple[int, str, str]]:
        """Yield the directory, the path and the name of each file of a skill.

        Raises:
            InvalidDefinition: a name is not UTF-8, or the directories are nested too deeply.
        """
        with directory_listed(directory, ".") as listed, os.scandir(listed) as entries:
            found = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
        for entry in found:
            if self._protected.at(entry_path(directory, entry.name)) is not None:
                continue
            is_directory = entry.is_dir(follow_symlinks=False)
            if not is_directory and not _is_regular(directory, entry.name):
                continue
            path = prefix + entry.name
            if not _is_text(path):
                raise InvalidDefinition(f"{shown(path)}: the name is not UTF-8")
            if not is_directory:
                yield directory, path, entry.name
                continue
            if depth == _DEEPEST:
                raise InvalidDefinition(f"{shown(path)}: directories are nested deeper than {_DEEPEST} levels")
            with _descended(directory, (entry.name,)) as inner:
                yield from self._files(inner, f"{path}/", depth + 1)

    def _look(self, status: _Status, directory: int, path: str, name: str, report: Report) -> _Seen:
        """Return what a file holds; it is read if its status is new.

        What was read is kept at once, so that a scan that runs out of time has not read it in vain.
        """
        known = self._seen.get(status)
        if known is not None and (known.frontmatter is not None) == (path == DOCUMENT):
            return known
        digest, size, beginning = hashlib.sha256(), 0, b""
        for chunk in self._chunks(directory, name, path, report):
            digest.update(chunk)
            size, beginning = size + len(chunk), beginning or chunk
        found = _Seen(size, digest.hexdigest(), _frontmatter(beginning) if path == DOCUMENT else None)
        self._seen[status] = found
        return found

    def _chunks(self, directory: int, name: str, path: str, report: Report) -> Iterator[bytes]:
        """Yield the contents of a file that is not larger than a skill may be."""
        refuse_protected_entry(self._protected, path, directory, name)
        descriptor, _ = open_regular(self._protected, path, directory, name, os.O_RDONLY)
        with open(descriptor, "rb", buffering=0) as file:
            done = 0
            while chunk := file.read(_CHUNK):
                done += len(chunk)
                if done > MOST_BYTES:
                    raise InvalidDefinition(f"{shown(path)}: more than {MOST_BYTES} bytes")
                report.tick(done)
                yield chunk


def _opened(path: str) -> int:
    try:
        descriptor = os.open(path, O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ValueError(f"skills.directories: {path!r} cannot be opened as a directory: {reason}") from None
    if is_kernels_file(descriptor):
        os.close(descriptor)
        raise ValueError(f"skills.directories: {path!r} lies in a file system of the kernel, which cannot be served")
    return descriptor


@contextmanager
def _descended(directory: int, names: Sequence[str]) -> Iterator[int]:
    """Yield a descriptor of the directory that the names lead to, without following links."""
    here = os.dup(directory)
    try:
        for name in names:
            inner = open_to_pass(here, name)
            os.close(here)
            here = inner
        yield here
    finally:
        os.close(here)


def _directories_in(directory: int) -> Sequence[str]:
    with suppress(OSError), directory_listed(directory, ".") as listed, os.scandir(listed) as entries:
        return sorted(
            entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
        )
    return ()


def _is_regular(directory: int, name: str) -> bool:
    with suppress(OSError):
        return stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    return False


def _is_text(name: str) -> bool:
    return name.isascii() or name.encode(errors="ignore").decode() == name


def _require_room(found: Mapping[str, Skill], name: str) -> None:
    if name in found:
        raise InvalidDefinition("a directory before this one has a skill with the same name")
    if len(found) == _MOST_SKILLS:
        raise InvalidDefinition(f"more than {_MOST_SKILLS} skills")


def _frontmatter(beginning: bytes) -> Mapping[str, Any]:
    from tfo_mcp.infrastructure.files.frontmatter import frontmatter_of  # imports PyYAML

    try:
        return frontmatter_of(beginning)
    except ValueError as problem:
        raise InvalidDefinition(f"{DOCUMENT}: {problem}") from None


def _reason(problem: Exception) -> str:
    if isinstance(problem, DomainError):
        return problem.message
    return (problem.strerror or "it cannot be read") if isinstance(problem, OSError) else str(problem)


def _identity(status: os.stat_result) -> _Status:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
