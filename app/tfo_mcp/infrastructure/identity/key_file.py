"""KeyFile: the KeyStore in one JSON file, for a server on a single machine.

Only its owner may access the file. It is replaced atomically and reread when it changes, so that a running server sees
changes by `tfo-mcp keys` within a second. If it becomes unreadable, the last known keys stay in force.
"""

import errno
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from time import monotonic
from typing import Any

import structlog

from tfo_mcp.domain.access import unknown_scopes
from tfo_mcp.domain.errors import Conflict
from tfo_mcp.domain.events import DomainEvent
from tfo_mcp.domain.keys import ApiKey
from tfo_mcp.infrastructure.identity.private_files import changing, replace_file, require_private

_LOOK_SECONDS = 0.5
_FORMAT = 1
_PEPPER_BYTES = 32
_log = structlog.get_logger("tfo_mcp.keys")

_Signature = tuple[int, int, int, int] | None


class NoKeys:
    """An empty KeyStore, for a server without a usable directory for keys."""

    async def get(self, key_id: str) -> ApiKey | None:
        """Return None: there are no keys."""
        return None

    async def list(self) -> Sequence[ApiKey]:
        """Return an empty sequence."""
        return ()

    async def put(self, *keys: ApiKey, events: Sequence[DomainEvent] = ()) -> None:
        """Refuse to store keys.

        Raises:
            OSError: always.
        """
        raise PermissionError(errno.EACCES, "the directory of the keys cannot be used (security.keys_file)")

    def works(self) -> bool:
        """Return True: a server without keys is ready."""
        return True


class KeyFile:
    """The keys in a file, which need not exist yet.

    Raises:
        ValueError: the file exists but is not usable; the message says what to do.
        OSError: the directory is not accessible.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = monotonic) -> None:
        self._path = path
        self._clock = clock
        self._signature: _Signature = None
        self._keys: Mapping[str, ApiKey] = {}
        self._looked = clock()
        self._fails = False
        self._read()

    async def get(self, key_id: str) -> ApiKey | None:
        """Return the key with that id; an unknown id makes the file be checked at once, since the key may be new."""
        self._look(at_once=key_id not in self._keys)
        return self._keys.get(key_id)

    async def list(self) -> Sequence[ApiKey]:
        """Return all keys, oldest first."""
        self._look(at_once=True)
        return sorted(self._keys.values(), key=lambda key: key.created)

    async def put(self, *keys: ApiKey, events: Sequence[DomainEvent] = ()) -> None:
        """Store keys; concurrent changes of other keys by other processes are preserved."""
        with changing(self._path):
            self._read()
            if any(key.version != _version(self._keys.get(key.id)) for key in keys):
                raise Conflict
            changed = {key.id: replace(key, version=key.version + 1) for key in keys}
            replace_file(self._path, encode_keys({**self._keys, **changed}.values()))
            self._read()

    def _look(self, *, at_once: bool = False) -> None:
        now = self._clock()
        if now - self._looked < _LOOK_SECONDS and not at_once:
            return
        self._looked = now
        try:
            self._read()
            self._fails = False
        except (ValueError, OSError) as problem:
            self._fails = True
            _log.error("the file of keys cannot be read; the last known keys stay in force", reason=str(problem))

    def works(self) -> bool:
        """Return whether the file can be read or does not exist; a missing file means that there are no keys."""
        self._look()
        return not self._fails

    def _read(self) -> None:
        signature = _signature(self._path)
        if signature == self._signature:
            return
        keys = {} if signature is None else load_keys(self._path)
        self._keys, self._signature = keys, signature


def pepper_beside(keys: Path) -> bytes:
    """Return the pepper in the file next to the key file; generates it if it does not exist.

    Raises:
        ValueError: the file is accessible to others, or too short.
        OSError: the file cannot be read or created.
    """
    path = keys.with_name(f"{keys.name}.pepper")
    with changing(path):
        try:
            require_private(path, path.stat())
        except FileNotFoundError:
            replace_file(path, token_hex(_PEPPER_BYTES).encode() + b"\n")
        pepper = path.read_bytes().strip()
    if len(pepper) < _PEPPER_BYTES:
        raise ValueError(f"{path} is not a pepper: it must have at least {_PEPPER_BYTES} characters")
    return pepper


def _signature(path: Path) -> _Signature:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def encode_keys(keys: Iterable[ApiKey], pepper_mark: str | None = None) -> bytes:
    """Return the contents of a file of keys; `pepper_mark` tells with which pepper they were hashed."""
    mark = {} if pepper_mark is None else {"pepper": pepper_mark}
    document = {"format": _FORMAT, **mark, "keys": [_plain(key) for key in keys]}
    return json.dumps(document, indent=2).encode() + b"\n"


def load_keys(path: Path) -> Mapping[str, ApiKey]:
    """Return the keys in a file, by their ids.

    Raises:
        ValueError: the file cannot be used; the message says what to do.
    """
    return load_marked_keys(path)[0]


def load_marked_keys(path: Path) -> tuple[Mapping[str, ApiKey], str | None]:
    """Return the keys in a file, by their ids, and the mark of their pepper, None if the file has none.

    Raises:
        ValueError: the file cannot be used; the message says what to do.
    """
    try:
        with path.open("rb") as file:
            require_private(path, os.fstat(file.fileno()))
            document = json.load(file)
        if document["format"] != _FORMAT:
            raise ValueError(f"{path} has a format that this version does not support")
        return {plain["id"]: _key(plain) for plain in document["keys"]}, document.get("pepper")
    except OSError as problem:
        raise ValueError(f"{path} cannot be read: {problem.strerror}") from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path} is not a file of keys: restore it, or move it away and make new keys") from None


def _version(stored: ApiKey | None) -> int:
    return 0 if stored is None else stored.version


def _plain(key: ApiKey) -> Mapping[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "principal": key.principal,
        "digest": key.digest,
        "scopes": sorted(key.scopes),
        "created": key.created,
        "expires": key.expires,
        "revoked": key.revoked,
        "version": key.version,
    }


def _key(plain: Mapping[str, Any]) -> ApiKey:
    scopes = plain["scopes"]
    if not isinstance(scopes, list) or unknown_scopes(scopes):
        raise TypeError
    return ApiKey(
        id=_text(plain["id"]),
        name=_text(plain["name"]),
        principal=_text(plain["principal"]),
        digest=_text(plain["digest"]),
        scopes=frozenset(scopes),
        created=float(plain["created"]),
        expires=None if plain["expires"] is None else float(plain["expires"]),
        revoked=None if plain["revoked"] is None else float(plain["revoked"]),
        version=int(plain.get("version", 1)),
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value
