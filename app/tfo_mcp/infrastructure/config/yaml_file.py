"""Reads the configuration file: UTF-8 text with one YAML mapping and without duplicate keys.

Owns the problems of files and of YAML syntax. Must not know settings. It imports PyYAML, so `loading` imports it only
when there is a file to read.
"""

from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from yaml.constructor import ConstructorError
from yaml.reader import Reader

from tfo_mcp.infrastructure.config.errors import ConfigurationError

if TYPE_CHECKING:
    from yaml import SafeLoader as FastestLoader
else:  # the C parser is ten times faster where the platform has it
    FastestLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(path: Path) -> dict[Any, Any]:
    """Return the mapping in the file, empty for an empty file.

    Raises:
        ConfigurationError: the file cannot be read or does not hold one mapping.
    """
    try:
        content = _parse(path, _text(path))
    except FileNotFoundError:
        raise ConfigurationError((f"{path}: no such file",)) from None
    except IsADirectoryError:
        raise ConfigurationError((f"{path}: is a directory, not a file",)) from None
    except OSError as error:
        raise ConfigurationError((f"{path}: cannot be read: {error.strerror}",)) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError((f"{path}: must hold a mapping of sections such as `server:`",))
    return content


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError((f"{path}: is not UTF-8 text (line {line})",)) from None


def _parse(path: Path, text: str) -> object:
    if (character := Reader.NON_PRINTABLE.search(text)) is not None:  # the parsers disagree about its position
        before = text[: character.start()]
        where = _place(before.count("\n"), len(before) - before.rfind("\n") - 1)
        raise ConfigurationError((f"{path}: invalid YAML: control character {where}",))
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - derived from the safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = _place(mark.line, mark.column) if mark else ""
        raise ConfigurationError((f"{path}: invalid YAML: {error.problem} {where}".rstrip(),)) from None
    except (yaml.YAMLError, RecursionError):
        raise ConfigurationError((f"{path}: invalid YAML",)) from None


def _place(line: int, column: int) -> str:
    """Return a position, counted from 0, as text counted from 1."""
    return f"(line {line + 1}, column {column + 1})"


class _StrictLoader(FastestLoader):
    """A safe loader that rejects duplicate keys and reports the position of a value that does not fit its type."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise ConstructorError(None, None, f"duplicate key '{key.value}'", key.start_mark)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, ValueError):  # what conversions such as int() raise
            raise ConstructorError(None, None, "value does not fit its type", node.start_mark) from None
