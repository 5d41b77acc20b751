"""Edits of a TOML document that keep its comments and its layout, by tomlkit."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfo_mcp_transports.cli.hosts.locations import HostFileError

if TYPE_CHECKING:
    from tomlkit import TOMLDocument


def value(text: str, keys: Sequence[str]) -> object:
    """Return the value at a path of keys, None if there is none.

    Raises:
        HostFileError: the text is not TOML, or the path leads through something else than tables.
    """
    return _walk(_parsed(text).unwrap(), keys)


def put(text: str, keys: Sequence[str], entry: Mapping[str, Any]) -> str:
    """Return the document with the entry as a table at the path.

    Raises:
        HostFileError: the text is not TOML, or the path leads through something else than tables.
    """
    import tomlkit

    document = _parsed(text)
    _walk(document.unwrap(), keys)
    table: Any = document
    for key in keys[:-1]:
        if key not in table:
            table[key] = tomlkit.table(is_super_table=True)
        table = table[key]
    if keys[-1] in table:
        del table[keys[-1]]
    elif text.strip() and not text.endswith("\n\n"):
        document.add(tomlkit.nl())
    table[keys[-1]] = tomlkit.item(dict(entry))
    return tomlkit.dumps(document)


def remove(text: str, keys: Sequence[str]) -> str:
    """Return the document without the value at the path.

    Raises:
        HostFileError: the text is not TOML.
    """
    document: Any = _parsed(text)
    table = document
    for key in keys[:-1]:
        table = table[key]
    del table[keys[-1]]
    return str(document.as_string())


def _parsed(text: str) -> "TOMLDocument":
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(text)
    except TOMLKitError as problem:
        raise HostFileError(f"the file is not TOML ({problem})") from None


def _walk(found: object, keys: Sequence[str]) -> object:
    for key in keys:
        if found is None:
            return None
        if not isinstance(found, dict):
            raise HostFileError(f'"{keys[0]}" is not a table')
        found = found.get(key)
    return found
