"""Protection: which files are the server's own, and that no code comes from a directory that callers may write to.

The one place that lists them: what the settings name, what the process runs, and what it runs for callers.
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

_SHARED = ("/", "/usr", "/usr/local")  # an interpreter that lies there is one of many programs


def prepare_imports(settings: Settings, served: Sequence[RootPath]) -> None:
    """Let nothing be imported from where callers may write but the plugins that are named; may be called again.

    `served` are the roots in effect.
    """
    own = [_real(place.path) for place in (*_code(), *_environment())]
    roots = [_real(root.path) for root in served if not root.read_only]
    exposed = withdraw(partial(_is_exposed, roots, own))
    installed_plugins(look_again=True)
    source = [] if settings.source is None else [str(settings.source.parent)]
    PLUGIN_PATH.offer([*source, *exposed], plugin_modules(settings.mcp.plugins))


def protected_of(settings: Settings) -> Protected:
    """Return what no caller may reach. The plugins have been imported before."""
    _make_state_directory()
    return Protected(protected_places(settings))


def protected_places(settings: Settings) -> tuple[ProtectedPlace, ...]:
    """Return where it is."""
    found = (*_secrets(settings), *_configuration(settings), *_plugins(settings), *_code(), *_environment())
    places = {(place.path, place.kind): place for place in (*found, *_programs())}
    return tuple(places.values())


def _secrets(settings: Settings) -> Iterator[ProtectedPlace]:
    yield ProtectedPlace(str(state_directory()), "the state directory, XDG_STATE_HOME", "secret")
    yield ProtectedPlace(_absolute(keys_path(settings)), "security.keys_file", "secret", has_siblings=True)
    yield ProtectedPlace(_absolute(audit_path(settings)), "security.audit_file", "secret", has_siblings=True)


def _configuration(settings: Settings) -> Iterator[ProtectedPlace]:
    """Yield the files that settings are read from, or would be: also the one that is not there yet."""
    for name in {DEFAULT_FILE, str(settings.source or ""), os.environ.get(CONFIG_VARIABLE, "")} - {""}:
        yield ProtectedPlace(_absolute(name), "the configuration file, --config", "code")
    if (socket_path := settings.server.socket_path) is not None:
        yield ProtectedPlace(_absolute(socket_path), "server.socket_path", "code")


def _plugins(settings: Settings) -> Iterator[ProtectedPlace]:
    """Yield the file or the package that each plugin is, the outermost one, and what would be taken for one."""
    for module in plugin_modules(settings.mcp.plugins):
        for path in _places_of(module.partition(".")[0]):
            yield ProtectedPlace(path, "mcp.plugins", "code")
    for path in PLUGIN_PATH.possible_files():
        yield ProtectedPlace(path, "mcp.plugins", "code")


def _code() -> Iterator[ProtectedPlace]:
    """Yield the directories that our packages are imported from: what else lies there could be imported as well."""
    for package in ("tfo_mcp", "tfo_mcp_transports"):
        for path in _places_of(package):
            yield ProtectedPlace(os.path.dirname(path), "the installed package", "code")


def _environment() -> Iterator[ProtectedPlace]:
    """Yield where the libraries are: the virtual environment, or else the directories of packages."""
    setting = "the environment of the interpreter"
    if sys.prefix != sys.base_prefix:
        yield ProtectedPlace(os.path.abspath(sys.prefix), setting, "code")
    else:
        for path in dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))):
            yield ProtectedPlace(_real(path), setting, "code")
    if site.ENABLE_USER_SITE:
        yield ProtectedPlace(os.path.abspath(site.getusersitepackages()), setting, "code")


def _programs() -> Iterator[ProtectedPlace]:
    """Yield what the server starts, and what this interpreter is made of; commands use most of it as well."""
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
        with suppress(ImportError, ValueError):  # the import itself says what is wrong
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
    """Make the directory, so that it is there to be kept from commands; where that cannot be, nothing lies in it."""
    try:
        state_directory().mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return


def _absolute(path: Path | str) -> str:
    return os.path.abspath(path)


def _real(path: Path | str) -> str:
    return os.path.realpath(path)
