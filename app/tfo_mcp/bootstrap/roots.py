"""The roots in effect: those that the settings name, otherwise the working directory, if it can be a default root.

Owns which directories are never a default root, because they hold more than whoever starts a server there means to
serve. To name one of them is the owner's decision. Must not know what is refused beneath a root.
"""

import os
import pwd
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfo_mcp.bootstrap.security import state_directory
from tfo_mcp.infrastructure.config import ConfigurationError, Settings
from tfo_mcp.infrastructure.config.shapes import RootPath
from tfo_mcp.infrastructure.files.roots import open_roots

_HOW_TO_NAME = "name a directory by the setting files.roots, or by `tfo-mcp install HOST --root DIRECTORY`"
NO_ROOTS = f"This server has no file tools and runs no commands, since no directory is served: {_HOW_TO_NAME}."
"""For clients and their models."""
_SYSTEM = (
    *("/bin", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/run", "/sbin", "/srv", "/usr", "/var"),
    *("/Applications", "/Library", "/System", "/Users", "/Volumes"),
)
_SYSTEM_TREES = ("/boot", "/dev", "/etc", "/proc", "/sys")
_PROJECT_MARKS = (
    *(".git", ".hg", ".svn", ".jj", "tfo-mcp.yaml", "Makefile", "CMakeLists.txt", "meson.build"),
    *("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile", "package.json", "deno.json"),
    *("Cargo.toml", "go.mod", "pom.xml", "build.gradle", "build.gradle.kts", "build.sbt", "Gemfile", "composer.json"),
    *("mix.exs", "pubspec.yaml", "Package.swift", "project.clj", "stack.yaml", "dune-project", "main.tf"),
)

_Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ServedRoots:
    """The roots in effect; where none is named and there is no default, `reason` says why and how to name one."""

    paths: tuple[RootPath, ...]
    reason: str | None = None


def served_roots(settings: Settings) -> ServedRoots:
    """Return the roots in effect."""
    if settings.files.roots is not None:
        return ServedRoots(tuple(settings.files.roots))
    problem = _problem_as_default()
    if problem is None:
        return ServedRoots((RootPath(Path.cwd()),))
    return ServedRoots((), f"No directory is served, since none is named and {problem}: {_HOW_TO_NAME}")


def require_usable(roots: Sequence[RootPath]) -> None:
    """Check that directories can be served.

    Raises:
        ConfigurationError: one is missing, is no directory, or cannot be a root.
    """
    try:
        for root in open_roots([(os.fspath(root.path), root.read_only) for root in roots]):
            os.close(root.descriptor)
    except ValueError as problem:
        raise ConfigurationError((str(problem),)) from None


def project_root(*, declared: bool) -> RootPath:
    """Return the working directory, if it is a project: it holds a mark of one, or the user declares it one.

    Raises:
        ConfigurationError: it is none, or can never be a default root.
    """
    problem = _problem_as_default()
    if problem is None and not declared and not any(os.path.lexists(mark) for mark in _PROJECT_MARKS):
        problem = f"the working directory {os.getcwd()} is no project (it has no .git, pyproject.toml, or the like)"
    if problem is not None:
        raise ConfigurationError((f"No directory is named, and {problem}: give --root DIRECTORY",))
    return RootPath(Path.cwd())


def _problem_as_default() -> str | None:
    """Return why the working directory cannot be a default root, None if it can."""
    try:
        here = os.getcwd()
        own = _identity(here)
    except OSError:
        return "the working directory is gone"
    above = _with_ancestors(here)
    state = str(state_directory())
    if any(own in _with_ancestors(home) for home in _homes()):
        return f"the working directory {here} is, or holds, the home directory"
    if own in _with_ancestors(state) or not above.isdisjoint(_known(state)):
        return f"the working directory {here} is, holds, or lies in, the state directory {state}"
    if own in _identities(_SYSTEM) or not above.isdisjoint(_identities(_SYSTEM_TREES)):
        return f"the working directory {here} is a directory of the system"
    return None


def _homes() -> Iterator[str]:
    """Yield this user's home directories: of the environment, and of the user database."""
    yield os.path.expanduser("~")
    try:
        yield pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return


def _with_ancestors(path: str) -> set[_Identity]:
    """Return the identities of a directory and its ancestors, as far as they exist."""
    if not os.path.isabs(path):
        return set()
    real = Path(os.path.realpath(path))
    return _identities(map(str, (real, *real.parents)))


def _identities(paths: Iterable[str]) -> set[_Identity]:
    return {identity for path in paths for identity in _known(path)}


def _known(path: str) -> Iterator[_Identity]:
    try:
        yield _identity(path)
    except OSError:
        return


def _identity(path: str) -> _Identity:
    """Return what tells a directory from every other, whatever name leads to it."""
    status = os.stat(path)
    return status.st_dev, status.st_ino
