"""Inlines the references of a JSON Schema, since widely used clients cannot resolve them.

A reference stays where inlining is impossible or too costly: inside a recursive definition, and to definitions whose
copies would make the schema large or deep. Definitions without any reference to them are dropped. Knows no client: the
other adaptations are in `portable_schemas`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from tfo_mcp.domain.tool import HEADER_KEYWORD
from tfo_mcp.plugins.subschemas import DEFINITIONS, Pointer, descendants, located, mapped, target_of

_MAX_VALUES = 4000
"""Maximum number of JSON values in a schema after inlining; a schema that is larger by itself does not grow."""
_MAX_DEPTH = 24
"""Maximum levels of subschemas that one reference is replaced by."""
_COPIED_VALUES = (1000, 250, 60, 15, 4, 0)
"""Maximum size of a definition that is copied to several places; the first that respects `_MAX_VALUES` applies."""

_ANNOTATIONS = frozenset(
    {"title", "description", "default", "deprecated", "readOnly", "writeOnly", "examples", "example", "$comment"}
)
_OF_THE_ROOT = frozenset({*DEFINITIONS, "$schema", "$id", "id"})
_DYNAMIC = ("$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "unevaluatedItems")
_IGNORING_SIBLINGS = ("draft-04/", "draft-06/", "draft-07/")


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return an equivalent schema without references that can be inlined, and without unused definitions.

    Unresolvable references are kept: compiling the schema reports them. Unchanged are schemas whose keywords depend on
    the place that they are in: nested `$id`, dynamic references and `unevaluatedItems`. A definition with an
    `$anchor` is kept, because its name may be used from outside.
    """
    if _depends_on_place(schema):
        return dict(schema)
    return _Document(schema).inlined()


def _depends_on_place(schema: Mapping[str, Any]) -> bool:
    return any(
        (part is not schema and ("$id" in part or isinstance(part.get("id"), str)))
        or any(key in part for key in _DYNAMIC)
        for part in descendants(schema)
    )


class _Document:
    """One schema, its references and the decision which of them are inlined."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        dialect = schema.get("$schema")
        self._ignores_siblings = isinstance(dialect, str) and any(name in dialect for name in _IGNORING_SIBLINGS)
        self._anchors = dict(_anchors(schema))
        self._schema = self._with_root_inlined(schema)
        self._copies: dict[Pointer, Any] = {}
        self._uses = {pointer: self._targets(self._body(pointer)) for pointer in self._reached()}
        self._reachable = {pointer: self._closure(pointer) for pointer in self._uses}
        self._shared = self._choose_shared()

    def inlined(self) -> dict[str, Any]:
        """Return the schema with its references inlined."""
        result: dict[str, Any] = self._expanded(self._body(()), ())
        definitions = {
            keyword: {name: self._expanded(child, (keyword, name)) for name, child in self._schema[keyword].items()}
            for keyword in DEFINITIONS
            if isinstance(self._schema.get(keyword), Mapping)
        }
        return {**result, **_used(result, definitions, self._anchors)}

    def _with_root_inlined(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the schema with a reference of its root replaced once: the root must show its type."""
        target = target_of(schema.get("$ref"), self._anchors)
        if not target or not isinstance(body := located(schema, target), Mapping):
            return schema
        merged: Mapping[str, Any] = self._merged(schema, body)
        return merged

    def _body(self, pointer: Pointer) -> Any:
        """Return the schema at a pointer; that of the root without the definitions."""
        if pointer:
            return located(self._schema, pointer)
        return {keyword: value for keyword, value in self._schema.items() if keyword not in DEFINITIONS}

    def _target(self, schema: Mapping[str, Any]) -> Pointer | None:
        """Return what the schema refers to, None for a schema without a reference that can be inlined."""
        target = target_of(schema.get("$ref"), self._anchors)
        return target if target is not None and isinstance(self._body(target), Mapping | bool) else None

    def _targets(self, schema: Any) -> Counter[Pointer]:
        found = (self._target(part) for part in descendants(schema) if "$ref" in part)
        return Counter(target for target in found if target is not None)

    def _reached(self) -> list[Pointer]:
        """Return the root, all definitions, and every other place that a reference leads to."""
        reached: list[Pointer] = []
        waiting: list[Pointer] = [()]
        for keyword in DEFINITIONS:
            if isinstance(named := self._schema.get(keyword), Mapping):
                waiting += [(keyword, name) for name in named]
        while waiting:
            pointer = waiting.pop()
            if pointer not in reached:
                reached.append(pointer)
                waiting += self._targets(self._body(pointer))
        return reached

    def _closure(self, pointer: Pointer) -> set[Pointer]:
        closure: set[Pointer] = set()
        waiting = list(self._uses[pointer])
        while waiting:
            target = waiting.pop()
            if target not in closure:
                closure.add(target)
                waiting += self._uses[target]
        return closure

    def _recurs(self, target: Pointer, within: Pointer) -> bool:
        """Return whether a reference inside `within` closes a circle."""
        return within in self._reachable[target] and target in self._reachable[within]

    def _choose_shared(self) -> set[Pointer]:
        """Return the definitions that stay definitions because of their size or depth."""
        used = Counter[Pointer]()
        for targets in self._uses.values():
            used.update(targets)
        headers = {pointer for pointer in self._uses if pointer and _has_header(self._body(pointer))}
        order = sorted(self._uses, key=lambda one: (len(self._reachable[one]), one not in self._reachable[one]))
        shared: set[Pointer] = set()
        for most in _COPIED_VALUES:
            shared = set(headers)
            sizes: dict[Pointer, int] = {}
            depths: dict[Pointer, int] = {}
            for one in order:
                size, depth = _extent(self._body(one))
                copied = [t for t in self._uses[one] if t not in shared and not self._recurs(t, one)]
                sizes[one] = size + sum(self._uses[one][target] * sizes[target] for target in copied)
                depths[one] = depth + max((depths[target] for target in copied), default=0)
                if (used[one] > 1 and sizes[one] > most) or depths[one] > _MAX_DEPTH:
                    shared.add(one)
            if sum(sizes.values()) <= _MAX_VALUES:
                break
        return shared

    def _expanded(self, schema: Any, within: Pointer) -> Any:
        """Return a part of the schema at `within`, with its references inlined."""
        if not isinstance(schema, Mapping):
            return schema
        target = self._target(schema)
        if target is None or target in self._shared or self._recurs(target, within):
            return mapped(schema, lambda child: self._expanded(child, within))
        if target not in self._copies:
            self._copies[target] = _without_anchors(self._expanded(self._body(target), target))
        siblings = mapped(schema, lambda child: self._expanded(child, within))
        return self._merged(siblings, self._copies[target])

    def _merged(self, schema: Mapping[str, Any], body: Any) -> Any:
        """Return the schema with its `$ref` replaced by `body`; other assertions beside it keep their meaning."""
        siblings = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
        if isinstance(body, bool):
            body = {} if body else {"not": {}}
        asserting = [
            keyword for keyword in siblings if not _is_neutral(keyword) and siblings[keyword] != body.get(keyword)
        ]
        if self._ignores_siblings:
            siblings = {keyword: value for keyword, value in siblings.items() if keyword not in asserting}
        elif asserting:
            return {**siblings, "allOf": [*siblings.get("allOf", []), body]}
        return {**body, **siblings}


def _is_neutral(keyword: str) -> bool:
    return keyword in _ANNOTATIONS or keyword in _OF_THE_ROOT or keyword.startswith("x-")


def _has_header(schema: Any) -> bool:
    """Return whether a definition mirrors a parameter into a header, which clients accept outside references only."""
    return any(HEADER_KEYWORD in part for part in descendants(schema))


def _anchors(schema: Mapping[str, Any]) -> Iterator[tuple[str, Pointer]]:
    for keyword in DEFINITIONS:
        named = schema.get(keyword)
        for name, child in named.items() if isinstance(named, Mapping) else ():
            if isinstance(child, Mapping) and isinstance(anchor := child.get("$anchor"), str):
                yield anchor, (keyword, name)


def _without_anchors(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    return mapped({key: value for key, value in schema.items() if key != "$anchor"}, _without_anchors)


def _extent(schema: Any) -> tuple[int, int]:
    """Return the number of JSON values in a schema, and its levels."""
    values, levels, row = 0, 0, [schema]
    while row:
        levels += 1
        values += len(row)
        row = [
            child
            for one in row
            if isinstance(one, Mapping | list)
            for child in (one.values() if isinstance(one, Mapping) else one)
        ]
    return values, levels // 2  # a subschema is in a property, which is in `properties`


def _used(schema: Any, definitions: Mapping[str, Any], anchors: Mapping[str, Pointer]) -> dict[str, Any]:
    """Return the definitions that are referred to, also from each other, and those with an anchor."""
    used: set[Pointer] = set(anchors.values())
    waiting = [schema, *(located(definitions, pointer) for pointer in used)]
    while waiting:
        for part in descendants(waiting.pop()):
            target = target_of(part.get("$ref"), anchors)
            if target is not None and target[:1] and target[0] in definitions and target[:2] not in used:
                used.add(target[:2])
                waiting.append(located(definitions, target[:2]))
    kept = {
        keyword: {name: child for name, child in named.items() if (keyword, name) in used}
        for keyword, named in definitions.items()
    }
    return {keyword: named for keyword, named in kept.items() if named}
