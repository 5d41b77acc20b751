"""Listening sockets for the configured addresses, with errors that say what to change."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tfo_mcp.bootstrap import ConfigurationError, Settings

_BACKLOG = 2048
_OWNER_ONLY = 0o177  # as a umask: the socket's mode is 0600 from its first moment


def listen_tcp(settings: Settings) -> socket.socket:
    """Return a socket that listens on the configured address.

    Raises:
        ConfigurationError: the address cannot be bound.
    """
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as problem:
        raise _refused(f"{host}:{port}", problem, "settings server.host, server.port") from None


@contextmanager
def listening_unix(settings: Settings) -> Iterator[socket.socket]:
    """Yield a listening Unix socket that only this user can connect to; its file is removed at the end.

    Raises:
        ConfigurationError: no path is configured, or the server cannot listen there.
    """
    path = settings.server.socket_path
    if path is None:
        raise ConfigurationError(("A Unix socket needs a path: give --path (setting server.socket_path)",))
    _make_room(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        before = os.umask(_OWNER_ONLY)
        try:
            listener.bind(str(path))
        except OSError as problem:
            raise _refused(path, problem, "setting server.socket_path") from None
        finally:
            os.umask(before)
        own = path.stat().st_ino
        listener.listen(_BACKLOG)
        try:
            yield listener
        finally:
            with suppress(OSError):
                if path.stat().st_ino == own:
                    path.unlink()


def _make_room(path: Path) -> None:
    """Remove a stale socket that a killed server has left behind.

    Raises:
        ConfigurationError: the file is not a socket, or the socket is in use.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:
        return  # the file does not exist; any other error is reported by binding
    if not stat.S_ISSOCK(mode):
        raise ConfigurationError((f"{path}: exists and is not a socket (setting server.socket_path)",))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        except OSError as problem:
            raise _refused(path, problem, "setting server.socket_path") from None
        else:
            raise ConfigurationError((f"{path}: another process listens there (setting server.socket_path)",))


def _refused(where: object, problem: OSError, names: str) -> ConfigurationError:
    reason = os.strerror(problem.errno) if problem.errno else str(problem)
    return ConfigurationError((f"Cannot listen on {where}: {reason} ({names})",))
