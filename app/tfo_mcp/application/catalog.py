"""Catalog: a sorted set with stable pages, for tools, resources, templates and prompts.

Entries are sorted by key, so the order does not depend on the order of registration. A cursor encodes the last
returned key: entries added or removed between two pages neither repeat nor hide others. Knows no protocol and no
events.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from tfo_mcp.domain.cursors import decode_cursor, encode_cursor
from tfo_mcp.domain.errors import InvalidCursor
from tfo_mcp.value_objects import value_object


class CatalogEntry(Protocol):
    """An object that a catalog can hold."""

    @property
    def key(self) -> str:
        """Unique, stable key that determines sort order and cursors."""


EntryT = TypeVar("EntryT", bound=CatalogEntry)


@value_object
class Page(Generic[EntryT]):
    """One page of a list; `next_cursor` is None on the last one."""

    entries: tuple[EntryT, ...]
    next_cursor: str | None


class Catalog(Generic[EntryT]):
    """A set of entries by key. `version` grows with every change, for cache invalidation.

    Args:
        fill: puts the first entries; called once, at the first access. None if there are none.
    """

    def __init__(self, fill: Callable[[], None] | None = None) -> None:
        self._fill = fill
        self._by_key: dict[str, EntryT] = {}
        self._keys: list[str] = []
        self.version = 0

    def __len__(self) -> int:
        self._fill_once()
        return len(self._keys)

    def __iter__(self) -> Iterator[EntryT]:
        self._fill_once()
        return (self._by_key[key] for key in self._keys)

    def get(self, key: str) -> EntryT | None:
        """Return the entry with the key, or None."""
        self._fill_once()
        return self._by_key.get(key)

    def put(self, entry: EntryT) -> None:
        """Add the entry, replacing one with the same key."""
        self._fill_once()
        if entry.key not in self._by_key:
            position = bisect_left(self._keys, entry.key)
            self._keys.insert(position, entry.key)
        self._by_key[entry.key] = entry
        self.version += 1

    def remove(self, key: str) -> EntryT | None:
        """Remove and return the entry with the key, None if there is none."""
        self._fill_once()
        entry = self._by_key.pop(key, None)
        if entry is not None:
            del self._keys[bisect_left(self._keys, key)]
            self.version += 1
        return entry

    def page(self, cursor: str | None, size: int, visible: Callable[[EntryT], bool] | None = None) -> Page[EntryT]:
        """Return the page after `cursor`: at most `size` entries for which `visible` holds.

        Raises:
            InvalidCursor: the cursor is malformed.
        """
        self._fill_once()
        position = 0 if cursor is None else bisect_right(self._keys, _key_of(cursor))
        found: list[EntryT] = []
        for key in self._keys[position:]:
            entry = self._by_key[key]
            if visible is not None and not visible(entry):
                continue
            if len(found) == size:
                return Page(tuple(found), encode_cursor(found[-1].key.encode()))
            found.append(entry)
        return Page(tuple(found), None)

    def _fill_once(self) -> None:
        if self._fill is not None:
            fill, self._fill = self._fill, None
            fill()


def _key_of(cursor: str) -> str:
    try:
        place = decode_cursor(cursor)
        if place is None:
            raise InvalidCursor
        return place.decode()
    except UnicodeError:
        raise InvalidCursor from None
