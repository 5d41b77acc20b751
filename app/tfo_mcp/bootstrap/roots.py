"""The roots in effect: those in the settings, otherwise the working directory if it is acceptable as a default root.

Owns the rule which directories are never a default root, because they contain more than users intend to serve.
Examples are home and system directories, which must be configured explicitly. Must not know which files in a root are
protected.
"""

import os
import pwd
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tfo_mcp.bootstrap.security import state_directory
from tfo_mcp.infrastructure.config import ConfigurationError, Settings
from tfo_mcp.infrastructure.config.shapes import RootPath
from tfo_mcp.infrastructure.files.roots import open_roots
from tfo_mcp.value_objects import value_object

_HOW_TO_NAME = "configure a directory with the setting files.roots, or with `tfo-mcp install HOST --root DIRECTORY`"
NO_ROOTS = f"File tools and commands are unavailable because the server has no root directory: {_HOW_TO_NAME}."
"""Explanation for clients and language models."""
_OF_THE_OWNER = ("stdio", "unix")
_NAMED_BY_ANYBODY = (
    "files.roots: with `client` alone, any client on the network could name directories of this machine; name the "
    "directories that clients may choose from as well"
)
_SYSTEM = (
    *("/bin", "/home", "/lib", "/lib64", "/opt", "/run", "/sbin", "/srv", "/usr", "/var"),
    *("/Applications", "/Library", "/System", "/Users"),
    *("/tmp", "/usr/local", "/usr/share", "/var/cache", "/var/lib", "/var/log", "/var/tmp"),  # noqa: S108
)
_DISKS = {"/mnt": 1, "/Volumes": 1, "/media": 2, "/run/media": 2, "/host": 0, "/hostfs": 0, "/rootfs": 0}
"""Where disks are mounted, WSL's drives and the host of a container included: levels below that are whole disks."""

_SYSTEM_TREES = ("/boot", "/dev", "/etc", "/proc", "/sys")
_PROJECT_MARKS = (
    *(".git", ".hg", ".svn", ".jj", "tfo-mcp.yaml", "Makefile", "CMakeLists.txt", "meson.build"),
    *("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile", "package.json", "deno.json"),
    *("Cargo.toml", "go.mod", "pom.xml", "build.gradle", "build.gradle.kts", "build.sbt", "Gemfile", "composer.json"),
    *("mix.exs", "pubspec.yaml", "Package.swift", "project.clj", "stack.yaml", "dune-project", "main.tf"),
)

_Identity = tuple[int, int]


@value_object
class ServedRoots:
    """The roots in effect; if there are none, `reason` says why and how to configure one.

    `from_client`: each client is confined to the directories that it lists.
    """

    paths: tuple[RootPath, ...]
    reason: str | None = None
    from_client: bool = False


def served_roots(settings: Settings) -> ServedRoots:
    """Return the roots in effect.

    Raises:
        ConfigurationError: clients on the network would decide alone which directories are served.
    """
    if settings.files.roots is not None:
        paths = tuple(root for root in settings.files.roots if not root.from_client)
        from_client = len(paths) < len(settings.files.roots)
        if from_client and not paths and settings.server.transport not in _OF_THE_OWNER:
            raise ConfigurationError((_NAMED_BY_ANYBODY,))
        return ServedRoots(paths, from_client=from_client)
    problem = _problem_as_default()
    if problem is None:
        return ServedRoots((RootPath(Path.cwd()),))
    return ServedRoots((), f"No root directory: none is configured, and {problem}; {_HOW_TO_NAME}")


def require_usable(roots: Sequence[RootPath]) -> None:
    """Check that directories can be used as roots.

    Raises:
        ConfigurationError: a directory does not exist, is not a directory, or cannot be a root.
    """
    try:
        for root in open_roots([(os.fspath(root.path), root.read_only) for root in roots]):
            os.close(root.descriptor)
    except ValueError as problem:
        raise ConfigurationError((str(problem),)) from None


def project_root(*, declared: bool) -> RootPath:
    """Return the working directory if it is a project: it contains a project marker, or `declared` is true.

    Raises:
        ConfigurationError: it is not a project, or it is not acceptable as a default root.
    """
    problem = _problem_as_default()
    if problem is None and not declared and not any(os.path.lexists(mark) for mark in _PROJECT_MARKS):
        problem = f"the working directory {os.getcwd()} is not a project (no .git, pyproject.toml or similar found)"
    if problem is not None:
        raise ConfigurationError((f"No root directory is given, and {problem}: use --root DIRECTORY",))
    return RootPath(Path.cwd())


def _problem_as_default() -> str | None:
    """Return why the working directory is not acceptable as a default root, None if it is."""
    try:
        here = os.getcwd()
    except OSError:
        return "the working directory does not exist"
    problem = problem_as_root(here)
    return None if problem is None else f"the working directory {problem}"


def problem_as_root(directory: str) -> str | None:
    """Return why a directory is not acceptable as a root that nobody has configured, None if it is."""
    try:
        own = _identity(directory)
    except OSError:
        return f"{directory} does not exist"
    above = _with_ancestors(directory)
    state = str(state_directory())
    if any(own in _with_ancestors(home) for home in _homes()):
        return f"{directory} is or contains the home directory"
    if own in _with_ancestors(state) or not above.isdisjoint(_known(state)):
        return f"{directory} is, contains or is inside the state directory {state}"
    if own in _identities(_SYSTEM) or not above.isdisjoint(_identities(_SYSTEM_TREES)):
        return f"{directory} is a system directory"
    if is_disk(os.path.realpath(directory)):
        return f"{directory} is a disk, or a directory where disks are mounted"
    return None


def is_disk(path: str) -> bool:
    """Return whether an absolute path is where a whole disk is usually mounted, or above that."""
    for place, levels in _DISKS.items():
        if path == place or (path.startswith(f"{place}/") and path.count("/") - place.count("/") <= levels):
            return True
    return False


def _homes() -> Iterator[str]:
    """Yield this user's home directories, from the environment and from the user database."""
    yield os.path.expanduser("~")
    try:
        yield pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return


def _with_ancestors(path: str) -> set[_Identity]:
    """Return the identities of a directory and its ancestors that exist."""
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
    """Return the device and inode, which identify a directory independently of its path."""
    status = os.stat(path)
    return status.st_dev, status.st_ino
