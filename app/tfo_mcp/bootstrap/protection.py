"""Protection: lists the server's own files, and keeps imports away from directories that callers may write to.

The only place that lists the protected files: files named in the settings, the code of the process, and the programs
that it runs.
"""

import os
import shutil
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from tfo_mcp.bootstrap.security import audit_path, keys_path, state_directory
from tfo_mcp.infrastructure.config import Settings
from tfo_mcp.infrastructure.config.reference import CONFIG_VARIABLE, DEFAULT_FILE
from tfo_mcp.infrastructure.config.shapes import RootPath
from tfo_mcp.infrastructure.files.ripgrep import program as ripgrep
from tfo_mcp.infrastructure.sandbox.protected import Protected
from tfo_mcp.infrastructure.sandbox.protected_place import ProtectedPlace, is_beneath
from tfo_mcp.infrastructure.sandbox.sealed_code import interpreter_program
from tfo_mcp.plugins.loader import installed_plugins, plugin_modules
from tfo_mcp.plugins.search_path import PLUGIN_PATH, withdraw

_SHARED = ("/", "/usr", "/usr/local")  # prefixes that the interpreter shares with many other programs


def prepare_imports(settings: Settings, served: Sequence[RootPath]) -> None:
    """Restrict imports from directories that callers may write to to the configured plugins; may be called again.

    Args:
        served: the roots in effect.
    """
    own = [_real(place.path) for place in (*_code(), *_environment())]
    roots = [_real(root.path) for root in served if not root.read_only]
    exposed = withdraw(partial(_is_exposed, roots, own))
    installed_plugins(look_again=True)
    source = [] if settings.source is None else [str(settings.source.parent)]
    PLUGIN_PATH.offer([*source, *exposed], plugin_modules(settings.mcp.plugins))


def protected_of(settings: Settings) -> Protected:
    """Return the files that no caller may access; must be called after the plugins were imported."""
    _make_state_directory()
    return Protected(protected_places(settings))


def protected_places(settings: Settings) -> tuple[ProtectedPlace, ...]:
    """Return the protected files and directories."""
    found = (*_secrets(settings), *_configuration(settings), *_plugins(settings), *_code(), *_environment())
    places = {(place.path, place.kind): place for place in (*found, *_programs())}
    return tuple(places.values())


def _secrets(settings: Settings) -> Iterator[ProtectedPlace]:
    yield ProtectedPlace(str(state_directory()), "the state directory, XDG_STATE_HOME", "secret")
    yield ProtectedPlace(_absolute(keys_path(settings)), "security.keys_file", "secret", has_siblings=True)
    yield ProtectedPlace(_absolute(audit_path(settings)), "security.audit_file", "secret", has_siblings=True)
    url = settings.storage.url  # the default file is in the state directory
    if url is not None and url.path is not None:  # with its siblings -wal and -shm
        yield ProtectedPlace(_absolute(url.path), "storage.url", "secret", has_siblings=True)


def _configuration(settings: Settings) -> Iterator[ProtectedPlace]:
    """Yield the configuration files, including those that do not exist yet, and the Unix socket."""
    for name in {DEFAULT_FILE, str(settings.source or ""), os.environ.get(CONFIG_VARIABLE, "")} - {""}:
        yield ProtectedPlace(_absolute(name), "the configuration file, --config", "code")
    if (socket_path := settings.server.socket_path) is not None:
        yield ProtectedPlace(_absolute(socket_path), "server.socket_path", "code")


def _plugins(settings: Settings) -> Iterator[ProtectedPlace]:
    """Yield the file or top-level package of each plugin, and all paths that could be imported as one."""
    for module in plugin_modules(settings.mcp.plugins):
        for path in _places_of(module.partition(".")[0]):
            yield ProtectedPlace(path, "mcp.plugins", "code")
    for path in PLUGIN_PATH.possible_files():
        yield ProtectedPlace(path, "mcp.plugins", "code")


def _code() -> Iterator[ProtectedPlace]:
    """Yield the directories that contain the server's packages: other files there could be imported as well."""
    for package in ("tfo_mcp", "tfo_mcp_transports"):
        for path in _places_of(package):
            yield ProtectedPlace(os.path.dirname(path), "the installed package", "code")


def _environment() -> Iterator[ProtectedPlace]:
    """Yield the directories of the libraries: the virtual environment, or the site-packages directories."""
    setting = "the environment of the interpreter"
    if sys.prefix != sys.base_prefix:
        yield ProtectedPlace(os.path.abspath(sys.prefix), setting, "code")
    else:
        for path in dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))):
            yield ProtectedPlace(_real(path), setting, "code")
    if site.ENABLE_USER_SITE:
        yield ProtectedPlace(os.path.abspath(site.getusersitepackages()), setting, "code")


def _programs() -> Iterator[ProtectedPlace]:
    """Yield the programs that the server starts and the interpreter; commands may use most of them as well."""
    base = _real(sys.base_prefix)
    paths = [_real(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix})), interpreter_program()]
    paths += [] if base in _SHARED else [base]
    paths += [_real(path) for path in (ripgrep(), shutil.which("bwrap")) if path is not None]
    for path in dict.fromkeys(paths):
        yield ProtectedPlace(path, "the programs that the server runs", "program")


def _places_of(module: str) -> Iterable[str]:
    """Return the directories of a package, or the file of a module."""
    loaded = sys.modules.get(module)
    found = None if loaded is None else loaded.__spec__
    if loaded is None:
        with suppress(ImportError, ValueError):  # the import itself reports the error
            found = find_spec(module)
    if found is None:
        return ()
    if found.submodule_search_locations is not None:
        return [os.path.abspath(path) for path in found.submodule_search_locations]
    return () if found.origin is None or not found.has_location else (os.path.abspath(found.origin),)


def _is_exposed(roots: Sequence[str], own: Sequence[str], path: str) -> bool:
    is_beneath_root = any(is_beneath(path, root) for root in roots)
    return is_beneath_root and not any(is_beneath(path, place) for place in own)


def _make_state_directory() -> None:
    """Create the state directory, so that the sandbox can cover it; if that fails, it contains nothing to protect."""
    try:
        state_directory().mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return


def _absolute(path: Path | str) -> str:
    return os.path.abspath(path)


def _real(path: Path | str) -> str:
    return os.path.realpath(path)
