"""Catalog: one sorted set, whose pages stay consistent while entries are added and removed."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import pytest

from tfo_mcp.application.catalog import Catalog
from tfo_mcp.domain.errors import InvalidCursor


@dataclass(frozen=True)
class Entry:
    """An entry with a key."""

    key: str
    content: int = 0


def catalog_of(*keys: str) -> Catalog[Entry]:
    """Return a catalog of entries with these keys."""
    catalog: Catalog[Entry] = Catalog()
    for key in keys:
        catalog.put(Entry(key))
    return catalog


def walk(catalog: Catalog[Entry], size: int) -> list[list[str]]:
    """Return the keys on all pages."""
    pages, cursor = [], None
    while True:
        page = catalog.page(cursor, size)
        pages.append([entry.key for entry in page.entries])
        cursor = page.next_cursor
        if cursor is None:
            return pages


@pytest.mark.parametrize(
    ("keys", "size", "pages"),
    [
        ("", 2, [[]]),
        ("b", 2, [["b"]]),
        ("ab", 2, [["a", "b"]]),
        ("cab", 2, [["a", "b"], ["c"]]),
        ("dcab", 2, [["a", "b"], ["c", "d"]]),
        ("cab", 1, [["a"], ["b"], ["c"]]),
        ("cab", 9, [["a", "b", "c"]]),
    ],
)
def test_pages_hold_all_entries_in_the_order_of_their_keys(keys: str, size: int, pages: list[list[str]]) -> None:
    assert walk(catalog_of(*keys), size) == pages


def test_the_order_does_not_depend_on_who_came_first() -> None:
    keys = [f"key-{number}" for number in range(50)]
    shuffled = keys.copy()
    Random(1).shuffle(shuffled)
    assert walk(catalog_of(*keys), 7) == walk(catalog_of(*shuffled), 7)


def test_an_entry_of_the_same_key_takes_the_place_of_the_older() -> None:
    catalog = catalog_of("a", "b")
    catalog.put(Entry("a", content=1))
    assert len(catalog) == 2
    assert catalog.get("a") == Entry("a", content=1)
    assert [entry.key for entry in catalog] == ["a", "b"]


def test_what_was_removed_is_gone_and_removing_it_again_is_no_error() -> None:
    catalog = catalog_of("a", "b")
    assert catalog.remove("a") == Entry("a")
    assert catalog.remove("a") is None
    assert catalog.get("a") is None
    assert walk(catalog, 5) == [["b"]]


def test_the_version_grows_with_every_change_and_only_then() -> None:
    catalog = catalog_of("a")
    versions = [catalog.version]
    catalog.put(Entry("b"))
    versions.append(catalog.version)
    catalog.put(Entry("b", content=1))
    versions.append(catalog.version)
    catalog.remove("a")
    versions.append(catalog.version)
    assert versions == sorted(set(versions))
    catalog.remove("unknown")
    catalog.page(None, 1)
    assert catalog.version == versions[-1]


@pytest.mark.parametrize(
    ("removed", "added", "rest"),
    [
        ("", "", ["d", "e", "f"]),
        ("b", "", ["d", "e", "f"]),
        ("c", "", ["d", "e", "f"]),
        ("abc", "", ["d", "e", "f"]),
        ("d", "", ["e", "f"]),
        ("", "A", ["d", "e", "f"]),
        ("", "bb", ["d", "e", "f"]),
        ("", "cc", ["cc", "d", "e", "f"]),
        ("", "g", ["d", "e", "f", "g"]),
        ("def", "", []),
        ("abcdef", "", []),
    ],
)
def test_changes_between_two_pages_neither_repeat_nor_hide_other_entries(
    removed: str, added: str, rest: list[str]
) -> None:
    catalog = catalog_of(*"abcdef")
    first = catalog.page(None, 3)
    assert [entry.key for entry in first.entries] == ["a", "b", "c"]
    for key in removed:
        catalog.remove(key)
    if added:
        catalog.put(Entry(added))
    second = catalog.page(first.next_cursor, 9)
    assert [entry.key for entry in second.entries] == rest


def test_walking_a_catalog_that_changes_all_the_time_shows_what_stays_exactly_once() -> None:
    random = Random(7)
    for _ in range(50):
        staying = [f"stay-{number:02}" for number in range(20)]
        catalog = catalog_of(*staying)
        seen: list[str] = []
        cursor = None
        while True:
            page = catalog.page(cursor, random.randint(1, 5))
            seen += [entry.key for entry in page.entries if entry.key.startswith("stay")]
            cursor = page.next_cursor
            if cursor is None:
                break
            for _ in range(3):
                key = random.choice(("a", "stay-", "t")) + str(random.random())
                catalog.put(Entry(key.replace("stay-", "s-")))
                catalog.remove(random.choice([entry.key for entry in catalog if not entry.key.startswith("stay")]))
        assert seen == staying


def test_entries_that_are_not_visible_take_no_room_on_a_page_and_promise_no_next_one() -> None:
    catalog = catalog_of("a", "hidden-1", "b", "hidden-2", "hidden-3")

    def visible(entry: Entry) -> bool:
        return not entry.key.startswith("hidden")

    page = catalog.page(None, 2, visible)
    assert [entry.key for entry in page.entries] == ["a", "b"]
    assert page.next_cursor is None


@pytest.mark.parametrize("key", ["ключ", "a b", "a://b/{c}", "\x00", "=", "%2F", "x" * 5000])
def test_any_key_makes_a_cursor(key: str) -> None:
    catalog = catalog_of(key, key + "z")
    assert walk(catalog, 1) == [[key], [key + "z"]]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "0",
        "next",
        "a" * 10_000,
        "ünïcode",
        "AQ",
        "====",
        urlsafe_b64encode(b"name").decode(),
        urlsafe_b64encode(b"\x01\xff").decode(),
        urlsafe_b64encode(b"\x01name").decode() + "\n",
    ],
)
def test_a_cursor_that_was_not_given_out_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        catalog_of("a").page(cursor, 1)


@pytest.mark.parametrize(
    "access",
    [
        len,
        list,
        lambda catalog: catalog.get("a"),
        lambda catalog: catalog.put(Entry("d")),
        lambda catalog: catalog.remove("b"),
        lambda catalog: catalog.page(None, 1),
    ],
    ids=["length", "iteration", "get", "put", "remove", "page"],
)
def test_the_first_access_of_any_kind_fills_a_catalog_once(access: Callable[[Catalog[Entry]], object]) -> None:
    filled: list[str] = []

    def fill() -> None:
        for key in "abc":
            catalog.put(Entry(key))
            filled.append(key)

    catalog: Catalog[Entry] = Catalog(fill)
    assert filled == []
    access(catalog)
    access(catalog)
    assert filled == ["a", "b", "c"]
    assert {"a", "c"} <= {entry.key for entry in catalog}
