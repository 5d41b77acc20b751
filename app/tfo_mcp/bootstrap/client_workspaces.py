"""ClientWorkspaces: file stores and command runners beneath the directories that clients list (`files.roots: client`).

Owns one workspace for each set of directories, and the rule which of the listed directories are served: those in the
configured roots, or those that could be a default root if none is configured.
"""

import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import anyio.to_thread

from tfo_mcp.application.ports import CommandOutcome, FileStore, OnOutput, Program, Services
from tfo_mcp.bootstrap.roots import ServedRoots, problem_as_root
from tfo_mcp.bootstrap.workspace import commands_of, files_of
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.domain.file_uris import is_file_uri, path_of_file_uri
from tfo_mcp.domain.interaction import ClientRoot
from tfo_mcp.infrastructure.commands import ConfinedCommands
from tfo_mcp.infrastructure.config import ConfigurationError, Settings
from tfo_mcp.infrastructure.config.shapes import RootPath
from tfo_mcp.infrastructure.files import RootedFiles
from tfo_mcp.infrastructure.files.client_files import ClientFiles
from tfo_mcp.infrastructure.sandbox.protected import Protected, path_of
from tfo_mcp.presentation.protocol.client_roots import CallRoots

_MOST_KEPT = 64
_NO_ROOTS = (
    "This server serves the directories that the client lists (files.roots: client), and the client declares none"
)


@dataclass(slots=True)
class _Workspace:
    files: RootedFiles
    commands: ConfinedCommands
    uses: int = 0

    def close(self) -> None:
        self.commands.close()
        self.files.close()

    @contextmanager
    def used(self) -> Iterator[None]:
        self.uses += 1
        try:
            yield
        finally:
            self.uses -= 1


class ClientWorkspaces:
    """The workspaces of the sets of directories in use.

    Args:
        configured: the configured roots; without any, a client may list every directory that could be a default root.
    """

    def __init__(self, settings: Settings, configured: ServedRoots, protected: Protected) -> None:
        self._settings = settings
        self._configured = configured
        self._protected = protected
        self._kept: OrderedDict[tuple[RootPath, ...], _Workspace] = OrderedDict()

    def services(self, services: Services, roots: CallRoots) -> Services:
        """Return services with the files and commands of a call's client."""
        files = ClientFiles(lambda: self._files(services, roots), services.files.roots)
        return replace(services, files=cast(FileStore, files), commands=_ClientCommands(self, services, roots))

    def close(self) -> None:
        """Close all workspaces."""
        while self._kept:
            self._kept.popitem()[1].close()

    @asynccontextmanager
    async def used(self, roots: CallRoots) -> AsyncIterator[_Workspace | None]:
        """Yield the workspace of a client's directories, None if the configured roots are not confined for it.

        Raises:
            OperationFailed: the client lists no directory that can be served.
        """
        listed = await roots.listed()
        if listed is None:
            if not self._configured.paths:
                raise OperationFailed(f"{_NO_ROOTS}: configure a directory, or use a client that declares roots")
            yield None
            return
        workspace = await self._workspace(self._served(listed))
        with workspace.used():
            yield workspace

    @asynccontextmanager
    async def _files(self, services: Services, roots: CallRoots) -> AsyncIterator[FileStore]:
        async with self.used(roots) as workspace:
            yield services.files if workspace is None else workspace.files

    def _served(self, listed: Iterable[ClientRoot]) -> tuple[RootPath, ...]:
        found: dict[str, RootPath] = {}
        problems: list[str] = []
        for root in listed:
            try:
                served = self._within_configured(_directory(root)) if self._configured.paths else _acceptable(root)
            except ValueError as problem:
                problems.append(str(problem))
                continue
            found |= {os.fspath(one.path): one for one in served}
        if not found:
            reason = "; ".join(problems) or "it lists none"
            raise OperationFailed(f"The client lists no directory that this server can serve: {reason}")
        return tuple(found.values())

    def _within_configured(self, directory: str) -> Sequence[RootPath]:
        """Return the part of a directory that lies in the configured roots."""
        served: list[RootPath] = []
        for root in self._configured.paths:
            own = os.path.realpath(root.path)
            if _is_within(directory, own):
                served.append(RootPath(Path(directory), root.read_only))
            elif _is_within(own, directory):
                served.append(RootPath(Path(own), root.read_only))
        if not served:
            raise ValueError(f"{directory} is outside of the configured roots")
        return served

    async def _workspace(self, paths: tuple[RootPath, ...]) -> _Workspace:
        workspace = self._kept.get(paths)
        if workspace is None:
            workspace = await anyio.to_thread.run_sync(self._opened, paths)
            self._kept[paths] = workspace
            self._drop_oldest()
        self._kept.move_to_end(paths)
        return workspace

    def _opened(self, paths: tuple[RootPath, ...]) -> _Workspace:
        try:
            files = files_of(self._settings, ServedRoots(paths), self._protected)
        except ConfigurationError as problem:
            raise OperationFailed(f"A directory that the client lists cannot be served: {problem}") from None
        if self._configured.paths and not all(self._is_configured(found) for found, _, _ in files.descriptors):
            files.close()  # a directory was replaced by a link in the meantime
            raise OperationFailed("A directory that the client lists is outside of the configured roots")
        return _Workspace(files, commands_of(self._settings, files, self._protected))

    def _is_configured(self, descriptor: int) -> bool:
        real = path_of(descriptor)
        return any(_is_within(real, os.path.realpath(root.path)) for root in self._configured.paths)

    def _drop_oldest(self) -> None:
        idle = [paths for paths, workspace in self._kept.items() if not workspace.uses]
        for paths in idle[: max(0, len(self._kept) - _MOST_KEPT)]:
            self._kept.pop(paths).close()


class _ClientCommands:
    """Runs commands beneath the directories of a call's client."""

    def __init__(self, workspaces: ClientWorkspaces, services: Services, roots: CallRoots) -> None:
        self._workspaces = workspaces
        self._configured = services.commands
        self._roots = roots

    async def run(self, command: Program, owner: str, on_output: OnOutput | None = None) -> CommandOutcome:
        async with self._workspaces.used(self._roots) as workspace:
            runner = self._configured if workspace is None else workspace.commands
            return await runner.run(command, owner, on_output)

    async def saved_output(self, name: str, owner: str, first: int, last: int | None) -> bytes:
        async with self._workspaces.used(self._roots) as workspace:
            runner = self._configured if workspace is None else workspace.commands
            return await runner.saved_output(name, owner, first, last)


def _directory(root: ClientRoot) -> str:
    if not is_file_uri(root.uri):
        raise ValueError(f"{root.uri!r} is no file: URI")
    directory = os.path.realpath(path_of_file_uri(root.uri))
    if os.path.exists(directory) and not os.path.isdir(directory):
        raise ValueError(f"{directory} is not a directory")
    return directory


def _acceptable(root: ClientRoot) -> Sequence[RootPath]:
    directory = _directory(root)
    problem = problem_as_root(directory)
    if problem is not None:
        raise ValueError(problem)
    return [RootPath(Path(directory))]


def _is_within(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")
