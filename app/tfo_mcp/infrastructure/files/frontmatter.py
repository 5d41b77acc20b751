"""Reads the YAML frontmatter at the beginning of a Markdown file, as JSON values. Must not know skills.

Imports PyYAML, so it is imported only when there is frontmatter to read.
"""

import re
from math import isfinite
from typing import Any

import yaml

_BLOCK = re.compile(rb"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_MARK = b"\xef\xbb\xbf"
_LONGEST = 64 * 1024  # bytes
_DEEPEST = 20
_GREATEST = 2**53 - 1  # the greatest integer that every JSON parser keeps


class _Loader(yaml.SafeLoader):
    """Reads YAML without aliases, which could expand into huge documents, and without timestamps, as in YAML 1.2."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise ValueError("YAML aliases are not supported")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if not all(isinstance(key, str) for key in keys) or len(set(keys)) < len(keys):
            raise ValueError("the keys of a mapping must be texts, each once")
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, expression) for tag, expression in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def frontmatter_of(data: bytes) -> dict[str, Any]:
    """Return the frontmatter of a Markdown file.

    Raises:
        ValueError: there is none, or it is not a YAML mapping of JSON values.
    """
    found = _BLOCK.match(data[:_LONGEST].removeprefix(_MARK))
    if found is None:
        raise ValueError(f"it must begin with YAML frontmatter between two lines of ---, at most {_LONGEST} bytes")
    try:
        value = yaml.load(found[1].decode(), _Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError, LookupError, TypeError):
        raise ValueError("the frontmatter is not valid YAML in UTF-8") from None
    if not isinstance(value, dict):
        raise ValueError("the frontmatter must be a mapping")
    _require_json(value, 0)
    return value


def _require_json(value: object, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError(f"the frontmatter is nested deeper than {_DEEPEST} levels")
    match value:
        case dict():
            for key, inner in value.items():
                _require_json(key, depth)
                _require_json(inner, depth + 1)
        case list():
            for inner in value:
                _require_json(inner, depth + 1)
        case bool() | None:
            pass
        case str() if value.isascii() or value.encode(errors="ignore").decode() == value:
            pass
        case int() if abs(value) <= _GREATEST:
            pass
        case float() if isfinite(value):
            pass
        case _:
            raise ValueError("the frontmatter has a value that JSON cannot represent")
