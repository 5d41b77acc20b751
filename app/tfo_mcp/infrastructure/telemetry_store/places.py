"""The files of the store process in the user's state directory, and its Unix socket.

The path of a socket is limited to about 100 bytes, so that it is reached by a descriptor of its directory. Both ends
check that the other one is of the same user. Must not know what is said over the socket.
"""

import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tfo_mcp.value_objects import value_object

_BACKLOG = 128
_OWNER_ONLY = 0o177  # as a umask: the socket's mode is 0600 from its first moment
_CREDENTIALS = struct.Struct("3i")
_CONNECT_SECONDS = 1.0


@value_object
class StorePlaces:
    """The directory of the store process, mode 0700."""

    directory: Path

    @property
    def database(self) -> Path:
        """The file of the database."""
        return self.directory / "store.duckdb"

    @property
    def lock(self) -> Path:
        """The file that the process locks while it runs."""
        return self.directory / "store.lock"

    @property
    def socket(self) -> Path:
        """The Unix socket."""
        return self.directory / "store.sock"

    @property
    def log(self) -> Path:
        """The log of the process."""
        return self.directory / "store.log"


@contextmanager
def locked(places: StorePlaces) -> Iterator[bool]:
    """Hold the lock of the process; yield False if another process holds it."""
    places.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(places.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


@contextmanager
def listening(places: StorePlaces) -> Iterator[socket.socket]:
    """Yield the listening socket, which only this user can connect to. The lock must be held."""
    with _address(places) as address, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        places.socket.unlink(missing_ok=True)  # of a process that was killed
        before = os.umask(_OWNER_ONLY)
        try:
            listener.bind(address)
        finally:
            os.umask(before)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        try:
            yield listener
        finally:
            with suppress(OSError):
                places.socket.unlink()


def connect(places: StorePlaces) -> socket.socket:
    """Return a connection to the process.

    Raises:
        ConnectionRefusedError: no process listens.
        FileNotFoundError: no process listens.
        OSError: it cannot be reached, or belongs to another user.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(_CONNECT_SECONDS)
        with _address(places) as address:
            connection.connect(address)
        if not is_own_user(connection):
            raise PermissionError("the socket belongs to another user")
    except BaseException:
        connection.close()
        raise
    return connection


def is_own_user(connection: socket.socket) -> bool:
    """Return whether the process at the other end of a Unix socket has the same user."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(credentials)[1] == os.getuid())


@contextmanager
def _address(places: StorePlaces) -> Iterator[str]:
    directory = os.open(places.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{places.socket.name}"
    finally:
        os.close(directory)
