"""Edits of a JSON document that keep its comments and its layout: only the bytes of the changed member differ.

The tree comes from tree-sitter's JSON grammar, which knows comments and gives the place of each value. Trailing commas
are accepted as well, since VS Code accepts them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfo_mcp_transports.cli.hosts.locations import HostFileError

if TYPE_CHECKING:
    from tree_sitter import Node


def value(text: str, keys: Sequence[str]) -> object:
    """Return the value at a path of member names, None if there is none.

    Raises:
        HostFileError: the text is not a JSON object, or the path leads through something else than objects.
    """
    found = _tree(text)
    for key in keys:
        pair = None if found is None else _member(found, key, keys[0])
        found = None if pair is None else pair.child_by_field_name("value")
    return None if found is None else _plain(found)


def put(text: str, keys: Sequence[str], entry: Mapping[str, Any]) -> str:
    """Return the document with the entry at the path.

    Raises:
        HostFileError: the text is not a JSON object, or the path leads through something else than objects.
    """
    found = _tree(text)
    if found is None:
        return put(f"{text.rstrip()}\n{{}}\n".lstrip("\n"), keys, entry)
    content = text.encode()
    for depth, key in enumerate(keys):
        pair = _member(found, key, keys[0])
        if pair is None:
            nested: Any = dict(entry)
            for outer in reversed(keys[depth + 1 :]):
                nested = {outer: nested}
            return _Layout(content).inserted(found, key, nested).decode()
        found = _value_of(pair)
    return _Layout(content).replaced(found, dict(entry)).decode()


def remove(text: str, keys: Sequence[str]) -> str:
    """Return the document without the member at the path.

    Raises:
        HostFileError: the text is not a JSON object.
    """
    found, pair = _tree(text), None
    for key in keys:
        pair = None if found is None else _member(found, key, keys[0])
        found = None if pair is None else _value_of(pair)
    return text if pair is None else _Layout(text.encode()).without(pair).decode()


class _Layout:
    """The bytes of a document, its line ends and its indentation."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._line_end = b"\r\n" if b"\r\n" in content else b"\n"
        self._unit = _indentation(content)

    def replaced(self, node: "Node", new: object) -> bytes:
        """Return the document with this value replaced."""
        return self._spliced(node.start_byte, node.end_byte, self._rendered(new, self._indent_of(node)))

    def inserted(self, parent: "Node", key: str, new: object) -> bytes:
        """Return the document with one more member at the end of an object."""
        pairs = [child for child in parent.children if child.type == "pair"]
        outer = self._indent_of(parent)
        inner = self._indent_of(pairs[-1]) if pairs and self._begins_line(pairs[-1]) else outer + self._unit
        member = json.dumps(key, ensure_ascii=False).encode() + b": " + self._rendered(new, inner)
        last, has_comma = _last_of(parent, pairs)
        place = last.end_byte
        end = parent.end_byte - 1
        closing = b"" if b"\n" in self._content[place:end] else self._line_end + outer
        if not closing:
            before_end = self._content[place:end]
            kept = before_end.rstrip(b" \t")
            kept = kept[: -len(self._line_end)] if kept.endswith(self._line_end) else kept
            place += len(kept) if kept.strip() else 0  # after the comments that follow
        added = self._line_end + inner + member + (b"," if has_comma else b"") + closing
        text = self._spliced(place, place, added)
        if pairs and not has_comma:
            comma = pairs[-1].end_byte
            text = text[:comma] + b"," + text[comma:]
        return text

    def without(self, pair: "Node") -> bytes:
        """Return the document without a member and its comma."""
        start, end = pair.start_byte, pair.end_byte
        after, before = _comma(_next(pair)), _comma(_previous(pair))
        if after is not None:
            end = after.end_byte
        rest = self._content[end:].lstrip(b" \t")
        line_start = self._content.rfind(b"\n", 0, start) + 1
        if self._begins_line(pair) and rest[:1] in {b"\r", b"\n", b"}", b"/"}:
            start = max(line_start - len(self._line_end), 0)
            end = len(self._content) - len(rest) if rest[:1] in {b"\r", b"\n"} else end
            if rest[:1] == b"}":
                start = pair.start_byte
        text = self._spliced(start, end, b"")
        if after is None and before is not None:
            text = text[: before.start_byte] + text[before.end_byte :]
        return text

    def _spliced(self, start: int, end: int, new: bytes) -> bytes:
        return self._content[:start] + new + self._content[end:]

    def _rendered(self, new: object, indent: bytes) -> bytes:
        lines = json.dumps(new, indent=self._unit.decode(), ensure_ascii=False).encode().split(b"\n")
        return (self._line_end + indent).join(lines)

    def _indent_of(self, node: "Node") -> bytes:
        """Return the indentation of the line in which a node begins."""
        line = self._content[self._content.rfind(b"\n", 0, node.start_byte) + 1 : node.start_byte]
        return line[: len(line) - len(line.lstrip(b" \t"))]

    def _begins_line(self, node: "Node") -> bool:
        line = self._content[self._content.rfind(b"\n", 0, node.start_byte) + 1 : node.start_byte]
        return not line.strip() and node.start_point.row > 0


def _indentation(content: bytes) -> bytes:
    """Return the indentation of the first indented line; two spaces if there is none."""
    for line in content.splitlines():
        blank = line[: len(line) - len(line.lstrip(b" \t"))]
        if blank and line.strip() and not line.strip().startswith((b"*", b"/")):
            return b"\t" if blank.startswith(b"\t") else blank
    return b"  "


def _tree(text: str) -> "Node | None":
    """Return the object of a document; None if it has nothing but comments.

    Raises:
        HostFileError: the text is not one JSON object, with or without comments.
    """
    import tree_sitter_json
    from tree_sitter import Language, Parser

    root = Parser(Language(tree_sitter_json.language())).parse(text.encode()).root_node
    wrong = next((node for node in _errors(root) if not _is_trailing_comma(node)), None)
    if wrong is not None:
        row, column = wrong.start_point
        raise HostFileError(f"the file is not JSON: line {row + 1}, column {column + 1}")
    values = [child for child in root.named_children if child.type != "comment"]
    if not values:
        return None
    if len(values) > 1 or values[0].type != "object":
        raise HostFileError("the file is not a JSON object")
    return values[0]


def _errors(node: "Node") -> Iterator["Node"]:
    if node.type == "ERROR" or node.is_missing:
        yield node
    elif node.has_error:
        for child in node.children:
            yield from _errors(child)


def _is_trailing_comma(node: "Node") -> bool:
    """Return whether the grammar's objection is a comma before the end of an object or an array."""
    before, following = _previous(node), _next(node)
    if before is None or following is None or following.type not in {"]", "}"}:
        return False
    if node.is_missing:  # the value that would follow the comma
        return _comma(before) is not None
    return _comma(node) is not None and before.is_named and not before.is_error


def _next(node: "Node") -> "Node | None":
    """Return the next sibling that is not a comment."""
    found = node.next_sibling
    while found is not None and found.type == "comment":
        found = found.next_sibling
    return found


def _previous(node: "Node") -> "Node | None":
    """Return the previous sibling that is not a comment."""
    found = node.prev_sibling
    while found is not None and found.type == "comment":
        found = found.prev_sibling
    return found


def _comma(node: "Node | None") -> "Node | None":
    """Return the node if it is a comma, between values or after the last one."""
    return node if node is not None and node.text == b"," else None


def _last_of(parent: "Node", pairs: Sequence["Node"]) -> tuple["Node", bool]:
    """Return the last part of an object's last member: its comma, or a comment in its line; and whether it has one."""
    last = pairs[-1] if pairs else parent.children[0]
    comma = _comma(_next(last)) if pairs else None
    last = comma or last
    following = last.next_sibling
    while following is not None and following.type == "comment" and following.start_point.row == last.end_point.row:
        last, following = following, following.next_sibling
    return last, comma is not None


def _member(parent: "Node", key: str, path: str) -> "Node | None":
    """Return the last pair with this key, which counts when there are several."""
    if parent.type != "object":
        raise HostFileError(f'"{path}" is not an object')
    found = None
    for child in parent.children:
        name = child.child_by_field_name("key") if child.type == "pair" else None
        if name is not None and _plain(name) == key:
            found = child
    return found


def _value_of(pair: "Node") -> "Node":
    found = pair.child_by_field_name("value")
    assert found is not None  # the grammar has no pair without one, and errors are refused
    return found


def _plain(node: "Node") -> object:
    """Return the value of a node as Python's."""
    if node.type == "object":
        pairs = [child for child in node.named_children if child.type == "pair"]
        return {str(_plain(pair.named_children[0])): _plain(_value_of(pair)) for pair in pairs}
    if node.type == "array":
        values = [child for child in node.named_children if child.type not in {"comment", "ERROR"}]
        return [_plain(child) for child in values if not child.is_missing]
    try:
        return json.loads(node.text or b"null", strict=False)
    except ValueError as problem:
        raise HostFileError(f"the file is not JSON ({problem})") from None
